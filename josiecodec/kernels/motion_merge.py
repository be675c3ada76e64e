"""The motions of patches in order, each beside what its neighbours have: see `coding/motion_merge.py`."""

from __future__ import annotations

import math

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from .compiling import compiled, part


@part
def saturated(error, scale):
    """As `motion_merge.saturated`, in the same steps."""
    mantissa, exponent = math.frexp(1 + error / scale)
    t = 2 * mantissa - 1
    log2 = exponent - 1 + t * (1 + (1 - t) * (0.4427 + t * (0.0834 * t - 0.2474)))
    return scale * (0.6931471805599453 * log2)


@intrinsic
def _row_error(typing, own, at, first, at_first, second, at_second):
    """Sum of squared differences of 16 bytes to the means of others, behind places of flat arrays; not checked."""

    def generate(context, builder, signature, arguments):
        byte, word = ir.IntType(8), ir.IntType(32)
        wide = ir.VectorType(word, 16)

        def loaded(n):
            array = context.make_array(signature.args[n])(context, builder, arguments[n])
            place = builder.gep(array.data, [arguments[n + 1]])
            row = builder.load(builder.bitcast(place, ir.VectorType(byte, 16).as_pointer()))
            row.align = 1
            return builder.zext(row, wide)

        one = ir.Constant(wide, [1] * 16)
        mean = builder.lshr(builder.add(builder.add(loaded(2), loaded(4)), one), one)
        difference = builder.sub(mean, loaded(0))
        kind = ir.FunctionType(word, [wide])
        add_up = cgutils.get_or_insert_function(builder.module, kind, "llvm.vector.reduce.add.v16i32")
        return builder.zext(builder.call(add_up, [builder.mul(difference, difference)]), ir.IntType(64))

    return types.int64(own, types.int64, first, types.int64, second, types.int64), generate


@part
def _place(squares, i, j, down, right, pad):
    """Where the patch (i, j) moved by a vector begins."""
    rows, columns = squares.shape[1], squares.shape[2]
    top = min(max(16 * i + (down >> 2) + pad, 0), rows - 16)
    left = min(max(16 * j + (right >> 2) + pad, 0), columns - 16)
    return (((down & 3) * 4 + (right & 3)) * rows + top) * columns + left


@part
def _error(picture, first, second, i, j, motion, refs, pad):
    """Sum of squared errors of a patch by a motion [5]."""
    use = motion[0] if refs > 1 else np.int64(1)
    a, b = first, second
    place_a = _place(first, i, j, motion[1], motion[2], pad)
    place_b = place_a
    if use == 1:
        b = first
    else:
        place_b = _place(second, i, j, motion[3], motion[4], pad)
        if use == 2:
            a, place_a = second, place_b
    here, total = 16 * i * picture.shape[1] + 16 * j, np.int64(0)
    for y in range(16):
        row = y * first.shape[2]
        total += _row_error(picture, here + y * picture.shape[1], a, place_a + row, b, place_b + row)
    return total


@part
def _expected(near, n, r):
    """Component n of the vector to reference r that neighbours make likely."""
    found, first, low, high, total = 0, np.int64(0), np.int64(1) << 40, -(np.int64(1) << 40), np.int64(0)
    for a in range(3):
        if near[a, 0] >> r & 1:
            value = near[a, 1 + 2 * r + n]
            first = value if not found else first
            low, high, total = min(low, value), max(high, value), total + value
            found += 1
    return total - low - high if found == 3 else first


@part
def _bits_of(motion, near, bits):
    """Bits of the vectors of a motion beside what neighbours make likely."""
    total, many = 0.0, len(bits) - 1
    for r in range(2):
        if motion[0] >> r & 1:
            down = abs(motion[1 + 2 * r] - _expected(near, 0, r))
            right = abs(motion[2 + 2 * r] - _expected(near, 1, r))
            total += bits[min(down, many)] + bits[min(right, many)]
    return total


@part
def _improved(picture, first, second, i, j, motion, near, scale, price, bits, new, moves, rounds, longest, pad, least):
    """Move both vectors of a motion, in place, one after the other, while it costs less than `least`; what it costs."""
    for size in rounds:
        for r in range(2):
            down, right, best = motion[1 + 2 * r], motion[2 + 2 * r], -1
            for n in range(len(moves) + 1):
                at = n if n < len(moves) else best
                if at < 0:
                    motion[1 + 2 * r], motion[2 + 2 * r] = down, right
                    break
                motion[1 + 2 * r] = min(max(down + size * moves[at, 0], -longest), longest)
                motion[2 + 2 * r] = min(max(right + size * moves[at, 1], -longest), longest)
                if n == len(moves):
                    break
                error = np.float64(_error(picture, first, second, i, j, motion, 2, pad))
                cost = saturated(error, scale) + price * (new + _bits_of(motion, near, bits))
                if cost < least:
                    best, least = n, cost
    return least


@part
def _same(a, b):
    for n in range(5):  # noqa: SIM110
        if a[n] != b[n]:
            return False
    return True


@compiled(
    "void(uint8[:, ::1], uint8[:, :, ::1], uint8[:, :, ::1], int32[:, :, :, ::1], int64[:, :, :, ::1], "
    "float64[:, ::1], float64[:, ::1], float64[::1], float64[::1], float64, int64[:, ::1], int64[::1], float64, int64, "
    "int64, int32[:, :, ::1])"
)
def settle(
    picture,
    first,
    second,
    found,
    carried,
    scales,
    prices,
    taken_over,
    bits,
    new,
    moves,
    rounds,
    near_by,
    longest,
    pad,
    motions,
):
    """Motions of all patches, in `motions`.

    Args:
        picture: luma [16 h, 16 w].
        first, second: those of the references at all quarters of a pixel; of one alone twice the same.
        found: [R, h, w, 2], the best vectors to each.
        carried: motions [h, w, K, 5] that may be taken over, too.
        scales: errors of patches from which on they count less, [h, w].
        prices: of a bit, [h, w].
        taken_over: bits of the first, second ... candidate.
        bits: of components of differences.
        new: bits of a motion that is not taken over.
        moves: [8, 2], which ways the two vectors of a motion are moved.
        rounds: by how much, one after the other.
        near_by: bits within which such a motion must be of the best, to be tried.
        longest: component of a vector.
        pad: of the references.
        motions: [h, w, 1 + 2 R].
    """
    h, w = motions.shape[0], motions.shape[1]
    refs, more = len(found), min(carried.shape[2], 2)
    fits = first.shape[0] == 16 and first.shape[1] >= 16 and first.shape[2] >= 16 and first.shape == second.shape
    if not fits or picture.shape[0] < 16 * h or picture.shape[1] < 16 * w:
        return
    known = np.zeros((h, w, 5), np.int64)
    choices, near = np.zeros((9, 5), np.int64), np.zeros((3, 5), np.int64)
    for i in range(h):
        for j in range(w):
            corner = j + 1 if j + 1 < w else max(j - 1, 0)
            count = 0
            for a in range(4 + more):
                motion = choices[count]
                for n in range(5):
                    motion[n] = 0
                    if a == 0 and j:
                        motion[n] = known[i, j - 1, n]
                    elif a == 1 and i:
                        motion[n] = known[i - 1, j, n]
                    elif a == 2 and i:
                        motion[n] = known[i - 1, corner, n]
                    elif 2 < a < 3 + more:
                        motion[n] = carried[i, j, a - 3, n]
                    elif a == 3 + more and n == 0:
                        motion[n] = (1 << refs) - 1
                    if a < 3:
                        near[a, n] = motion[n]
                there = motion[0] != 0
                for b in range(count):
                    there = there and not _same(choices[b], motion)
                count += there
            best, least = np.int64(0), np.inf
            for c in range(count + (3 if refs > 1 else 1)):
                motion = choices[c]
                cost = 0.0
                if c < count:
                    cost = prices[i, j] * taken_over[c]
                else:
                    use = c - count + 1
                    motion[0] = use
                    for r in range(2):
                        for n in range(2):
                            motion[1 + 2 * r + n] = found[r, i, j, n] if use >> r & 1 else 0
                    cost = prices[i, j] * (new + _bits_of(motion, near, bits))
                error = _error(picture, first, second, i, j, motion, refs, pad)
                cost = saturated(np.float64(error), scales[i, j]) + cost
                if c == count + 2 and cost < least + near_by * prices[i, j]:
                    beside = near, scales[i, j], prices[i, j], bits, new
                    how = moves, rounds, longest, pad
                    cost = _improved(picture, first, second, i, j, motion, *beside, *how, cost)
                if cost < least:
                    best, least = c, cost
            for n in range(5):
                known[i, j, n] = choices[best, n]
            for n in range(1 + 2 * refs):
                motions[i, j, n] = choices[best, n]

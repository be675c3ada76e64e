"""Motion search: see `vision/motion_search.py`, whose candidates these try in the same order.

Costs are absolute errors as float32 and bits as float64, as NumPy adds them up. A candidate is left as soon as it
cannot become the best any more, which changes nothing.
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from .compiling import compiled, part


@intrinsic
def _row_error(typing, own, at, other, at_other):
    """Sum of absolute differences of 16 bytes behind places of flat arrays, which are not checked."""

    def generate(context, builder, signature, arguments):
        byte, short, word, flag = ir.IntType(8), ir.IntType(16), ir.IntType(32), ir.IntType(1)
        wide = ir.VectorType(short, 16)

        def loaded(n):
            array = context.make_array(signature.args[n])(context, builder, arguments[n])
            place = builder.gep(array.data, [arguments[n + 1]])
            row = builder.load(builder.bitcast(place, ir.VectorType(byte, 16).as_pointer()))
            row.align = 1
            return builder.zext(row, wide)

        kind = ir.FunctionType(wide, [wide, flag])
        absolute = cgutils.get_or_insert_function(builder.module, kind, "llvm.abs.v16i16")
        difference = builder.call(absolute, [builder.sub(loaded(0), loaded(2)), ir.Constant(flag, 0)])
        kind = ir.FunctionType(word, [ir.VectorType(word, 16)])
        add_up = cgutils.get_or_insert_function(builder.module, kind, "llvm.vector.reduce.add.v16i32")
        return builder.zext(builder.call(add_up, [builder.zext(difference, kind.args[0])]), ir.IntType(64))

    return types.int64(own, types.int64, other, types.int64), generate


@part
def _error(picture, squares, i, j, down, right, pad, most):
    """Sum of absolute errors of the patch (i, j) by a vector; that of some rows if they come to more than `most`."""
    rows, columns = squares.shape[1], squares.shape[2]
    top = min(max(16 * i + (down >> 2) + pad, 0), rows - 16)
    left = min(max(16 * j + (right >> 2) + pad, 0), columns - 16)
    there = (((down & 3) * 4 + (right & 3)) * rows + top) * columns + left
    here = 16 * i * picture.shape[1] + 16 * j
    total = np.int64(0)
    for y in range(16):
        total += _row_error(picture, here + y * picture.shape[1], squares, there + y * columns)
        if y & 3 == 3 and total > most:
            break
    return total


@part
def _is_large_enough(squares):
    return squares.shape[0] == 16 and squares.shape[1] >= 16 and squares.shape[2] >= 16


@part
def _median(a, b, c):
    return max(min(a, b), min(max(a, b), c))


@compiled(
    "void(uint8[:, ::1], uint8[:, :, ::1], int32[:, :, :, ::1], int32[:, :, ::1], float32[:, ::1], int64)",
)
def best_of(picture, squares, tried, vectors, errors, pad):
    """The best of some vectors by absolute error alone.

    Args:
        picture: luma [16 h, 16 w].
        squares: that of the other at all quarters of a pixel, see `quarters`.
        tried: [C, h, w, 2], at least one.
        vectors, errors: what is found, [h, w, 2] and [h, w].
        pad: of `squares`.
    """
    h, w = errors.shape
    if picture.shape[0] < 16 * h or picture.shape[1] < 16 * w or not _is_large_enough(squares):
        return
    for i in range(h):
        for j in range(w):
            least, best = np.int64(1 << 30), 0
            for n in range(len(tried)):
                down, right = np.int64(tried[n, i, j, 0]), np.int64(tried[n, i, j, 1])
                error = _error(picture, squares, i, j, down, right, pad, least)
                if error < least:
                    least, best = error, n
            errors[i, j] = least
            vectors[i, j, 0], vectors[i, j, 1] = tried[best, i, j, 0], tried[best, i, j, 1]


@compiled(
    "void(uint8[:, ::1], uint8[:, :, ::1], int32[:, :, ::1], float32[:, ::1], int32[:, :, ::1], float32[:, ::1], "
    "int64[:, ::1], int64, int64, float64[::1], float64, float64)"
)
def improve(picture, squares, vectors, errors, found, found_errors, around, longest, pad, bits, explicit, price):
    """One round of a search: candidates around the vectors, or those of the neighbours.

    Args:
        picture, squares, pad: as of `best_of`.
        vectors, errors: before, [h, w, 2] and [h, w].
        found, found_errors: behind it.
        around: [C, 2], moves to try; none for the vectors of neighbours.
        longest: component of a vector.
        bits: of the components of a difference.
        explicit: bits of a vector that no neighbour has, on top.
        price: of a bit.
    """
    h, w = errors.shape
    if picture.shape[0] < 16 * h or picture.shape[1] < 16 * w or not _is_large_enough(squares):
        return
    near, most = np.empty((5, 2), np.int64), len(bits) - 1
    for i in range(h):
        for j in range(w):
            up, left, right = max(i - 1, 0), max(j - 1, 0), min(j + 1, w - 1)
            for c in range(2):
                near[0, c], near[1, c] = vectors[i, left, c], vectors[up, j, c]
                near[2, c], near[3, c] = vectors[i, right, c], vectors[min(i + 1, h - 1), j, c]
                near[4, c] = _median(near[0, c], near[1, c], np.int64(vectors[up, right, c]))
            a, b = np.int64(vectors[i, j, 0]), np.int64(vectors[i, j, 1])
            best_a, best_b, best_error, least = a, b, errors[i, j], np.float64(np.inf)
            for n in range(-1, len(around) if len(around) else 5):
                down, across = a, b
                if n >= 0:
                    down, across = (a + around[n, 0], b + around[n, 1]) if len(around) else (near[n, 0], near[n, 1])
                    down, across = min(max(down, -longest), longest), min(max(across, -longest), longest)
                    if down == best_a and across == best_b:
                        continue
                cost = 0.0
                same = (down == near[0, 0] and across == near[0, 1]) or (down == near[1, 0] and across == near[1, 1])
                if not (same or (down == near[4, 0] and across == near[4, 1])):
                    first = bits[min(abs(down - near[4, 0]), most)]
                    cost = explicit + (first + bits[min(abs(across - near[4, 1]), most)])
                error = errors[i, j]
                if n >= 0:
                    room = least - price * cost
                    if room < 0:
                        continue
                    error = np.float32(_error(picture, squares, i, j, down, across, pad, np.int64(min(room, 1e9))))
                total = error + price * cost
                if total < least:
                    least, best_a, best_b, best_error = total, down, across, error
            found[i, j, 0], found[i, j, 1], found_errors[i, j] = best_a, best_b, best_error


@compiled("void(int16[:, ::1], int16[:, ::1], int64, int32[:, :, :, ::1])")
def coarse_search(small, padded, reach, found):
    """The best shifts of patches of 4 x 4 pixels at a quarter of the resolution.

    Args:
        small: luma of a picture [4 h, 4 w].
        padded: that of the other, with `reach` pixels around.
        reach: the largest shift.
        found: [2, h, w, 2], of each patch by itself, and together with those around it; in quarters of a pixel.
    """
    h, w = found.shape[1], found.shape[2]
    shifts = 2 * reach + 1
    if small.shape[0] < 4 * h or small.shape[1] < 4 * w or len(padded) < 4 * h + 2 * reach:
        return
    if padded.shape[1] < 4 * w + 2 * reach:
        return
    least = np.full((2, h, w), 1 << 30, np.int32)
    sums, down = np.empty((h + 2, w + 2), np.int32), np.empty((h, w + 2), np.int32)
    line = np.empty(4 * w, np.int16)
    for a in range(shifts):
        for b in range(shifts):
            for i in range(h):
                for x in range(4 * w):
                    line[x] = 0
                for y in range(4 * i, 4 * i + 4):
                    own, other = small[y], padded[y + a, b : b + 4 * w]
                    for x in range(4 * w):
                        line[x] += np.int16(abs(np.int16(own[x] - other[x])))
                for j in range(w):
                    sums[i + 1, j + 1] = np.int32(line[4 * j]) + line[4 * j + 1] + line[4 * j + 2] + line[4 * j + 3]
                sums[i + 1, 0], sums[i + 1, w + 1] = sums[i + 1, 1], sums[i + 1, w]
            for j in range(w + 2):
                sums[0, j], sums[h + 1, j] = sums[1, j], sums[h, j]
            for i in range(h):
                for j in range(w + 2):
                    down[i, j] = sums[i, j] + sums[i + 1, j] + sums[i + 2, j]
                for j in range(w):
                    if sums[i + 1, j + 1] < least[0, i, j]:
                        least[0, i, j] = sums[i + 1, j + 1]
                        found[0, i, j, 0], found[0, i, j, 1] = 16 * (a - reach), 16 * (b - reach)
                    wide = down[i, j] + down[i, j + 1] + down[i, j + 2]
                    if wide < least[1, i, j]:
                        least[1, i, j] = wide
                        found[1, i, j, 0], found[1, i, j, 1] = 16 * (a - reach), 16 * (b - reach)

"""The motions of patches in order, each beside what its neighbours have: see `coding/motion_merge.py`."""

from __future__ import annotations

import math

import numpy as np

from .compiling import compiled, part


@part
def saturated(error, scale):
    """As `motion_merge.saturated`, in the same steps."""
    mantissa, exponent = math.frexp(1 + error / scale)
    t = 2 * mantissa - 1
    log2 = exponent - 1 + t * (1 + (1 - t) * (0.4427 + t * (0.0834 * t - 0.2474)))
    return scale * (0.6931471805599453 * log2)


@part
def _line(squares, i, j, y, motion, r, pad):
    """A row of the patch (i, j) by a vector of reference r."""
    down, right = motion[1 + 2 * r], motion[2 + 2 * r]
    top = min(max(16 * i + (down >> 2) + pad, 0), squares.shape[1] - 16)
    left = min(max(16 * j + (right >> 2) + pad, 0), squares.shape[2] - 16)
    return squares[(down & 3) * 4 + (right & 3), top + y, left:]


@part
def _error(picture, first, second, i, j, motion, refs, pad, side):
    """Sum of squared errors of a patch by a motion [5]; `side` is 16, which is not to be known before."""
    total = np.int32(0)
    use = motion[0] if refs > 1 else np.int64(1)
    for y in range(side):
        own = picture[16 * i + y, 16 * j :]
        if use == 1 or use == 2:
            line = _line(first, i, j, y, motion, 0, pad) if use == 1 else _line(second, i, j, y, motion, 1, pad)
            for x in range(side):
                difference = np.int32(np.int32(line[x]) - np.int32(own[x]))
                total = np.int32(total + np.int32(difference * difference))
        else:
            line, other = _line(first, i, j, y, motion, 0, pad), _line(second, i, j, y, motion, 1, pad)
            for x in range(side):
                mean = np.int32((np.int32(line[x]) + np.int32(other[x]) + np.int32(1)) >> np.int32(1))
                difference = np.int32(mean - np.int32(own[x]))
                total = np.int32(total + np.int32(difference * difference))
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
def _same(a, b):
    for n in range(5):  # noqa: SIM110
        if a[n] != b[n]:
            return False
    return True


@compiled(
    "void(uint8[:, ::1], uint8[:, :, ::1], uint8[:, :, ::1], int32[:, :, :, ::1], float64[:, ::1], float64[:, ::1], "
    "float64[::1], float64[::1], float64, int64, int64, int32[:, :, ::1])"
)
def settle(picture, first, second, found, scales, prices, taken_over, bits, new, pad, side, motions):
    """Motions of all patches, in `motions`.

    Args:
        picture: luma [16 h, 16 w].
        first, second: those of the references at all quarters of a pixel; of one alone twice the same.
        found: [R, h, w, 2], the best vectors to each.
        scales: errors of patches from which on they count less, [h, w].
        prices: of a bit, [h, w].
        taken_over: bits of the first, second ... candidate.
        bits: of components of differences.
        new: bits of a motion that is not taken over.
        pad: of the references.
        side: of a patch, 16.
        motions: [h, w, 1 + 2 R].
    """
    h, w = motions.shape[0], motions.shape[1]
    refs = len(found)
    fits = first.shape[0] == 16 and first.shape[1] >= 16 and first.shape[2] >= 16 and first.shape == second.shape
    if not fits or side != 16 or picture.shape[0] < 16 * h or picture.shape[1] < 16 * w:
        return
    known = np.zeros((h, w, 5), np.int64)
    choices, near = np.zeros((7, 5), np.int64), np.zeros((3, 5), np.int64)
    many = len(bits) - 1
    for i in range(h):
        for j in range(w):
            corner = j + 1 if j + 1 < w else max(j - 1, 0)
            count = 0
            for a in range(4):
                motion = choices[count]
                for n in range(5):
                    motion[n] = 0
                    if a == 0 and j:
                        motion[n] = known[i, j - 1, n]
                    elif a == 1 and i:
                        motion[n] = known[i - 1, j, n]
                    elif a == 2 and i:
                        motion[n] = known[i - 1, corner, n]
                    elif a == 3 and n == 0:
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
                    total = 0.0
                    for r in range(2):
                        for n in range(2):
                            motion[1 + 2 * r + n] = found[r, i, j, n] if use >> r & 1 else 0
                        if use >> r & 1:
                            down = abs(motion[1 + 2 * r] - _expected(near, 0, r))
                            right = abs(motion[2 + 2 * r] - _expected(near, 1, r))
                            total += bits[min(down, many)] + bits[min(right, many)]
                    cost = prices[i, j] * (new + total)
                error = _error(picture, first, second, i, j, motion, refs, pad, side)
                cost = saturated(np.float64(error), scales[i, j]) + cost
                if cost < least:
                    best, least = c, cost
            for n in range(5):
                known[i, j, n] = choices[best, n]
            for n in range(1 + 2 * refs):
                motions[i, j, n] = choices[best, n]

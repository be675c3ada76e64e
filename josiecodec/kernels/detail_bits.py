"""Coefficients of a detail layer bit by bit: see `coding/detail_bits.py`, which this follows line by line.

State of a coder, int64: low end (of a decoder: the code), range, byte held back, bytes pending, bytes of the data that
are written or read, whether it reads, and the state of the quantizers.
"""

from __future__ import annotations

import numpy as np

from .compiling import compiled, part

_LOW, _RANGE, _CACHE, _PENDING, _AT, _READS, _MACHINE = range(7)
_TOP, _WORD = 1 << 24, 0xFFFFFFFF
_MOST_LOGIT = 2047


@part
def _normalize(s, data):
    while s[_RANGE] < _TOP:
        s[_RANGE] = (s[_RANGE] << 8) & _WORD
        low = s[_LOW]
        if s[_READS]:
            byte = np.int64(data[s[_AT]]) if s[_AT] < len(data) else 0
            s[_LOW] = ((low << 8) | byte) & _WORD
            s[_AT] += 1
            continue
        if low < 0xFF000000 or low > _WORD:
            carry = low >> 32
            data[s[_AT]] = np.uint8((s[_CACHE] + carry) & 0xFF)
            s[_AT] += 1
            for _ in range(s[_PENDING] - 1):
                data[s[_AT]] = np.uint8((0xFF + carry) & 0xFF)
                s[_AT] += 1
            s[_PENDING] = 0
            s[_CACHE] = (low >> 24) & 0xFF
        s[_PENDING] += 1
        s[_LOW] = (low << 8) & _WORD


@part
def _bit(s, data, likely, bit):
    bound = (s[_RANGE] >> 15) * likely
    if s[_READS]:
        bit = np.int64(s[_LOW] // (s[_RANGE] >> 15) < likely)
    if bit:
        s[_RANGE] = bound
    else:
        s[_RANGE] = (s[_RANGE] >> 15) * (32768 - likely)
        if s[_READS]:
            s[_LOW] -= bound
        else:
            s[_LOW] += bound
    _normalize(s, data)
    return bit


@part
def _raw(s, data, value, bits):
    step = s[_RANGE] >> bits
    if s[_READS]:
        value = min(s[_LOW] // step, (1 << bits) - 1)
        s[_LOW] -= step * value
    else:
        s[_LOW] += step * value
    s[_RANGE] = step
    _normalize(s, data)
    return value


@part
def _class(x):
    if x < 3:
        return x
    if x < 5:
        return 3
    if x < 8:
        return 4
    if x < 13:
        return 5
    return 6 if x < 21 else 7


@compiled(
    "void(int64, int64[::1], int64[:, ::1], int64[:, ::1], int16[:, ::1], int16[:, ::1], int16[:, :, ::1], "
    "int64[:, ::1], int64[:, ::1], int64[::1], int64[::1], int64[::1], int64[::1], int64[::1], int64[:, :, ::1], "
    "int64, int64[::1], uint8[::1])"
)
def code_row(
    i, members, near, scales, symbols, levels, seen, after, decisions, odds, logits, rates, chances, counts, weights,
    rest_bits, s, data,
):  # fmt: skip
    """Code the coefficients `members` of a row of blocks.

    Args:
        i: the row.
        members: [n], and `near` of all coefficients [192, 5], see `detail_bits.near_coefficients`.
        scales, symbols: [W, n], of the row; negative scales are not coded. Decoded symbols are written.
        levels: [W, n], what symbols stand for in half steps; written.
        seen: [H, W, 192], all symbols that were coded before; this row's are added.
        after: state after each one [8, 2].
        decisions: logits that a size is more than d, if it is not less [2 S, M].
        odds, logits, rates: tables of `entropy/mixing.py`.
        chances, counts: of all contexts; changed.
        weights: of the guesses for each decision and eighth of the scales, of this pass [3, 8, 7]; changed.
        rest_bits: of sizes from M on.
        s, data: state, and room or bytes.
    """
    most, tables = decisions.shape[1], len(decisions) // 2
    width = seen.shape[1]
    share = 6 * tables * 8
    x, index = np.zeros(7, np.int64), np.zeros(5, np.int64)
    limit = len(rates) - 1
    x[6] = 64
    for j in range(width):
        for k in range(len(members)):
            scale = scales[j, k]
            if scale < 0:
                continue
            scale = min(scale, tables - 1)
            c = members[k]
            sides, wide, inside = 0, 0, 0
            if j > 0:
                sides += 2 * abs(np.int64(seen[i, j - 1, c]))
            if i > 0:
                sides += 2 * abs(np.int64(seen[i - 1, j, c]))
                if j > 0:
                    sides += abs(np.int64(seen[i - 1, j - 1, c]))
                if j + 1 < width:
                    sides += abs(np.int64(seen[i - 1, j + 1, c]))
            if j > 1:
                wide += 2 * abs(np.int64(seen[i, j - 2, c]))
            if i > 1:
                wide += 2 * abs(np.int64(seen[i - 2, j, c]))
            for t in range(5):
                other = near[c, t]
                if other >= 0:
                    times = 2 - (t == 2) + (t == 4)
                    inside += times * abs(np.int64(seen[i, j, other]))
                    if t < 2 and j > 0:
                        wide += abs(np.int64(seen[i, j - 1, other]))
                    if t < 2 and i > 0:
                        wide += abs(np.int64(seen[i - 1, j, other]))
            a, b = _class(sides), _class(inside)
            w = _class(wide)
            q, band = s[_MACHINE] >> 2, scale * 8 // tables
            value = np.int64(symbols[j, k])
            size, d = abs(value), 0
            while d < most:
                row = min(d, 2)
                place = ((row * 2 + q) * tables + scale) * 8
                index[0] = place + a
                index[1] = share + place + b
                index[2] = 2 * share + place + w
                index[3] = 3 * share + (row * 192 + c) * 8 + ((a + b) >> 1)
                index[4] = 3 * share + 3 * 192 * 8 + ((row * 8 + a) * 8 + b) * 8 + w
                total = np.int64(0)
                for t in range(5):
                    x[t] = logits[chances[index[t]] >> 4]
                x[5] = decisions[q * tables + scale, d]
                for t in range(7):
                    total += weights[row, band, t] * x[t]
                total = min(max(total >> 16, -_MOST_LOGIT), _MOST_LOGIT)
                likely = odds[total + _MOST_LOGIT]
                bit = _bit(s, data, likely, np.int64(size > d))
                error = (bit << 15) - likely
                for t in range(7):
                    weights[row, band, t] += (x[t] * error + 32768) >> 16
                for t in range(5):
                    n = index[t]
                    chances[n] += ((bit * 65535 - chances[n]) * rates[counts[n]]) >> 15
                    counts[n] = min(counts[n] + 1, limit)
                if not bit:
                    break
                d += 1
            if s[_READS]:
                size = np.int64(d)
            if d == most:
                size = most + _raw(s, data, size - most, rest_bits)
            if size:
                negative = _raw(s, data, np.int64(value < 0), 1)
                symbols[j, k] = -size if negative else size
            elif s[_READS]:
                symbols[j, k] = 0
            seen[i, j, c] = symbols[j, k]
            level = 2 * size - q if size else 0
            levels[j, k] = -level if symbols[j, k] < 0 else level
            s[_MACHINE] = after[s[_MACHINE], size & 1]

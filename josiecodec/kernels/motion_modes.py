"""Writes and reads how patches of a picture are predicted, with mixed probabilities: see `bitstream/motion_mixed.py`.

Where nothing is compiled the same code is interpreted (`kernels.interpreted`), with lists for the arrays of one axis:
it uses nothing that numba and Python understand differently. State of a coder: low end (of a decoder: the code), range,
byte held back, bytes pending, bytes of the data that are written or read, and whether it reads.
"""

from __future__ import annotations

import numpy as np

from .compiling import compiled, part

_LOW, _RANGE, _CACHE, _PENDING, _AT, _READS = range(6)
_TOP, _WORD = 1 << 24, 0xFFFFFFFF
_SKIP, _MERGE, _WHICH, _USES, _SPLIT, _VECTOR = range(6)  # elements
_MAX_VECTOR = 2  # of `limits`
_OF_VECTOR = 2  # an error
_MOST_LOGIT = 2047
_BIAS = 64
_ROOM = 1 << 12  # bytes that the motion of a patch may take, and more


@part
def _shift(s, data):
    low = s[_LOW]
    if low < 0xFF000000 or low > _WORD:
        carry = low >> 32
        data[s[_AT]] = (s[_CACHE] + carry) & 0xFF
        s[_AT] += 1
        for _ in range(s[_PENDING] - 1):
            data[s[_AT]] = (0xFF + carry) & 0xFF
            s[_AT] += 1
        s[_PENDING] = 0
        s[_CACHE] = (low >> 24) & 0xFF
    s[_PENDING] += 1
    s[_LOW] = (low << 8) & _WORD


@part
def _normalize(s, data):
    while s[_RANGE] < _TOP:
        s[_RANGE] = (s[_RANGE] << 8) & _WORD
        if s[_READS]:
            byte = int(data[s[_AT]]) if s[_AT] < len(data) else 0
            s[_LOW] = ((s[_LOW] << 8) | byte) & _WORD
            s[_AT] += 1
        else:
            _shift(s, data)


@part
def _raw(s, data, value, bits):
    if bits:
        step = s[_RANGE] >> bits
        if s[_READS]:
            value = min(s[_LOW] // step, (1 << bits) - 1)
            s[_LOW] -= step * value
        else:
            s[_LOW] += step * value
        s[_RANGE] = step
        _normalize(s, data)
        return value
    return 0


@part
def _bit(s, data, m, element, own, count, bit):
    """Code a bit with the guesses of an element, whose contexts are in `index`; gives it back.

    `own` is which of the weights of the element are used, `count` how many guesses it has.
    """
    chances, counts, weights, at, odds, logits, rates, x, index = m
    begin = 8 * (at[8 * element] + own)
    total = 0
    for t in range(count):
        index[t] += at[8 * element + 1 + t]
        x[t] = logits[chances[index[t]] >> 4]
        total += weights[begin + t] * x[t]
    x[count] = _BIAS
    total = (total + weights[begin + count] * _BIAS) >> 16
    likely = odds[min(max(total, -_MOST_LOGIT), _MOST_LOGIT) + _MOST_LOGIT]
    part_of = s[_RANGE] >> 15
    bound = part_of * likely
    if s[_READS]:
        bit = 1 if s[_LOW] < bound else 0
    if bit:
        s[_RANGE] = bound
    else:
        if s[_READS]:
            s[_LOW] -= bound
        else:
            s[_LOW] += bound
        s[_RANGE] -= bound
    _normalize(s, data)
    error = (bit << 15) - likely
    for t in range(count + 1):
        weights[begin + t] += (x[t] * error + 16384) >> 15
    for t in range(count):
        n = index[t]
        chances[n] += ((bit * 65535 - chances[n]) * rates[counts[n]]) >> 15
        counts[n] = min(counts[n] + 1, len(rates) - 1)
    return bit


@part
def _roomy(s, data):
    """Room for more bytes of an encoder."""
    if s[_READS] or s[_AT] + s[_PENDING] + _ROOM <= len(data):
        return data
    more = np.empty(2 * len(data) + s[_PENDING] + _ROOM, np.uint8)
    for n in range(s[_AT]):
        more[n] = data[n]
    return more


@part
def _same(a, b):
    for n in range(5):  # noqa: SIM110
        if a[n] != b[n]:
            return False
    return True


@part
def _copy(into, motion):
    for n in range(5):
        into[n] = motion[n]


@part
def _add(known, count, motion):
    if not motion[0]:
        return count
    for n in range(count):
        if _same(known[n], motion):
            return count
    _copy(known[count], motion)
    return count + 1


@part
def _candidates(cells, carried, i, j, refs, known):
    """Puts motions that a patch may take over into `known` [6, 5]; how many there are."""
    columns = cells.shape[1]
    count = 0
    if j:
        count = _add(known, count, cells[2 * i, 2 * j - 1])
    if i:
        count = _add(known, count, cells[2 * i - 1, 2 * j])
        corner = 2 * j + 2 if 2 * j + 2 < columns else (2 * j - 1 if j else columns - 1)
        count = _add(known, count, cells[2 * i - 1, corner])
    for n in range(min(carried.shape[2], 2)):
        count = _add(known, count, carried[i, j, n])
    still = known[5]
    for n in range(5):
        still[n] = 0
    still[0] = (1 << refs) - 1
    return _add(known, count, still)


@part
def _expected(known, count, use, c, found):
    """Into `found` what component c is likely to be, the median of those that use the reference or the first, and how
    much they differ."""
    n_found, first, low, high, total = 0, 0, 1 << 40, -(1 << 40), 0
    for n in range(min(count, 3)):
        if known[n, 0] >> (c >> 1) & 1:
            value = int(known[n, 1 + c])
            first = value if not n_found else first
            low, high, total = min(low, value), max(high, value), total + value
            n_found += 1
    found[0] = total - low - high if n_found == 3 else first
    found[1] = 4 if not n_found else _spread(high - low)


@part
def _spread(x):
    if x < 2:
        return x
    return 2 if x < 6 else 3


@part
def _vector_bit(s, data, m, v, c, later, spread, use, other, bit):
    index = m[8]
    index[0] = ((c & 1) * 2 + later) * 10 + v
    index[1] = ((spread * 2 + (c & 1)) * 2 + later) * 10 + v
    index[2] = (use * 2 + (c >> 1)) * 10 + v
    index[3] = (other * 2 + later) * 10 + v
    return _bit(s, data, m, _VECTOR, later, 4, bit)


@part
def _difference(s, data, m, c, later, spread, use, other, value):
    if not _vector_bit(s, data, m, 0, c, later, spread, use, other, 1 if value else 0):
        return 0
    negative = _raw(s, data, 1 if value < 0 else 0, 1)
    value = abs(value) - 1
    size = -1
    for u in range(6):
        if not _vector_bit(s, data, m, 1 + u, c, later, spread, use, other, 1 if value > u else 0):
            size = u
            break
    if size < 0:
        rest, bits = value - 5, 0
        while bits < 15 and _vector_bit(
            s, data, m, 7 + min(bits, 2), c, later, spread, use, other, 1 if rest >> (bits + 1) > 0 else 0
        ):
            bits += 1
        size = 5 + (1 << bits) + _raw(s, data, rest - (1 << bits), bits)
    size += 1
    return -size if negative else size


@part
def _motion(s, data, m, limits, cells, carried, i, j, refs, wanted, residual, known, kinds, past, found):
    """Codes how a patch is predicted, and puts it into `cells`: 0 with its own vectors, 1 merged, 2 skipped, 3 error.

    `wanted` is [4, 5], only what an encoder is given; `kinds` of the patches of this picture, `past` [4, h, w].
    """
    h, w = kinds.shape
    index = m[8]
    count = _candidates(cells, carried, i, j, refs, known)
    many = min(count, 4)
    reads = s[_READS] != 0
    whole = not reads and _same(wanted[0], wanted[1]) and _same(wanted[0], wanted[2]) and _same(wanted[0], wanted[3])
    which = -1
    if whole:
        for n in range(count - 1, -1, -1):
            if _same(known[n], wanted[0]):
                which = n
    left = int(kinds[i, j - 1]) if j else 0
    above = int(kinds[i - 1, j]) if i else 0
    corner = int(kinds[i - 1, j + 1]) if i and j + 1 < w else 0
    skips = (1 if left == 2 else 0) + (1 if above == 2 else 0)
    old, same = int(past[3, i, j]), int(past[found[2], i, j])
    rest = (1 if j + 1 < w and past[3, i, j + 1] else 0) + (1 if i + 1 < h and past[3, i + 1, j] else 0)
    index[0] = skips
    index[1] = (skips * 2 + (1 if corner == 2 else 0)) * 4 + same
    index[2] = (old * 4 + same) * 3 + rest
    index[3] = (skips * 4 + old) * 3 + rest
    index[4] = many
    skipped = _bit(s, data, m, _SKIP, 0, 5, 1 if which >= 0 and not residual else 0)
    merged = skipped
    merges = (1 if left else 0) + (1 if above else 0)
    if not skipped:
        index[0] = 0
        index[1] = old * 3 + merges
        index[2] = many * 3 + merges
        index[3] = skips
        merged = _bit(s, data, m, _MERGE, 0, 4, 1 if which >= 0 else 0)
    if merged:
        n = 0
        while n < count - 1:
            index[0] = min(n, 2)
            index[1] = index[0] * 5 + many
            index[2] = (index[0] * 3 + merges) * 2 + skipped
            index[3] = (index[0] * 3 + left) * 3 + above
            if not _bit(s, data, m, _WHICH, 0, 4, 1 if which > n else 0):
                break
            n += 1
        for c in range(4):
            _copy(cells[2 * i + c // 2, 2 * j + c % 2], known[n])
        return 2 if skipped else 1
    use = int(wanted[0, 0]) if not reads else 0
    kind = int(known[0, 0])
    over = int(cells[2 * i - 1, 2 * j, 0]) if i else 0
    if refs == 1:
        use = _use_bit(s, data, m, 8, kind, over, 1 if use else 0)
    elif _use_bit(s, data, m, kind, kind, over, 1 if use == 3 else 0):
        use = 3
    elif _use_bit(s, data, m, 0, kind, over, 1 if use == 0 else 0):
        use = 0
    else:
        use = 1 + _use_bit(s, data, m, 4 + kind, kind, over, 1 if use == 2 else 0)
    split = 0
    if use:
        index[0] = 0
        index[1] = use * 3 + merges
        split = _bit(s, data, m, _SPLIT, 0, 2, 1 if not reads and not whole else 0)
    most = limits[_MAX_VECTOR]
    other = 0
    for n in range(4):
        own = cells[2 * i + n // 2, 2 * j + n % 2]
        if n and not split:
            _copy(own, cells[2 * i, 2 * j])
            continue
        before = cells[2 * i + (n - 1) // 2, 2 * j + (n - 1) % 2]  # of n = 0 not used
        for c in range(5):
            own[c] = 0
        own[0] = use
        for c in range(2 * refs):
            if use >> (c >> 1) & 1:
                if n:
                    found[0], found[1] = int(before[1 + c]), 0
                else:
                    _expected(known, count, use, c, found)
                difference = 0 if reads else int(wanted[n, 1 + c]) - found[0]
                difference = _difference(s, data, m, c, 1 if n else 0, found[1], use, other, difference)
                value = found[0] + difference
                if abs(difference) > 2 * most or abs(value) > most:
                    return 3
                own[1 + c] = value
                other = 1 + _spread(abs(difference))
    return 0


@part
def _use_bit(s, data, m, u, kind, over, bit):
    index = m[8]
    index[0] = u
    index[1] = (u * 4 + kind) * 4 + over
    return _bit(s, data, m, _USES, 0, 2, bit)


@part
def _any(values):
    for k in range(len(values)):  # noqa: SIM110
        if values[k]:
            return True
    return False


@compiled(
    "Tuple((int64, uint8[::1]))(int64[::1], uint8[::1], UniTuple(int64[::1], 9), int64[::1], int64, int64, "
    "uint8[:, ::1], int16[:, :, :, ::1], int16[:, :, :, ::1], int64[:, :, :, ::1], uint8[:, :, ::1], uint8[:, ::1])"
)
def code(s, data, m, limits, layer, refs, uses, vectors, levels, carried, past, kinds):
    """Writes or reads how the patches of a picture are predicted.

    Args:
        s, data: state of the coder, and the bytes it reads, or room for those it writes.
        m: chances and counts of all contexts, weights, where those of each element begin, tables of
            `entropy/mixing.py` (odds, logits, rates), room for guesses and for contexts [8].
        limits: the largest numbers that there may be.
        layer, refs: of the picture.
        uses, vectors, levels: as of a `MotionPicture`, all of them contiguous; of an encoder.
        carried: [h, w, K, 5], motions that patches may take over from pictures before; at most two are used.
        past: [4, h, w], of the last pictures of each layer and of the last one, what patches were.
        kinds: [h, w], 0 of patches with their own motion, 1 if that of another, 2 if skipped; written.

    Returns:
        The kind of error, or 0, and the bytes: more than there are in `s`.
    """
    h, w = kinds.shape
    reads = s[_READS] != 0
    cells = np.zeros((2 * h, 2 * w, 5), np.int64)
    wanted, known = np.zeros((4, 5), np.int64), np.zeros((6, 5), np.int64)
    found = np.zeros(3, np.int64)
    found[2] = layer
    for i in range(h):
        for j in range(w):
            data = _roomy(s, data)
            some = False
            if not reads:
                for n in range(6):
                    some = some or _any(levels[i, j, n])
                for n in range(4):
                    a, b = 2 * i + n // 2, 2 * j + n % 2
                    for r in range(5):
                        wanted[n, r] = 0
                    wanted[n, 0] = uses[a, b]
                    for r in range(refs):
                        if uses[a, b] >> r & 1:
                            wanted[n, 1 + 2 * r] = vectors[r, a, b, 0]
                            wanted[n, 2 + 2 * r] = vectors[r, a, b, 1]
            kind = _motion(s, data, m, limits, cells, carried, i, j, refs, wanted, some, known, kinds, past, found)
            if kind == 3:
                return _OF_VECTOR, data
            kinds[i, j] = kind
            if reads:
                for n in range(4):
                    a, b = 2 * i + n // 2, 2 * j + n % 2
                    uses[a, b] = cells[a, b, 0]
                    for r in range(refs):
                        vectors[r, a, b, 0] = cells[a, b, 1 + 2 * r]
                        vectors[r, a, b, 1] = cells[a, b, 2 + 2 * r]
    return 0, data

"""Writes and reads levels of a picture with mixed probabilities: see `bitstream/motion_mixed.py`.

Like `kernels/motion_modes.py` it is interpreted where nothing is compiled; the state of a coder is the same.
"""

from __future__ import annotations

import numpy as np

from .compiling import compiled, part

_LOW, _RANGE, _CACHE, _PENDING, _AT, _READS = range(6)
_TOP, _WORD = 1 << 24, 0xFFFFFFFF
_CODED, _PATTERN, _SHAPE, _FINER, _SIGNIFICANT, _LAST, _LARGE = range(6, 13)  # elements
_MAX_LEVEL, _MAX_OFFSET, _, _UNIT = range(4)  # of `limits`
_OF_STEP, _OF_LEVEL = 1, 3  # errors
_MOST_LOGIT = 2047
_BIAS = 64
_ROOM = 1 << 15  # bytes that the levels of a patch may take, and more


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
def _class(x):
    """Of a sum of sizes, one of eight."""
    if x < 5:
        return min(x, 3)
    if x < 13:
        return 4 if x < 8 else 5
    return 6 if x < 21 else 7


@part
def _amount(x):
    """Of how many levels there are, one of six."""
    if x < 5:
        return min(x, 3)
    return 4 if x < 9 else 5


@part
def _near(x):
    """Of a difference, one of five."""
    return min(max(x + 2, 0), 4)


@part
def _size_bit(s, data, m, kind, u, count, place, inside, sides, last, step, bit):
    index = m[8]
    quarter = min(place, 11) // 3
    index[0] = ((kind * 2 + min(count, 1)) * 2 + (1 if place < 3 else 0)) * 6 + u
    index[1] = (kind * 8 + inside) * 6 + u
    index[2] = ((kind * 8 + sides) * 4 + quarter) * 6 + u
    index[3] = (kind * 12 + place) * 6 + u
    index[4] = ((kind * 5 + min(last, 4)) * 4 + min(count, 3)) * 6 + u
    index[5] = ((kind * 12 + step) * 4 + quarter) * 6 + u
    return _bit(s, data, m, _LARGE, kind * 6 + u, 6, bit)


@part
def _size(s, data, m, kind, count, place, inside, sides, last, step, value):
    """Code how much larger than 1 a level is."""
    for u in range(3):
        if not _size_bit(s, data, m, kind, u, count, place, inside, sides, last, step, 1 if value > u else 0):
            return u
    rest, size = value - 2, 0
    while size < 15 and _size_bit(
        s, data, m, kind, 3 + min(size, 2), count, place, inside, sides, last, step, 1 if rest >> (size + 1) > 0 else 0
    ):
        size += 1
    return 2 + (1 << size) + _raw(s, data, rest - (1 << size), size)


@part
def _block(s, data, m, tables, kind, own, beside, around, most):
    """Code the levels `own` of a block that has some, in scan order; an error or 0.

    `beside` has sizes in the blocks around at each place, `around` what is known of these: see `_levels`.
    """
    places, near, first, length = tables
    index = m[8]
    energy, inner, past, step, end_left, end_above = around[0], around[1], around[2], around[3], around[4], around[5]
    begin, count_all = first[kind], length[kind]
    end = count_all - 1
    while end and not own[end]:
        end -= 1
    before = count = last = 0
    for k in range(count_all):
        place = places[begin + k]
        quarter = place // 3
        inside = 0
        for t in range(5):
            other = near[5 * (begin + k) + t]
            if other >= 0:
                inside += (2 if t < 2 else 1) * abs(own[other])
        inside, sides = _class(inside), _class(beside[k])
        some = 1
        if k < count_all - 1:
            index[0] = (kind * 12 + place) * 4 + min(before, 3)
            index[1] = (begin + k) * 3 + min(count, 2)
            index[2] = ((kind * 8 + inside) * 8 + sides) * 4 + quarter
            index[3] = (kind * 12 + place) * 6 + energy
            index[4] = (kind * 12 + place) * 8 + inside
            index[5] = (kind * 12 + step) * 12 + place
            index[6] = ((kind * 6 + inner) * 4 + past) * 4 + quarter
            some = _bit(s, data, m, _SIGNIFICANT, kind * 4 + quarter, 7, 1 if own[k] else 0)
        if not some:
            own[k] = 0
            before = before // 2
            continue
        negative = _raw(s, data, 1 if own[k] < 0 else 0, 1)
        size = 1 + _size(s, data, m, kind, count, place, inside, sides, last, step, abs(own[k]) - 1)
        if size > most:
            return _OF_LEVEL
        own[k] = -size if negative else size
        count += 1
        before, last = (before + 1) // 2 + (1 if size == 1 else 2), size
        if k < count_all - 1:
            further = (1 if end_left > place else 0) + (1 if end_above > place else 0)
            index[0] = (kind * 12 + place) * 2 + (1 if count > 1 else 0)
            index[1] = begin + k
            index[2] = (kind * 12 + place) * 6 + energy
            index[3] = ((kind * 8 + min(count, 7)) * 4 + min(before, 3)) * 4 + quarter
            index[4] = (kind * 12 + place) * 3 + further
            index[5] = (kind * 12 + step) * 4 + quarter
            if _bit(s, data, m, _LAST, kind * 4 + quarter, 6, 1 if k == end else 0):
                for n in range(k + 1, count_all):
                    own[n] = 0
                return 0
    return 0


@part
def _finer_bit(s, data, m, u, ahead, over, bit):
    index = m[8]
    index[0] = u
    index[1] = u * 5 + ahead
    index[2] = (u * 5 + ahead) * 5 + over
    return _bit(s, data, m, _FINER, 0, 3, bit)


@part
def _offset(s, data, m, most, ahead, over, value):
    """Code by how much the offset of a step differs from that of the patch before."""
    if not _finer_bit(s, data, m, 0, ahead, over, 1 if value else 0):
        return 0
    negative = _finer_bit(s, data, m, 1, ahead, over, 1 if value < 0 else 0)
    size = 1
    while size < 2 * most and _finer_bit(s, data, m, 2 + min(size - 1, 2), ahead, over, 1 if abs(value) > size else 0):
        size += 1
    return -size if negative else size


@part
def _any(values):
    for k in range(len(values)):  # noqa: SIM110
        if values[k]:
            return True
    return False


@part
def _levels(s, data, m, tables, limits, levels, many, ends, shapes, past, i, j, kind, shaped, step, room):
    """Codes the levels of patch (i, j), and how many each block has; an error or 0.

    `kind` is that of its motion; `many` [h, w, 6] and `ends` have of each block how many levels, and the place of the
    last one and 1 more.
    """
    index, fold = m[8], tables[4]
    own, beside, around = room
    reads = s[_READS] != 0
    mine = levels[i, j]
    old, same = int(past[3, i, j]), int(past[around[2], i, j])
    lefts = aboves = 0
    for n in range(6):
        lefts += int(many[i, j - 1, n]) if j else 0
        aboves += int(many[i - 1, j, n]) if i else 0
    wanted, luma = 0, 0
    if not reads:
        for n in range(6):
            if _any(mine[n]):
                wanted |= 1 << n
    merged = 1 if kind else 0
    neighbours = (1 if lefts else 0) + (1 if aboves else 0)
    index[0] = neighbours
    index[1] = (old * 3 + neighbours) * 2 + merged
    index[2] = same * 3 + neighbours
    index[3] = _amount((lefts + aboves) // 2) * 2 + merged
    index[4] = step * 2 + merged
    if not _bit(s, data, m, _CODED, 0, 5, 1 if wanted else 0):
        shapes[i, j] = 0
        return 0
    shape = 0
    if shaped:
        flags = (int(shapes[i, j - 1]) if j else 0) + (int(shapes[i - 1, j]) if i else 0)
        index[0] = flags
        index[1] = _amount((lefts + aboves) // 2) * 3 + flags
        index[2] = step * 2 + merged
        shape = _bit(s, data, m, _SHAPE, 0, 3, 1 if not reads and shapes[i, j] and wanted & 15 else 0)
    shapes[i, j] = shape
    pattern = 15 if shape else 0
    most = limits[_MAX_LEVEL]
    around[2] = same
    around[3] = step
    for n in range(6):
        if shape and 0 < n < 4:
            continue
        chroma = 0 if n < 4 else n - 3
        left, beside_n = (j, n - 1) if n == 1 or n == 3 else (j - 1, n if chroma else n + 1)
        over, above_n = (i, n - 2) if n == 2 or n == 3 else (i - 1, n if chroma else n + 2)
        a, b, c, d = 0, 0, 0, 0  # levels of the blocks beside, and whether they end late
        if left >= 0:
            a, c = int(many[i, left, beside_n]), int(ends[i, left, beside_n])
        if over >= 0:
            b, d = int(many[over, j, above_n]), int(ends[over, j, above_n])
        some = 1
        if not (shape and not chroma) and (n < 5 or pattern):
            flags = (1 if a else 0) + (1 if b else 0)
            index[0] = chroma * 3 + flags
            index[1] = (n * 3 + flags) * 4 + old
            index[2] = n * 32 + (pattern & 31)
            index[3] = chroma * 6 + _amount(a + b)
            index[4] = chroma * 12 + step
            some = _bit(s, data, m, _PATTERN, chroma, 5, wanted >> n & 1)
        many[i, j, n] = ends[i, j, n] = 0
        if not some:
            continue
        pattern |= 1 << n
        around[0], around[1], around[4], around[5] = _amount(a + b if chroma else (a + b + 1) // 2), _amount(luma), c, d
        if n == 5:
            around[1] = _amount(luma) if not pattern & 16 else 5
        if shape and not chroma:
            for k in range(256):
                p, q = fold[k] >> 6, fold[k] & 63
                own[k] = int(mine[p, q])
                x = 2 * abs(int(levels[i, j - 1, p, q])) if j else 0
                beside[k] = x + (2 * abs(int(levels[i - 1, j, p, q])) if i else 0)
            error = _block(s, data, m, tables[:4], 2, own, beside, around, most)
            if error:
                return error
            total, end = 0, 0
            for k in range(256):
                if own[k]:
                    total, end = total + 1, k
                mine[fold[k] >> 6, fold[k] & 63] = own[k]
            for p in range(4):
                many[i, j, p] = (total + 3) // 4
                ends[i, j, p] = 1 + tables[0][tables[2][2] + end]
            luma += total
            continue
        times = 1 if chroma else 2
        for k in range(64):
            x = 2 * abs(int(mine[4, k])) if n == 5 else 0
            if left >= 0:
                x += times * abs(int(levels[i, left, beside_n, k]))
            if over >= 0:
                x += times * abs(int(levels[over, j, above_n, k]))
            own[k], beside[k] = int(mine[n, k]), x
        error = _block(s, data, m, tables[:4], 1 if chroma else 0, own, beside, around, most)
        if error:
            return error
        total, end = 0, 0
        for k in range(64):
            if own[k]:
                total, end = total + 1, k
            mine[n, k] = own[k]
        many[i, j, n], ends[i, j, n] = total, 1 + tables[0][tables[2][1 if chroma else 0] + end]
        luma += 0 if chroma else total
    return 0


@compiled(
    "Tuple((int64, uint8[::1]))(int64[::1], uint8[::1], "
    "UniTuple(int64[::1], 9), UniTuple(int64[::1], 5), int64[::1], int64, int64, boolean, boolean, "
    "int16[:, :, :, ::1], int8[:, ::1], uint8[:, ::1], uint8[:, :, ::1], int8[:, ::1], uint8[:, ::1], "
    "UniTuple(int64[::1], 3))"
)
def code(
    s, data, m, tables, limits, layer, step, varied, shaped, levels, offsets, shapes, past, offsets_before, kinds, room
):  # fmt: skip
    """Writes or reads the levels of a picture.

    Args:
        s, data, m, limits, layer, kinds: see `motion_modes.code`; `limits` has the unit of offsets as well.
        tables: of scans, one after the other of luma, chroma and luma of 16 x 16: places of coefficients, what is near
            them [5 each], where each scan begins and how long it is; where coefficients of 16 x 16 are kept.
        step: of the picture.
        varied, shaped: whether steps vary, and whether there are patches of 16 x 16.
        levels, offsets, shapes: as of a `MotionPicture`, all of them contiguous.
        past: [4, h, w], of the last pictures of each layer and of the last one, what patches were; changed.
        offsets_before: [h, w], offsets of the last levels of each patch; changed.
        room: [256], [256] and [6].

    Returns:
        The kind of error, or 0, and the bytes: more than there are in `s`.
    """
    h, w = levels.shape[0], levels.shape[1]
    many, ends = np.zeros((h, w, 6), np.int64), np.zeros((h, w, 6), np.int64)
    offset = 0
    for i in range(h):
        for j in range(w):
            data = _roomy(s, data)
            kind, total = int(kinds[i, j]), 0
            if kind == 2:
                shapes[i, j] = 0
            else:
                room[2][2] = layer
                own_step = min(max((step + limits[_UNIT] * offset - 32) // 8, 0), 11)
                error = _levels(
                    s, data, m, tables, limits, levels, many, ends, shapes, past, i, j, kind, shaped, own_step, room
                )
                if error:
                    return error, data
                for n in range(6):
                    total += int(many[i, j, n])
            if varied and total:
                most = limits[_MAX_OFFSET]
                ahead = _near(int(offsets_before[i, j]) - offset)
                over = _near(int(offsets_before[i - 1, j]) - offset) if i else 2
                offset += _offset(s, data, m, most, ahead, over, int(offsets[i, j]) - offset)
                if abs(offset) > most:
                    return _OF_STEP, data
                offsets[i, j] = offset
                offsets_before[i, j] = offset
            past[layer, i, j] = past[3, i, j] = (2 if total < 4 else 3) if total else (0 if kind == 2 else 1)
    return 0, data

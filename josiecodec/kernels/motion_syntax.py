"""Writes and reads the syntax of predicted pictures: see `bitstream/motion_syntax.py`, which this follows line by line.

State of a coder, int64: low end (of a decoder: the code), range, byte held back, bytes pending, bytes of the data that
are written or read, and whether it reads.
"""

from __future__ import annotations

import numpy as np

from .compiling import compiled, part

_LOW, _RANGE, _CACHE, _PENDING, _AT, _READS = range(6)
_TOP, _WORD = 1 << 24, 0xFFFFFFFF
_SKIP, _MERGE, _WHICH, _USES, _SPLIT, _CODED, _VECTOR, _PATTERN, _SIGNIFICANT, _LAST, _LARGE, _FINER = range(12)
_MAX_LEVEL, _MAX_OFFSET, _MAX_VECTOR = 12, 13, 14  # of `layout`, too
_MOST_OF_PATCH = 1 << 15  # bytes that a patch may take, and more: 384 levels of at most 30 bytes, and its motion
_OF_STEP, _OF_VECTOR, _OF_LEVEL = 1, 2, 3  # kinds of error


@part
def _shift(s, data):
    low = s[_LOW]
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
def _normalize(s, data):
    while s[_RANGE] < _TOP:
        s[_RANGE] = (s[_RANGE] << 8) & _WORD
        if s[_READS]:
            byte = np.int64(data[s[_AT]]) if s[_AT] < len(data) else 0
            s[_LOW] = ((s[_LOW] << 8) | byte) & _WORD
            s[_AT] += 1
        else:
            _shift(s, data)


@part
def _bit(s, data, contexts, index, bit):
    a, b = contexts[0, index], contexts[1, index]
    likely = min(max((a + b) >> 2, 24), (1 << 15) - 24)
    bound = (s[_RANGE] >> 15) * likely
    if s[_READS]:
        bit = s[_LOW] < bound
    if bit:
        s[_RANGE] = bound
        contexts[0, index] = a + ((65536 - a) >> 4)
        contexts[1, index] = b + ((65536 - b) >> 7)
    else:
        if s[_READS]:
            s[_LOW] -= bound
        else:
            s[_LOW] += bound
        s[_RANGE] -= bound
        contexts[0, index] = a - (a >> 4)
        contexts[1, index] = b - (b >> 7)
    _normalize(s, data)
    return bit


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
def _escape(s, data, contexts, index, unary, value):
    for i in range(unary):
        if not _bit(s, data, contexts, index + i, value > i):
            return i
    rest, size = value - unary + 1, 0
    while size < 15 and _bit(s, data, contexts, index + unary + min(size, 2), rest >> (size + 1) > 0):
        size += 1
    return unary - 1 + (1 << size) + _raw(s, data, rest - (1 << size), size)


@part
def _block(s, data, contexts, layout, places, levels, kind):
    significant = layout[_SIGNIFICANT] + 36 * kind
    last, large = layout[_LAST] + 24 * kind, layout[_LARGE] + 24 * kind
    end = 63
    while end and not levels[end]:
        end -= 1
    before = count = 0
    for k in range(64):
        level, place = np.int64(levels[k]), places[k]
        if k == 63 or _bit(s, data, contexts, significant + 3 * place + min(before, 2), level != 0):
            negative = _raw(s, data, np.int64(level < 0), 1)
            index = large + 6 * (min(count, 1) + 2 * np.int64(place < 3))
            size = 1 + _escape(s, data, contexts, index, 3, abs(level) - 1)
            if size > layout[_MAX_LEVEL]:
                return _OF_LEVEL
            levels[k] = -size if negative else size
            count += 1
            before = (before + 1) // 2 + (1 if size == 1 else 2)
            if k < 63 and _bit(s, data, contexts, last + 2 * place + np.int64(count > 1), k == end):
                return 0
        else:
            before = before // 2
    return 0


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
def _candidates(cells, i, j, refs, known):
    """Puts motions that a patch may take over into `known` [5, 5]; how many there are."""
    columns = cells.shape[1]
    count = np.int64(0)
    if j:
        count = _add(known, count, cells[2 * i, 2 * j - 1])
    if i:
        count = _add(known, count, cells[2 * i - 1, 2 * j])
        corner = 2 * j + 2 if 2 * j + 2 < columns else (2 * j - 1 if j else columns - 1)
        count = _add(known, count, cells[2 * i - 1, corner])
    still = known[4]
    for n in range(5):
        still[n] = 0
    still[0] = (1 << refs) - 1
    return _add(known, count, still)


@part
def _guess(known, count, use, c):
    """What component c is likely to be: the median of those that use the reference, or the first."""
    found, first, low, high, total = 0, 0, 1 << 40, -(1 << 40), 0
    for n in range(min(count, 3)):
        if known[n, 0] >> (c >> 1) & 1:
            value = known[n, 1 + c]
            first = value if not found else first
            low, high, total = min(low, value), max(high, value), total + value
            found += 1
    return total - low - high if found == 3 else first


@part
def _difference(s, data, contexts, index, value):
    if not _bit(s, data, contexts, index, value != 0):
        return 0
    negative = _raw(s, data, np.int64(value < 0), 1)
    size = 1 + _escape(s, data, contexts, index + 1, 6, abs(value) - 1)
    return -size if negative else size


@part
def _motion(s, data, contexts, layout, cells, i, j, refs, wanted, residual, neighbours, known):
    """Codes how a patch is predicted, and puts it into `cells`: 0, 1 if it is skipped, or -1 if a vector is too long.

    `wanted` is [4, 5], only what an encoder is given.
    """
    count = _candidates(cells, i, j, refs, known)
    reads = s[_READS] != 0
    whole = not reads and _same(wanted[0], wanted[1]) and _same(wanted[0], wanted[2]) and _same(wanted[0], wanted[3])
    which = -1
    if whole:
        for n in range(count - 1, -1, -1):
            if _same(known[n], wanted[0]):
                which = n
    skipped = _bit(s, data, contexts, layout[_SKIP] + neighbours, which >= 0 and not residual)
    if skipped or _bit(s, data, contexts, layout[_MERGE], which >= 0):
        n = 0
        while n < count - 1 and _bit(s, data, contexts, layout[_WHICH] + n, which > n):
            n += 1
        for m in range(4):
            _copy(cells[2 * i + m // 2, 2 * j + m % 2], known[n])
        return 1 if skipped else 0
    use = wanted[0, 0] if not reads else 0
    kind, uses = known[0, 0], layout[_USES]
    if refs == 1:
        use = np.int64(_bit(s, data, contexts, uses + 8, use != 0))
    elif _bit(s, data, contexts, uses + kind, use == 3):
        use = 3
    elif _bit(s, data, contexts, uses, use == 0):
        use = 0
    else:
        use = 1 + np.int64(_bit(s, data, contexts, uses + 4 + kind, use == 2))
    split = False
    if use:
        split = _bit(s, data, contexts, layout[_SPLIT], not reads and not whole)
    most = layout[_MAX_VECTOR]
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
                expected = before[1 + c] if n else _guess(known, count, use, c)
                difference = 0 if reads else wanted[n, 1 + c] - expected
                index = layout[_VECTOR] + 20 * (c & 1) + 10 * np.int64(n > 0)
                difference = _difference(s, data, contexts, index, difference)
                value = expected + difference
                if abs(difference) > 2 * most or abs(value) > most:
                    return -1
                own[1 + c] = value
    return 0


@part
def _offset(s, data, contexts, finer, most, value):
    if not _bit(s, data, contexts, finer, value != 0):
        return 0
    negative = _bit(s, data, contexts, finer + 1, value < 0)
    size = 1
    while size < 2 * most and _bit(s, data, contexts, finer + 2 + min(size - 1, 2), abs(value) > size):
        size += 1
    return -size if negative else size


@part
def _any(values):
    for k in range(len(values)):  # noqa: SIM110
        if values[k]:
            return True
    return False


@part
def _residual(s, data, contexts, layout, places, levels, wanted, left, above, pattern):
    """Codes the levels [6, 64] of a patch, and puts into `pattern` which blocks have any; an error or 0."""
    context = layout[_CODED] + np.int64(_any(left)) + np.int64(_any(above))
    for n in range(6):
        pattern[n] = 0
    if not _bit(s, data, contexts, context, _any(wanted)):
        return 0
    for n in range(6):
        if n < 4:
            index = (pattern[n - 1] if n & 1 else left[n + 1]) + (pattern[n - 2] if n & 2 else above[n + 2])
        else:
            index = 3 + 3 * (n - 4) + left[n] + above[n]
        if n == 5 and not _any(pattern):
            pattern[n] = 1
        else:
            pattern[n] = np.int64(_bit(s, data, contexts, layout[_PATTERN] + index, wanted[n] != 0))
        if pattern[n]:
            error = _block(s, data, contexts, layout, places, levels[n], np.int64(n > 3))
            if error:
                return error
    return 0


@part
def _copy_6(into, values):
    for n in range(6):
        into[n] = values[n]


@compiled(
    "Tuple((int64, uint8[::1]))(int64[::1], uint8[::1], int64[:, ::1], int64[::1], int64[::1], int64, uint8[:, ::1], "
    "int16[:, :, :, ::1], int16[:, :, :, ::1], int8[:, ::1], boolean)"
)
def code(s, data, contexts, layout, places, refs, uses, vectors, levels, offsets, varied):
    """Writes or reads a picture.

    Args:
        s, data: state of the coder, and the bytes it reads, or room for those it writes.
        contexts: [2, N], the fast and the slow estimate of each.
        layout: where kinds of contexts begin, and the largest numbers that there may be.
        places: int64 [64], the place of each coefficient.
        refs: pictures that it is predicted from.
        uses, vectors, levels, offsets: as of a `MotionPicture`, all of them contiguous.
        varied: whether steps vary.

    Returns:
        The kind of error, or 0, and the bytes: more than there are in `s`.
    """
    h, w = levels.shape[0], levels.shape[1]
    reads = s[_READS] != 0
    cells = np.zeros((2 * h, 2 * w, 5), np.int64)
    wanted_motion, known = np.zeros((4, 5), np.int64), np.zeros((5, 5), np.int64)
    above, wanted, pattern = np.zeros((w, 6), np.int64), np.zeros(6, np.int64), np.zeros(6, np.int64)
    left, nothing = np.zeros(6, np.int64), np.zeros(6, np.int64)
    skipped_above = np.zeros(w, np.int64)
    offset = np.int64(0)
    for i in range(h):
        skipped_left = np.int64(0)
        _copy_6(left, nothing)
        for j in range(w):
            if not reads and s[_AT] + s[_PENDING] + _MOST_OF_PATCH > len(data):
                more = np.empty(2 * len(data) + s[_PENDING] + _MOST_OF_PATCH, np.uint8)
                for n in range(s[_AT]):
                    more[n] = data[n]
                data = more
            for n in range(6):
                wanted[n] = not reads and _any(levels[i, j, n])
            skipped = np.int64(0)
            if refs:
                if not reads:
                    for n in range(4):
                        a, b = 2 * i + n // 2, 2 * j + n % 2
                        for r in range(5):
                            wanted_motion[n, r] = 0
                        wanted_motion[n, 0] = uses[a, b]
                        for r in range(refs):
                            if uses[a, b] >> r & 1:
                                wanted_motion[n, 1 + 2 * r] = vectors[r, a, b, 0]
                                wanted_motion[n, 2 + 2 * r] = vectors[r, a, b, 1]
                neighbours = skipped_left + skipped_above[j]
                some = _any(wanted)
                skipped = _motion(s, data, contexts, layout, cells, i, j, refs, wanted_motion, some, neighbours, known)
                if skipped < 0:
                    return _OF_VECTOR, data
                if reads:
                    for n in range(4):
                        a, b = 2 * i + n // 2, 2 * j + n % 2
                        uses[a, b] = cells[a, b, 0]
                        for r in range(refs):
                            vectors[r, a, b, 0] = cells[a, b, 1 + 2 * r]
                            vectors[r, a, b, 1] = cells[a, b, 2 + 2 * r]
            if skipped:
                _copy_6(pattern, nothing)
            else:
                error = _residual(s, data, contexts, layout, places, levels[i, j], wanted, left, above[j], pattern)
                if error:
                    return error, data
            if varied and _any(pattern):
                most = layout[_MAX_OFFSET]
                offset += _offset(s, data, contexts, layout[_FINER], most, np.int64(offsets[i, j]) - offset)
                if abs(offset) > most:
                    return _OF_STEP, data
                offsets[i, j] = offset
            skipped_left = skipped_above[j] = skipped
            _copy_6(left, pattern)
            _copy_6(above[j], pattern)
    return 0, data

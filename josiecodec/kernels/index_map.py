"""Codes rows of maps of colour indexes: see `entropy/index_map.py`, which this follows line by line.

State of a coder, int64: low end (of a decoder: the code), range, byte held back, bytes pending, bytes of the data that
are written or read, and whether it reads.
"""

from __future__ import annotations

import numpy as np

from .compiling import compiled, part

_LOW, _RANGE, _CACHE, _PENDING, _AT, _READS = range(6)
_TOP, _WORD = 1 << 24, 0xFFFFFFFF
_HIT, _NEIGHBOUR, _RUN, _STOP, _SPELT = 0, 3, 4, 5, 6  # of `begins`: of three guesses, and of two kinds of spelling
_OUTSIDE, _DEPTH, _EDGE, _LENGTHS, _SHIFT = range(5)  # of `numbers`
_NONE = 511
_ROOM = 256  # bytes that a pixel or run may take, and more


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
def _bit(s, data, contexts, speeds, index, bit):
    a, b, n = contexts[0, index], contexts[1, index], contexts[2, index]
    likely = min(max((a + b) >> 2, 32), (1 << 15) - 32)
    bound = (s[_RANGE] >> 15) * likely
    if s[_READS]:
        bit = s[_LOW] < bound
    if bit:
        s[_RANGE] = bound
        contexts[0, index] = a + ((65536 - a) * speeds[0, n] >> 16)
        contexts[1, index] = b + ((65536 - b) * speeds[1, n] >> 16)
    else:
        if s[_READS]:
            s[_LOW] -= bound
        else:
            s[_LOW] += bound
        s[_RANGE] -= bound
        contexts[0, index] = a - (a * speeds[0, n] >> 16)
        contexts[1, index] = b - (b * speeds[1, n] >> 16)
    if n < speeds.shape[1] - 1:
        contexts[2, index] = n + 1
    _normalize(s, data)
    return bit


@part
def _raw(s, data, value, bits):
    if bits == 0:
        return np.int64(0)
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
def _bits_of(value):
    size = np.int64(0)
    while value >> size:
        size += 1
    return size


@part
def _length(s, data, contexts, speeds, begins, numbers, length, kept, broken):
    """Codes how much of the longest possible run there is; -1 if there cannot be so much."""
    size = _bits_of(length)
    if _bit(s, data, contexts, speeds, begins[_RUN] + 2 * size + broken, kept == length):
        return length
    index, most = begins[_STOP] + numbers[_LENGTHS] * size, _bits_of(length - 1)
    size = np.int64(0)
    while size < most and _bit(s, data, contexts, speeds, index + size, kept >> size > 0):
        size += 1
    if size:
        high = np.int64(1) << (size - 1)
        kept = high + _raw(s, data, kept - high, size - 1)
    else:
        kept = np.int64(0)
    return kept if kept < length else np.int64(-1)


@part
def _spell(s, data, contexts, speeds, begins, numbers, kind, given, color):
    """Codes a colour that no guess was right about; -1 if there is none such."""
    depth = numbers[_DEPTH]
    base, node = begins[_SPELT + kind] + (given << depth), np.int64(1)
    for n in range(depth):
        node = 2 * node + np.int64(_bit(s, data, contexts, speeds, base + node, (color >> (depth - 1 - n) & 1) != 0))
    color = node - (np.int64(1) << depth)
    return color if color < numbers[_OUTSIDE] else np.int64(-1)


@part
def _chosen(contexts, prices, count, tries, indexes, costs, nearest, depth):
    """The colour that takes the fewest bits, its error counted as such; `costs` are those of all colours here."""
    best, least, so_far = nearest, np.inf, 0.0
    for n in range(count):
        guess = tries[n]
        both = contexts[0, indexes[n]] + contexts[1, indexes[n]]
        total = so_far + prices[both >> 7] + costs[guess]
        if total < least:
            best, least = guess, total
        if guess == nearest:
            return best
        so_far += prices[(131071 - both) >> 7]
    return nearest if so_far + depth + costs[nearest] < least else best


@part
def _places(above, at, row, looks, numbers, places):
    """Addresses of the three guesses about a pixel, in `places`."""
    near = row[at - 1] * looks[3, 0, 2]
    both = near + row[at - 2] * looks[3, 1, 2]
    for k in range(3):
        total = near if k == 2 else both
        if k == 0:
            total += row[at - 3] * looks[3, 2, 2] + row[at - 4] * looks[3, 3, 2]
        for n in range(looks.shape[1]):
            if looks[k, n, 2] == 0:
                break
            total += above[looks[k, n, 0], at + looks[k, n, 1]] * looks[k, n, 2]
        places[k] = (total & _WORD) >> numbers[_SHIFT]


@part
def _learn(held, color, soft):
    """What is held at an address behind a colour: a guess, and how often it was right."""
    guess = held & _NONE
    if guess == color:
        return held + 512 if held < 3 << 9 else held
    if soft and held >> 9:
        return guess | held >> 10 << 9
    return color


@part
def _pixel(s, data, contexts, speeds, begins, numbers, prices, guesses, above, row, at, looks, costs, work, nearest):
    """Codes a pixel that is not in a run, `nearest` is what an encoder would like; -1 if there is no such colour."""
    left, upper, outside = row[at - 1], above[0, at], numbers[_OUTSIDE]
    around = np.int64(left == upper) + 2 * np.int64(upper == above[0, at + 1]) + 4 * np.int64(left == above[0, at - 1])
    places, tries, indexes = work[0], work[1], work[2]
    _places(above, at, row, looks, numbers, places)
    held, held_2, held_3 = guesses[0, places[0]], guesses[1, places[1]], guesses[2, places[2]]
    one, two, three = held & _NONE, held_2 & _NONE, held_3 & _NONE
    known = np.int64(one != _NONE)
    count = 0
    if known:
        agree = np.int64(one == two) + 2 * np.int64(one == three)
        tries[count], indexes[count] = one, begins[_HIT] + (held >> 9) * 32 + agree * 8 + around
        count += 1
    if two != _NONE and two != one:
        index = (held_2 >> 9) * 32 + np.int64(two == three) * 16 + known * 8 + around
        tries[count], indexes[count] = two, begins[_HIT + 1] + index
        count += 1
    if three != _NONE and three != one and three != two:
        tries[count], indexes[count] = three, begins[_HIT + 2] + (held_3 >> 9) * 32 + known * 8 + around
        count += 1
    if left != outside and left != one and left != two and left != three:
        tries[count], indexes[count] = left, begins[_NEIGHBOUR] + around
        count += 1
    if upper != outside and upper != left and upper != one and upper != two and upper != three:
        tries[count], indexes[count] = upper, begins[_NEIGHBOUR] + 8 + around
        count += 1
    color = nearest
    if not s[_READS] and not (known and color == one):
        color = _chosen(contexts, prices, count, tries, indexes, costs, color, numbers[_DEPTH])
    found = False
    for n in range(count):
        if _bit(s, data, contexts, speeds, indexes[n], color == tries[n]):
            color, found = tries[n], True
            break
    if not found:
        color = _spell(s, data, contexts, speeds, begins, numbers, 1, left, color)
        if color < 0:
            return color
    guesses[0, places[0]] = _learn(held, color, False)
    guesses[1, places[1]] = _learn(held_2, color, True)
    guesses[2, places[2]] = _learn(held_3, color, True)
    return color


@part
def _kept(costs, kinds, nearest, same, limit, first, length, color):
    """How long a run of a colour should go on, see `Wanted.kept`."""
    at, end = first, first + length
    while at < end:
        if nearest[at] == color:
            at = same[at]
            continue
        loss, start = 0.0, at
        while at < end and nearest[at] != color:
            loss += costs[kinds[at], color] - costs[kinds[at], nearest[at]]
            at += 1
            if loss > limit:
                return start - first
    return length


@compiled(
    "Tuple((int64, uint8[::1]))(int64[::1], uint8[::1], int64[:, ::1], int64[:, ::1], int64[::1], int64[::1], "
    "float64[::1], int64[:, ::1], int64[:, ::1], int64[::1], int64[:, :, ::1], int64[:, ::1], float64[:, ::1], "
    "int64[::1], int64[::1], int64[::1], float64)"
)
def code_row(
    s,
    data,
    contexts,
    speeds,
    begins,
    numbers,
    prices,
    guesses,
    above,
    row,
    looks,
    spans,
    costs,
    kinds,
    nearest,
    same,
    limit,
):
    """Codes a row.

    Args:
        s, data: state of the coder, and the bytes it reads, or room for those it writes.
        contexts: [3, N], the fast and the slow estimate of each, and the bits seen.
        speeds: [2, 256], of the estimates by the bits seen.
        begins: where kinds of contexts begin.
        numbers: colours, the bits of one, the pixels at the edges, sizes of runs, and by how much addresses shrink.
        prices: bits of a bit, by its likelihood.
        guesses: [3, addresses].
        above, row: the three rows above, the nearest first, and this one, with pixels at the edges.
        looks: [4, 16, 3], what guesses look at above: row, pixels to the right, factor (0 of no more); at last the
            factors of the pixels to the left.
        spans: [K, 2], from which to before which pixels there is something to code.
        costs, kinds, nearest, same: what an encoder wants, see `Wanted`.
        limit: bits to end a run.

    Returns:
        1 if there is no such run, 2 if there is no such colour, else 0; and the bytes.
    """
    edge, outside = numbers[_EDGE], numbers[_OUTSIDE]
    work = np.zeros((3, 8), np.int64)
    for n in range(len(row)):
        row[n] = outside
    for n in range(edge):
        row[n] = above[0, edge]
    steady = np.empty(len(row), np.int64)
    steady[len(row) - 1] = len(row) - 1
    for n in range(len(row) - 2, -1, -1):
        steady[n] = steady[n + 1] if above[0, n] == above[0, n + 1] else n
    reads = s[_READS] != 0
    for span in range(len(spans)):
        at, end, broken = spans[span, 0] + edge, spans[span, 1] + edge, np.int64(0)
        if at < edge or end > len(row) - edge:
            break
        while at < end:
            if not reads and s[_AT] + s[_PENDING] + _ROOM > len(data):
                more = np.empty(2 * len(data) + s[_PENDING] + _ROOM, np.uint8)
                for n in range(s[_AT]):
                    more[n] = data[n]
                data = more
            color = row[at - 1]
            if color == outside or color != above[0, at] or color != above[0, at - 1] or color != above[0, at + 1]:
                wanted, kind = (np.int64(0), np.int64(0)) if reads else (nearest[at - edge], kinds[at - edge])
                found = _pixel(
                    s,
                    data,
                    contexts,
                    speeds,
                    begins,
                    numbers,
                    prices,
                    guesses,
                    above,
                    row,
                    at,
                    looks,
                    costs[kind],
                    work,
                    wanted,
                )
                if found < 0:
                    return 2, data
                row[at] = found
                at += 1
                continue
            length = min(steady[at], end) - at
            kept = length
            if not reads:
                kept = _kept(costs, kinds, nearest, same, limit, at - edge, length, color)
            kept = _length(s, data, contexts, speeds, begins, numbers, length, kept, broken)
            if kept < 0:
                return 1, data
            for n in range(at, at + kept):
                row[n] = color
            at += kept
            broken = np.int64(kept < length)
            if broken:
                wanted = np.int64(0) if reads else nearest[at - edge]
                found = _spell(s, data, contexts, speeds, begins, numbers, 0, color, wanted)
                if found < 0:
                    return 2, data
                row[at] = found
                at += 1
    for n in range(edge):
        row[len(row) - edge + n] = row[len(row) - edge - 1]
    return 0, data

"""Levels of blocks by rate and distortion: a trellis over what the coder's contexts remember (Viterbi 1967).

All blocks go through it at once, coefficient by coefficient. A state is what the contexts of the next coefficient
depend on (`motion_syntax`): how dense and large the last levels were, and how many there have been.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..bitstream.motion_mixed import tables
from ..bitstream.motion_syntax import LevelChances
from ..kernels import family, ready
from ..vision.motion_residual import MAX_MAGNITUDE

FEW = 64  # sizes whose bits are in tables; larger ones take two bits more for each doubling
WORTH = 0.58  # of a coefficient in steps: blocks that have none so large get no levels
_STATES = [(0, 0)] + [(b, c) for c in (1, 2) for b in range(4)]  # density of the last levels, levels so far
_DENSITY = np.array([b for b, _ in _STATES])
_COUNT = np.array([c for _, c in _STATES])


def _incoming() -> np.ndarray:
    """By next state the ways to it, 9 x kind + state before, with kinds zero, one, and more; 27 is no way."""
    ways: list[list[int]] = [[] for _ in _STATES]
    for kind in range(3):
        for n, (b, c) in enumerate(_STATES):
            after = (min((b + 1) // 2 + kind, 3), min(c + 1, 2)) if kind else (b // 2, c)
            ways[_STATES.index(after)].append(9 * kind + n)
    most = max(map(len, ways))
    return np.array([w + [27] * (most - len(w)) for w in ways])


_INCOMING = _incoming()
_EXTRA = (2 * np.log2(np.maximum(np.arange(MAX_MAGNITUDE + 1), FEW) / FEW)).astype(np.float32)  # bits of large levels


@dataclass(frozen=True)
class BlockBits:
    """What the parts of a block of K coefficients take, in bits, as the contexts stand.

    Attributes:
        significant: [2, K, 9] of a coefficient that is zero or not, by place and state before.
        last: [2, K, 9] of one that is not the last, or is, by place and state before.
        size: [`FEW` + 1, K, 9] of sizes with their sign, by place and state before.
    """

    significant: np.ndarray
    last: np.ndarray
    size: np.ndarray

    @staticmethod
    def of(chances: LevelChances, kind: int) -> BlockBits:
        """Of luma (kind 0), chroma (1), or luma of 16 x 16 (2)."""
        places, _, first, length, _ = tables()
        place = places[first[kind] : first[kind] + length[kind]]
        significant = _bits(chances.significant[kind])
        significant = significant[:, place][:, :, np.minimum(_DENSITY, significant.shape[2] - 1)]
        significant[:, -1] = [[0], [0]]  # there is one in the last place, or the block would have ended
        last = _bits(chances.last[kind])[:, place][:, :, np.minimum(_COUNT, 1)]
        last[:, -1] = [[1e9], [0]]
        large = 2 * np.minimum(_COUNT, 1) + (place < 3)[:, None]
        return BlockBits(significant, last, _size_bits(_bits(chances.large[kind].reshape(4, 6)), large))


def _bits(ones: np.ndarray) -> np.ndarray:
    """Bits of a zero and of a one [2, ...], by how likely ones are."""
    found: np.ndarray = -np.log2(np.clip(np.stack([1 - ones, ones]), 2.0**-11, 1.0)).astype(np.float32)
    return found


def _size_bits(own: np.ndarray, which: np.ndarray) -> np.ndarray:
    """Bits of sizes 1 to `FEW` with their sign [`FEW` + 1, K, 9], as `adaptive_bits.escape` codes them.

    That is behind three flags, by bits [2, kinds, 6] and which kind it is [K, 9].
    """
    table = own[0] @ _ZEROS.T + own[1] @ _ONES.T + _RAW
    return np.take(np.ascontiguousarray(table.T), which, axis=1)


def _escapes() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of sizes 0 to `FEW`: which of six contexts code how many zeros and ones, and how many bits come as they are."""
    zeros, ones, raw = np.zeros((FEW + 1, 6)), np.zeros((FEW + 1, 6)), np.zeros(FEW + 1)
    for size in range(1, FEW + 1):
        value = size - 1
        ones[size, : min(value, 3)] = 1
        raw[size] = 1
        if value < 3:
            zeros[size, value] = 1
            continue
        rest = (value - 2).bit_length() - 1
        for i in range(rest):
            ones[size, 3 + min(i, 2)] += 1
        zeros[size, 3 + min(rest, 2)] = 1
        raw[size] += rest
    return zeros.astype(np.float32), ones.astype(np.float32), raw.astype(np.float32)


_ZEROS, _ONES, _RAW = _escapes()


def choose_levels(x: np.ndarray, bits: BlockBits, price: float) -> tuple[np.ndarray, np.ndarray]:
    """The levels that make squared error + price x bits least.

    Args:
        x: sizes of coefficients in steps, float32 [N, K].
        bits: of all of these blocks.
        price: of a bit, in squared steps.

    Returns:
        Levels int16 [N, K], and what is gained over none at all, [N] in squared steps; below 0 if none is better.
    """
    count, states = len(x), len(_STATES)
    if not count:
        return np.zeros(x.shape, np.int16), np.zeros(0, np.float32)
    kernels = family("motion_trellis")
    if kernels is not None:
        levels, gain = np.zeros(x.shape, np.int16), np.empty(count, np.float32)
        given = [ready(a, np.float32) for a in (x, bits.significant, bits.last, bits.size)]
        kernels.choose_levels(*given, _EXTRA, _INCOMING, np.float32(price), levels, gain)
        return levels, gain
    nearest = np.minimum(np.floor(x + 0.5), MAX_MAGNITUDE)
    length = int(np.nonzero((nearest > 0).any(0))[0].max(initial=-1)) + 1
    cost = np.full((count, states), np.inf, np.float32)  # beside a block without levels
    cost[:, 0] = 0
    best, best_at, best_way = np.full(count, np.inf, np.float32), np.zeros(count, int), np.zeros(count, int)
    back = np.zeros((length, count, states), np.int8)
    more = np.zeros((length, count, states), np.int16)
    ways = np.full((count, 28), np.inf, np.float32)
    for k in range(length):
        value, high = x[:, k], nearest[:, k]
        square = value * value
        one = np.where(high <= 2, (value - 1) ** 2 - square, np.inf)[:, None] + price * bits.size[1, k]
        one = np.where(high[:, None] > 0, one, np.inf)
        sized, chosen = _larger(value, high, bits.size[:, k], price)
        sized = sized - square[:, None]
        more[k] = chosen
        ways[:, :9] = cost + price * bits.significant[0, k]
        some = cost + price * bits.significant[1, k]
        ended = np.concatenate([some + one, some + sized], 1) + price * np.tile(bits.last[1, k], 2)
        way = ended.argmin(1)
        found = ended[np.arange(count), way]
        better = found < best
        best[better], best_at[better], best_way[better] = found[better], k, way[better] + 9
        some = some + price * bits.last[0, k]
        ways[:, 9:18], ways[:, 18:27] = some + one, some + sized
        into = ways[:, _INCOMING]
        which = into.argmin(2)
        back[k] = _INCOMING[np.arange(states), which]
        cost = np.take_along_axis(into, which[..., None], 2)[..., 0]
    return _traced(x.shape[1], length, best_at, best_way, back, more), -best


def _larger(value: np.ndarray, high: np.ndarray, size: np.ndarray, price: float) -> tuple[np.ndarray, np.ndarray]:
    """The better of the nearest level and the one below, if at least 2: cost and level, [N, 9]."""
    costs = []
    for level in (high, high - 1):
        whole = level.clip(0).astype(int)
        total = ((value - level) ** 2)[:, None] + price * (size[np.minimum(whole, FEW)] + _EXTRA[whole, None])
        costs.append(np.where(level[:, None] >= 2, total, np.inf))
    lower = costs[1] < costs[0]
    return np.where(lower, costs[1], costs[0]), (high[:, None] - lower).astype(np.int16)


def _traced(size: int, length: int, at: np.ndarray, way: np.ndarray, back: np.ndarray, more: np.ndarray) -> np.ndarray:
    """Levels along the best paths, which end at a place by a way."""
    count = len(at)
    levels = np.zeros((count, size), np.int16)
    rows = np.arange(count)
    state = np.zeros(count, int)
    for k in range(length - 1, -1, -1):
        step = np.where(at == k, way, back[k, rows, state])
        kind = step // 9
        state = np.where(at >= k, step % 9, state)
        level = np.where(kind == 2, more[k, rows, state], kind)
        levels[:, k] = np.where(at >= k, level, 0)
    return levels

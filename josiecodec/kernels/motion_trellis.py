"""Levels of blocks by rate and distortion: see `coding/motion_trellis.py`; all costs are float32, as there."""

from __future__ import annotations

import numpy as np

from .compiling import compiled


@compiled(
    "void(float32[:, ::1], float32[:, :, ::1], float32[:, :, ::1], float32[:, :, ::1], float32[::1], int64[:, ::1], "
    "float32, int16[:, ::1], float32[::1])"
)
def choose_levels(x, significant, last, size, extra, incoming, price, levels, gain):
    """Levels [N, K] of coefficients, and what is gained over none at all [N].

    Args:
        x: sizes of coefficients in steps [N, K].
        significant, last, size: bits, see `BlockBits`.
        extra: bits of levels beyond those of the last in `size`, by level.
        incoming: [9, W], by next state the ways to it, 9 x kind + state before; 27 is no way.
        price: of a bit.
        levels, gain: what is chosen; levels are zero before.
    """
    states, few = 9, len(size) - 1
    cost, after = np.empty(9, np.float32), np.empty(9, np.float32)
    ways = np.empty(28, np.float32)
    back, more = np.empty((x.shape[1], 9), np.int8), np.empty((x.shape[1], 9), np.int16)
    infinite = np.float32(np.inf)
    zero, half, one = np.float32(0), np.float32(0.5), np.float32(1)
    for row in range(len(x)):
        length = 0
        for k in range(x.shape[1]):
            if x[row, k] + half >= one:
                length = k + 1
        for n in range(states):
            cost[n] = infinite
        cost[0] = zero
        for n in range(28):
            ways[n] = infinite
        best, best_at, best_way = infinite, 0, 0
        for k in range(length):
            value = x[row, k]
            high = min(np.float32(np.floor(value + half)), np.float32(len(extra) - 1))
            level = np.int64(high)
            if level == 0:
                for n in range(states):
                    ways[n] = cost[n] + price * significant[0, k, n]
                    ways[9 + n] = ways[18 + n] = infinite
            else:
                square = value * value
                first = infinite
                if level <= 2:
                    first = (value - one) * (value - one) - square
                upper, lower = min(level, few), min(level - 1, few)
                above, below = (value - high) * (value - high), (value - (high - one)) * (value - (high - one))
                for n in range(states):
                    ways[n] = cost[n] + price * significant[0, k, n]
                    some = cost[n] + price * significant[1, k, n]
                    single = first + price * size[1, k, n]
                    sized, chosen = infinite, level
                    if level >= 2:
                        sized = above + price * (size[upper, k, n] + extra[level])
                        if level >= 3:
                            other = below + price * (size[lower, k, n] + extra[level - 1])
                            if other < sized:
                                sized, chosen = other, level - 1
                    sized = sized - square
                    more[k, n] = chosen
                    ends = some + price * last[0, k, n]
                    ways[9 + n], ways[18 + n] = ends + single, ends + sized
                for n in range(2 * states):
                    m = n if n < states else n - states
                    some = cost[m] + price * significant[1, k, m]
                    part = first + price * size[1, k, m]
                    if n >= states:
                        part = infinite
                        if level >= 2:
                            chosen = np.int64(more[k, m])
                            error = above if chosen == level else below
                            part = (error + price * (size[min(chosen, few), k, m] + extra[chosen])) - square
                    ended = some + part + price * last[1, k, m]
                    if ended < best:
                        best, best_at, best_way = ended, k, n + 9
            for n in range(states):
                least, way = ways[incoming[n, 0]], incoming[n, 0]
                for m in range(1, incoming.shape[1]):
                    if ways[incoming[n, m]] < least:
                        least, way = ways[incoming[n, m]], incoming[n, m]
                after[n], back[k, n] = least, way
            for n in range(states):
                cost[n] = after[n]
        gain[row] = -best
        if best == infinite:
            continue
        state = np.int64(0)
        for k in range(best_at, -1, -1):
            step = best_way if k == best_at else np.int64(back[k, state])
            kind, state = step // 9, step % 9
            levels[row, k] = more[k, state] if kind == 2 else kind

"""Coefficients by dependent quantization: see `coding/detail_trellis.py`, which this follows line by line."""

from __future__ import annotations

import numpy as np

from .compiling import compiled

_FAR = 1e300


@compiled(
    "void(float32[:, ::1], int64[::1], int64[:, ::1], float32[:, ::1], float64[:, ::1], int64[:, ::1], "
    "int64[:, ::1], int64, float64, float64, int16[:, ::1], int16[:, ::1], float64[::1], float64[::1])"
)
def choose_dependent(
    wanted, members, scales, price, bits, before, after, most, shrink, quiet, symbols, levels, spent, cost
):
    """Coefficients `members` of blocks, and what they take.

    Args:
        wanted: [P, 192], in units of steps.
        members, scales: [n] and [P, n]; negative scales are not coded.
        price: of a bit, in units of the step squared [P, 192].
        bits: [2 S, M + 1] of each size with each quantizer.
        before: ways to each state [8, 2], see `dependent_steps.preceding`.
        after: state after each one [8, 2], see `dependent_steps.following`.
        most: size of a symbol.
        shrink: of sizes that are not zero, in half steps.
        quiet: half steps up to which a coefficient is zero.
        symbols, levels: [P, n] what is chosen, and that in half steps; zero before.
        spent, cost: [P] bits, and errors over prices + bits, to which these are added.
    """
    tables, last = len(bits) // 2, bits.shape[1] - 1
    count = 0
    for p in range(len(scales)):
        for k in range(scales.shape[1]):
            count += scales[p, k] >= 0
    kept = np.zeros((count, 4), np.int16)
    ways = np.zeros(count, np.uint8)
    costs, new, each = np.full(8, _FAR), np.empty(8), np.empty(4)
    costs[0] = 0.0
    at = 0
    for p in range(len(scales)):
        for k in range(scales.shape[1]):
            if scales[p, k] < 0:
                continue
            scale = min(scales[p, k], tables - 1)
            size = 2.0 * abs(np.float64(wanted[p, members[k]]))
            dear = 4.0 * np.float64(price[p, members[k]])
            for q in range(2):
                each[2 * q] = size * size + dear * bits[q * tables + scale, 0]
                each[2 * q + 1] = _FAR
                if size > quiet:
                    low = int(min((size + q) / 2.0, most - 1.0))
                    for found in range(max(low, 1), low + 2):
                        error = size - (2.0 * found - q - shrink)
                        total = error * error + dear * bits[q * tables + scale, min(found, last)]
                        way = 2 * q + (found & 1)
                        if total < each[way]:
                            each[way] = total
                            kept[at, way] = found
            least = _FAR
            for state in range(8):
                a, b = before[state, 0], before[state, 1]
                first = costs[a >> 1] + each[(a >> 3) * 2 + (a & 1)]
                second = costs[b >> 1] + each[(b >> 3) * 2 + (b & 1)]
                if second < first:
                    first = second
                    ways[at] |= 1 << state
                new[state] = first
                least = min(least, first)
            for state in range(8):
                costs[state] = new[state] - least
            at += 1
    state = 0
    for other in range(8):
        if costs[other] < costs[state]:
            state = other
    for p in range(len(scales) - 1, -1, -1):
        for k in range(scales.shape[1] - 1, -1, -1):
            if scales[p, k] < 0:
                continue
            at -= 1
            way = before[state, ways[at] >> state & 1]
            q = way >> 3
            found = kept[at, 2 * q + (way & 1)]
            state = way >> 1
            level = 2 * found - q if found else 0
            negative = wanted[p, members[k]] < 0
            symbols[p, k] = -found if negative else found
            levels[p, k] = -level if negative else level
    state = np.int64(0)
    for p in range(len(scales)):
        taken, total = 0.0, 0.0
        for k in range(scales.shape[1]):
            size = 2.0 * abs(np.float64(wanted[p, members[k]]))
            dear = 4.0 * np.float64(price[p, members[k]])
            if scales[p, k] < 0:
                total += size * size / dear
                continue
            found, level = abs(symbols[p, k]), abs(levels[p, k])
            q = state >> 2
            used = bits[q * tables + min(scales[p, k], tables - 1), min(found, last)]
            error = size - (level - shrink) if found else size
            taken += used
            total += error * error / dear + used
            state = after[state, found & 1]
        spent[p] += taken
        cost[p] += total

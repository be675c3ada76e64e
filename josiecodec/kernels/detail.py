"""Coefficients of a detail layer by rate and distortion: see `coding/detail_choice.py`; sums are float64, in order."""

from __future__ import annotations

import numpy as np

from .compiling import compiled


@compiled(
    "void(float32[:, ::1], int64[::1], int64[:, ::1], float32[:, ::1], float64[:, ::1], int64, float64, "
    "int16[:, ::1], float64[::1], float64[::1])"
)
def choose_symbols(wanted, members, scales, price, bits, most, shrink, symbols, spent, cost):
    """Symbols [P, n] of the coefficients `members` of blocks, and what they take.

    Args:
        wanted: [P, 192], in units of steps.
        members, scales: [n] and [P, n]; negative scales are not coded.
        price: of a bit [P, 192].
        bits: [S, 2 M + 1] of each symbol, 0 in the middle.
        most: size of a symbol.
        shrink: of sizes that are not zero.
        symbols: what is chosen; zero before.
        spent, cost: [P] bits, and errors over prices + bits, to which these are added.
    """
    middle, last = bits.shape[1] // 2, len(bits) - 1
    for p in range(len(wanted)):
        taken, total = 0.0, 0.0
        for k in range(len(members)):
            value = np.float64(wanted[p, members[k]])
            dear = np.float64(price[p, members[k]])
            size, scale = abs(value), scales[p, k]
            if scale < 0:
                total += size * size / dear
                continue
            scale = min(scale, last)
            chosen, used, error = np.int64(0), bits[scale, middle], size * size
            if size > 0.5:
                above = min(max(np.floor(size + 0.5), 1.0), np.float64(most))
                below = above - 1.0
                if below > 0.0:
                    chosen = np.int64(below)
                    used = bits[scale, middle + min(chosen, middle)]
                    error = (size - below + shrink) * (size - below + shrink)
                other = bits[scale, middle + min(np.int64(above), middle)]
                missed = (size - above + shrink) * (size - above + shrink)
                if missed + dear * other < error + dear * used:
                    chosen, used, error = np.int64(above), other, missed
                symbols[p, k] = -chosen if value < 0 else chosen
            taken += used
            total += error / dear + used
        spent[p] += taken
        cost[p] += total

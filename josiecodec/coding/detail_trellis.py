"""Choosing coefficients of a detail layer by dependent quantization: a trellis of eight states (Viterbi's algorithm).

In each pass the machine of `vision/dependent_steps.py` goes through the coefficients that are coded, block after block
from left to right and top to bottom, from state 0 on.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..kernels import family, ready
from ..vision.dependent_steps import STATES, following, preceding
from ..vision.detail_shapes import SHRINK

Array = np.ndarray
QUIET = 0.6  # half steps up to which a coefficient is zero
FAR = 1e300


@dataclass(frozen=True)
class DependentChoice:
    """Coefficients of some blocks: symbols, and what they stand for in half steps, int16 [P, n] both."""

    symbols: Array
    levels: Array


def choose_dependent(
    wanted: Array, members: Array, scales: Array, price: Array, bits: Array, most: int, totals: tuple[Array, Array]
) -> DependentChoice:
    """Symbols that make the sum of error + price x bits least, see `detail_choice.choose_symbols`.

    Args:
        wanted, members, scales, price, most, totals: as there.
        bits: of each size of a symbol at each scale, with quantizer 0 and then with 1, float64 [2 S, M + 1].
    """
    symbols, levels = np.zeros(scales.shape, np.int16), np.zeros(scales.shape, np.int16)
    kernels = family("detail_trellis")
    shrink = 2 * SHRINK
    if kernels is not None:
        there = ready(wanted, np.float32), ready(members, np.int64), ready(scales, np.int64)
        machine = preceding(), following()
        kernels.choose_dependent(
            *there,
            ready(price, np.float32),
            ready(bits, np.float64),
            *machine,
            most,
            shrink,
            QUIET,
            symbols,
            levels,
            *totals,
        )
        return DependentChoice(symbols, levels)
    tables, last = len(bits) // 2, bits.shape[1] - 1
    values = wanted[:, members].astype(np.float64)
    sizes, dear = 2 * np.abs(values), 4 * price[:, members].astype(np.float64)
    coded = scales >= 0
    table = scales.clip(0, tables - 1)
    found = _best_path(sizes[coded], dear[coded], table[coded], bits, most)
    quantizer = quantizers(found)
    level = np.where(found > 0, 2 * found - quantizer, 0)
    sign = np.where(values < 0, -1, 1)[coded]
    symbols[coded], levels[coded] = found * sign, level * sign
    used, error = np.zeros(scales.shape), sizes.copy()
    used[coded] = bits[quantizer * tables + table[coded], found.clip(0, last)]
    error[coded] = np.where(found > 0, sizes[coded] - (level - shrink), sizes[coded])
    # One after another, as compiled code adds up.
    totals[0][...] += used.cumsum(1)[:, -1]
    totals[1][...] += (error * error / dear + used).cumsum(1)[:, -1]
    return DependentChoice(symbols, levels)


def quantizers(sizes: Array) -> Array:
    """The quantizer of each symbol of a pass, by the sizes of all that are coded [N]: int64."""
    after = following().reshape(-1).tolist()
    state, found = 0, bytearray(len(sizes))
    for at, odd in enumerate((sizes & 1).astype(np.uint8).tobytes()):
        found[at] = state >> 2
        state = after[2 * state + odd]
    return np.frombuffer(found, np.uint8).astype(np.int64)


def _best_path(sizes: Array, dear: Array, table: Array, bits: Array, most: int) -> Array:
    """The sizes of symbols, int64 [N], of coefficients of these sizes in half steps."""
    tables, last = len(bits) // 2, bits.shape[1] - 1
    before = preceding()
    states, ways = before >> 1, (before >> 3) * 2 + (before & 1)  # of each way: where from, and which candidate
    kept, taken = np.zeros((len(sizes), 4), np.int64), np.zeros((len(sizes), STATES), np.int64)
    costs = np.full(STATES, FAR)
    costs[0] = 0.0
    for at, (size, price, scale) in enumerate(zip(sizes.tolist(), dear.tolist(), table.tolist())):
        each = [FAR] * 4
        for q in range(2):
            row = bits[q * tables + scale]
            each[2 * q] = size * size + price * row[0]
            if size > QUIET:
                low = int(min((size + q) / 2.0, most - 1.0))
                for found in range(max(low, 1), low + 2):
                    error = size - (2.0 * found - q - 2 * SHRINK)
                    total = error * error + price * row[min(found, last)]
                    way = 2 * q + (found & 1)
                    if total < each[way]:
                        each[way] = total
                        kept[at, way] = found
        both = costs[states] + np.array(each)[ways]
        taken[at] = both[:, 1] < both[:, 0]
        new = both.min(1)
        costs = new - new.min()
    state = int(costs.argmin())
    path = np.zeros(len(sizes), np.int64)
    for at in range(len(sizes) - 1, -1, -1):
        way = before[state, taken[at, state]]
        path[at] = kept[at, (way >> 3) * 2 + (way & 1)]
        state = way >> 1
    return path

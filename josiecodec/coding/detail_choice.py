"""Choosing coefficients of a detail layer by rate and distortion."""

from __future__ import annotations

import numpy as np

from ..kernels import family, ready
from ..vision.detail_shapes import SHRINK

Array = np.ndarray


def choose_symbols(
    wanted: Array, members: Array, scales: Array, price: Array, bits: Array, most: int, totals: tuple[Array, Array]
) -> Array:
    """Symbols of some coefficients: each the one of two that makes error + price x bits least.

    Args:
        wanted: float32 [P, 192], coefficients of blocks in units of their steps.
        members: which are coded here [n].
        scales: of those, int64 [P, n]; negative ones are zero without being coded.
        price: of a bit, in units of the step squared, float32 [P, 192].
        bits: of each symbol at each scale, float64 [S, 2 M + 1], with 0 in the middle.
        most: size that a symbol can have.
        totals: bits of each block, and its error over its price + bits, float64 [P]: both are added to.

    Returns:
        int16 [P, n].
    """
    kernels = family("detail")
    symbols = np.zeros(scales.shape, np.int16)
    if kernels is not None:
        there = ready(wanted, np.float32), ready(members, np.int64), ready(scales, np.int64)
        kernels.choose_symbols(
            *there, ready(price, np.float32), ready(bits, np.float64), most, SHRINK, symbols, totals[0], totals[1]
        )
        return symbols
    middle = bits.shape[1] // 2
    value, dear = wanted[:, members].astype(np.float64), price[:, members].astype(np.float64)
    size = np.abs(value)
    table = scales.clip(0, len(bits) - 1)
    above = np.floor(size + 0.5).clip(1, most)
    below = above - 1
    error, other = np.square(size - below + SHRINK * (below > 0)), np.square(size - above + SHRINK)
    used = bits[table, middle + below.clip(0, middle).astype(np.int64)]
    more = bits[table, middle + above.clip(0, middle).astype(np.int64)]
    better = (other + dear * more < error + dear * used) & (size > 0.5)
    chosen = np.where(better, above, np.where(size > 0.5, below, 0.0))
    error, used = np.where(better, other, error), np.where(better, more, used)
    none = scales < 0
    chosen[none], used[none] = 0, 0.0
    zero = none | (size <= 0.5)
    error[zero] = np.square(size)[zero]
    symbols[...] = np.where(value < 0, -chosen, chosen)
    # One after another, as compiled code adds up.
    totals[0][...] += used.cumsum(1)[:, -1]
    totals[1][...] += (error / dear + used).cumsum(1)[:, -1]
    return symbols

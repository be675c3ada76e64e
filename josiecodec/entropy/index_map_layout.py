"""What codes maps of colour indexes must agree about: where is looked, how contexts are laid out, what is wanted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

MAX_COLORS = 255
EDGE = 4  # pixels that are looked at to the left and right
BREAK_BITS = 14.0  # that a stretch of other colours has to be worth to end a run
BITS = 16  # of the addresses of the tables of guesses
SHIFT, WORD = 32 - BITS, (1 << 32) - 1
NONE = 511  # no guess
LENGTHS = 19  # of the lengths of runs, in bits: rows have up to 8192 patches of 16 pixels, which is 2^17
HITS, NEIGHBOURS, RUNS, STOPS = 4 * 4 * 8, 2 * 8, 2 * LENGTHS, LENGTHS * LENGTHS  # contexts of each kind
# What is looked at above, as (row, columns to the right), for each guess; then how many pixels to the left.
ABOVE = (
    tuple((0, i) for i in range(-3, 4)) + tuple((1, i) for i in range(-2, 3)) + tuple((2, i) for i in range(-1, 3)),
    ((0, -1), (0, 0), (0, 1), (0, 2), (1, 0), (1, 1)),
    ((0, -1), (0, 0), (0, 1)),
)
FACTORS = [pow(0x9E3779B1, n, 1 << 32) for n in range(1, 32)]  # odd, so that every pixel changes an address


@dataclass(frozen=True)
class Wanted:
    """What an encoder wants of a row.

    Attributes:
        costs: float64 [K, N], error of each of the N colours in pixels of each of K kinds, in bits.
        kinds: int64 [width], of the pixels.
        nearest: int64 [width], the colour of the least error.
        same: int64 [width], where the stretch of this nearest colour ends.
    """

    costs: np.ndarray
    kinds: np.ndarray
    nearest: np.ndarray
    same: np.ndarray

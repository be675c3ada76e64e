"""Dependent quantization: two quantizers of steps that lie between each other, and which of them comes next.

Coefficients are sums of half steps. Quantizer 0 has the even ones, quantizer 1 the odd ones and zero; a coefficient is
k, a whole number, and stands for 2 k half steps, or 2 k - sign(k) with quantizer 1. A machine of eight states, which
the parities of the coefficients drive, says which quantizer is next; so the values that a row of coefficients can have
lie closer than those of one step (Schwarz et al. 2019, "Hybrid video coding with trellis-coded quantization", and
H.266, sections 7.3.11.11 and 8.7.3, where it has four states; eight as in Wang et al. 2021, JVET-V0106).
"""

from __future__ import annotations

import numpy as np

STATES = 8
HALF = 2  # half steps in a step


def following() -> np.ndarray:
    """The state after each one and a coefficient of even or odd size: int64 [8, 2]. State 0 is the first."""
    state, odd = np.arange(STATES)[:, None], np.arange(2)[None]
    first, second, third = state >> 2 & 1, state >> 1 & 1, state & 1
    found: np.ndarray = (first ^ second) << 2 | (odd ^ third) << 1 | first
    return found


def preceding() -> np.ndarray:
    """The two ways to each state, int64 [8, 2]: twice the state before, and 1 more for a coefficient of odd size."""
    ways = following().reshape(-1)
    found: np.ndarray = np.argsort(ways, kind="stable").reshape(STATES, 2)
    return found


def quantizer(state: np.ndarray | int) -> np.ndarray | int:
    """Which quantizer a state has, 0 or 1."""
    return state >> 2

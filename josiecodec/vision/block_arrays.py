"""The transform of `block_transform.py` for NumPy arrays, and what both have in common."""

from __future__ import annotations

import math
from functools import cache

import numpy as np

SIDE = 8  # of a block
COLORS = 3
COEFFICIENTS = COLORS * SIDE * SIDE  # of a block: brightness first, in zigzag order each


@cache
def matrices() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Colours float32 [3, 3], cosines float32 [8, 8], and the zigzag order there and back [64]."""
    colors = np.array([[1.0, 1.0, 1.0], [1.0, 0.0, -1.0], [1.0, -2.0, 1.0]])
    k = np.arange(SIDE, dtype=np.float64)
    cosines = np.cos(math.pi * (2 * k + 1) * k[:, None] / (2 * SIDE)) * math.sqrt(2 / SIDE)
    cosines[0] /= math.sqrt(2)

    def place(i: int) -> tuple[int, int]:
        row, column = divmod(i, SIDE)
        return row + column, row if (row + column) % 2 else column

    order = np.array(sorted(range(SIDE * SIDE), key=place))
    normal = colors / np.sqrt(np.square(colors).sum(1, keepdims=True))
    return normal.astype(np.float32), cosines.astype(np.float32), order, order.argsort()


@cache
def frequencies() -> np.ndarray:
    """How often each coefficient of a block goes up and down, across and down together: int64 [192], 0 to 14."""
    row, column = np.divmod(matrices()[2], SIDE)
    return np.tile(row + column, COLORS)


def coefficients_of(x: np.ndarray) -> np.ndarray:
    """A picture [3, H, W] of whole blocks -> coefficients [H / 8, W / 8, 192]."""
    colors, cosines, order, _ = matrices()
    h, w = x.shape[1] // SIDE, x.shape[2] // SIDE
    y = (colors @ x.reshape(COLORS, -1)).reshape(-1, SIDE) @ cosines.T  # along rows
    y = y.reshape(COLORS, h, SIDE, w, SIDE).transpose(1, 3, 0, 4, 2).reshape(-1, SIDE) @ cosines.T
    # Down is the last axis now, across the one before it.
    blocks = y.reshape(h, w, COLORS, SIDE, SIDE).swapaxes(-1, -2).reshape(h, w, COLORS, SIDE * SIDE)
    return blocks[..., order].reshape(h, w, COEFFICIENTS)


def picture_of(x: np.ndarray) -> np.ndarray:
    """The inverse of `coefficients_of`."""
    colors, cosines, _, back = matrices()
    h, w, _ = x.shape
    y = x.reshape(h, w, COLORS, SIDE * SIDE)[..., back].reshape(-1, SIDE) @ cosines
    y = y.reshape(h, w, COLORS, SIDE, SIDE).swapaxes(-1, -2).reshape(-1, SIDE) @ cosines
    y = y.reshape(h, w, COLORS, SIDE, SIDE).transpose(2, 0, 4, 1, 3).reshape(COLORS, -1)
    return (colors.T @ y).reshape(COLORS, h * SIDE, w * SIDE)

"""Transform of pictures in blocks of 8 x 8 pixels: a discrete cosine transform of three orthogonal colours.

Everything is orthonormal, so a squared error of coefficients is one of red, green and blue.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import torch
from torch import Tensor

SIDE = 8  # of a block
COLORS = 3
COEFFICIENTS = COLORS * SIDE * SIDE  # of a block: brightness first, in zigzag order each


@cache
def _matrices() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Colours [3, 3], cosines [8, 8], and the zigzag order there and back [64]."""
    colors = torch.tensor([[1.0, 1.0, 1.0], [1.0, 0.0, -1.0], [1.0, -2.0, 1.0]], dtype=torch.float64)
    k = torch.arange(SIDE, dtype=torch.float64)
    cosines = torch.cos(math.pi * (2 * k + 1) * k[:, None] / (2 * SIDE)) * math.sqrt(2 / SIDE)
    cosines[0] /= math.sqrt(2)

    def place(i: int) -> tuple[int, int]:
        row, column = divmod(i, SIDE)
        return row + column, row if (row + column) % 2 else column

    order = torch.tensor(sorted(range(SIDE * SIDE), key=place))
    return (colors / colors.norm(dim=1, keepdim=True)).float(), cosines.float(), order, order.argsort()


@cache
def frequencies() -> np.ndarray:
    """How often each coefficient of a block goes up and down, across and down together: int64 [192], 0 to 14."""
    row, column = np.divmod(_matrices()[2].numpy(), SIDE)
    return np.tile(row + column, COLORS)


def zigzag() -> tuple[np.ndarray, np.ndarray]:
    """The zigzag order of the places of a block, and the inverse: int64 [64]."""
    return _matrices()[2].numpy(), _matrices()[3].numpy()


def to_coefficients(x: Tensor) -> Tensor:
    """Pictures [B, 3, H, W] of whole blocks -> coefficients [B, H / 8, W / 8, 192]."""
    colors, cosines, order, _ = (m.to(x.device) for m in _matrices())
    b, _, h, w = x.shape
    x = torch.einsum("ij,bjhw->bihw", colors, x).reshape(b, COLORS, h // SIDE, SIDE, w // SIDE, SIDE)
    x = torch.einsum("ij,bchjwk->bchiwk", cosines, x)
    x = torch.einsum("ij,bchkwj->bchkwi", cosines, x)
    return x.permute(0, 2, 4, 1, 3, 5).reshape(b, h // SIDE, w // SIDE, COLORS, SIDE * SIDE)[..., order].flatten(3)


def from_coefficients(x: Tensor) -> Tensor:
    """The inverse of `to_coefficients`."""
    colors, cosines, _, back = (m.to(x.device) for m in _matrices())
    b, h, w, _ = x.shape
    x = x.reshape(b, h, w, COLORS, SIDE * SIDE)[..., back].reshape(b, h, w, COLORS, SIDE, SIDE)
    x = torch.einsum("ji,bhwcjk->bhwcik", cosines, x)
    x = torch.einsum("ji,bhwckj->bhwcki", cosines, x)
    x = x.permute(0, 3, 1, 4, 2, 5).reshape(b, COLORS, h * SIDE, w * SIDE)
    return torch.einsum("ji,bjhw->bihw", colors, x)

"""Transform of pictures in blocks of 8 x 8 pixels: a discrete cosine transform of three orthogonal colours.

Everything is orthonormal, so a squared error of coefficients is one of red, green and blue.
"""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

from .block_arrays import COEFFICIENTS, COLORS, SIDE, frequencies, matrices

__all__ = ["COEFFICIENTS", "COLORS", "SIDE", "frequencies", "from_coefficients", "to_coefficients"]


@cache
def _matrices() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Colours [3, 3], cosines [8, 8], and the zigzag order there and back [64]."""
    colors, cosines, order, back = (torch.from_numpy(matrix) for matrix in matrices())
    return colors, cosines, order, back


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

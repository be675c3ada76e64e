"""Rotary position embedding (Su et al. 2021, arXiv 2104.09864)."""

from __future__ import annotations

import torch
from torch import Tensor


def rotary_angles(positions: Tensor, dim: int, theta: float = 10000.0) -> Tensor:
    """Angles by which pairs of channels turn at each position.

    Args:
        positions: [T], absolute steps (any numeric type).
        dim: channels that are rotated, even.
        theta: base of the geometric row of frequencies.

    Returns:
        fp32 [T, dim / 2].
    """
    exponent = torch.arange(0, dim, 2, device=positions.device, dtype=torch.float32) / dim
    return positions.float()[:, None] * theta**-exponent


def apply_rotary(x: Tensor, angles: Tensor) -> Tensor:
    """Rotate the channels of `x` [..., T, dim] pairwise, channel i with i + dim / 2."""
    return turned(x, angles.cos().to(x.dtype), angles.sin().to(x.dtype))


def turned(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """`apply_rotary` with the cosines and sines of the angles at hand."""
    a, b = x.chunk(2, dim=-1)
    return torch.cat([a * cos - b * sin, b * cos + a * sin], dim=-1)

"""ConvNeXt blocks over pictures [B, H, W, C], channels last (Liu et al. 2022, arXiv 2201.03545)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .linear import RowStableLinear


class DepthwiseConv2d(nn.Module):
    """Depthwise convolution with zero padding that keeps the size: [B, H, W, C] -> [B, H, W, C]."""

    def __init__(self, channels: int, kernel: int):
        super().__init__()
        self.kernel = kernel
        bound = 1 / kernel
        self.weight = nn.Parameter(torch.empty(channels, 1, kernel, kernel).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        y = F.conv2d(x.permute(0, 3, 1, 2), self.weight, self.bias, padding=self.kernel // 2, groups=len(self.bias))
        return y.permute(0, 2, 3, 1)


class ConvNeXtBlock2d(nn.Module):
    """x + scale * MLP(norm(depthwise(x))).

    Args:
        channels: C.
        expansion: width of the hidden layer in multiples of C.
        kernel: side of the depthwise convolution.
        scale: initial value of the learnt per-channel scale of the branch.
    """

    def __init__(self, channels: int, expansion: int = 3, kernel: int = 3, scale: float = 0.1):
        super().__init__()
        self.depthwise = DepthwiseConv2d(channels, kernel)
        self.norm = nn.LayerNorm(channels, eps=1e-6)
        self.expand = RowStableLinear(channels, expansion * channels)
        self.contract = RowStableLinear(expansion * channels, channels)
        self.scale = nn.Parameter(torch.full((channels,), scale))

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.depthwise(x))
        return x + self.scale * self.contract(F.gelu(self.expand(y)))


def merge(x: Tensor, factor: int) -> Tensor:
    """Squares of factor x factor places become one: [B, H, W, C] -> [B, H/f, W/f, f*f*C]."""
    b, h, w, c = x.shape
    x = x.reshape(b, h // factor, factor, w // factor, factor, c)
    return x.permute(0, 1, 3, 2, 4, 5).reshape(b, h // factor, w // factor, factor * factor * c)


def unmerge(x: Tensor, factor: int) -> Tensor:
    """The inverse of `merge`: [B, H, W, f*f*C] -> [B, H*f, W*f, C]."""
    b, h, w, c = x.shape
    x = x.reshape(b, h, w, factor, factor, c // factor**2)
    return x.permute(0, 1, 3, 2, 4, 5).reshape(b, h * factor, w * factor, c // factor**2)

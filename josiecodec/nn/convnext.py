"""Causal ConvNeXt blocks over [B, T, C] sequences, and resampling between frame rates.

The block is that of ConvNeXt (Liu et al. 2022, arXiv 2201.03545) in one dimension, as Vocos uses it
for sound (Siuzdak 2023, arXiv 2306.00814), with all padding on the left. Channels are the last axis
throughout: the two matrix products then need no transposition.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .linear import RowStableLinear
from .streaming import State, Streaming, with_past


class CausalDepthwiseConv(Streaming):
    """Depthwise convolution over time that sees the current and the `kernel - 1` past steps."""

    def __init__(self, channels: int, kernel: int):
        super().__init__()
        self.left = kernel - 1
        bound = kernel**-0.5
        self.weight = nn.Parameter(torch.empty(channels, 1, kernel).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor, state: State | None = None) -> Tensor:
        x = with_past(self, x, self.left, 1, state)
        # As a 2-D convolution of height 1 the [B, T, C] layout is "channels last": no copies.
        image = x.transpose(1, 2).unsqueeze(2)
        y = F.conv2d(image, self.weight.unsqueeze(2), self.bias, groups=len(self.bias))
        return y.squeeze(2).transpose(1, 2)


class ConvNeXtBlock(Streaming):
    """x + scale * MLP(norm(depthwise(x))), [B, T, C] -> [B, T, C].

    Args:
        channels: C.
        expansion: width of the hidden layer in multiples of C.
        kernel: steps that the depthwise convolution sees.
        scale: initial value of the learnt per-channel scale of the branch.
    """

    def __init__(self, channels: int, expansion: int = 3, kernel: int = 7, scale: float = 0.1):
        super().__init__()
        self.depthwise = CausalDepthwiseConv(channels, kernel)
        self.norm = nn.LayerNorm(channels, eps=1e-6)
        self.expand = RowStableLinear(channels, expansion * channels)
        self.contract = RowStableLinear(expansion * channels, channels)
        self.scale = nn.Parameter(torch.full((channels,), scale))

    def forward(self, x: Tensor, state: State | None = None) -> Tensor:
        y = self.norm(self.depthwise(x, state))
        return x + self.scale * self.contract(F.gelu(self.expand(y)))


class Downsample(nn.Module):
    """Merge `stride` consecutive steps into one: [B, T, C] -> [B, T / stride, C_out].

    Kernel and stride are equal, so it has no memory; T must be a multiple of `stride`.
    """

    def __init__(self, channels: int, out_channels: int, stride: int):
        super().__init__()
        self.stride = stride
        self.norm = nn.LayerNorm(channels, eps=1e-6)
        self.linear = RowStableLinear(stride * channels, out_channels)

    def forward(self, x: Tensor) -> Tensor:
        batch, steps, channels = x.shape
        return self.linear(self.norm(x).reshape(batch, steps // self.stride, channels * self.stride))


class Upsample(nn.Module):
    """Split each step into `stride` steps: [B, T, C] -> [B, T * stride, C_out]."""

    def __init__(self, channels: int, out_channels: int, stride: int):
        super().__init__()
        self.out_channels = out_channels
        self.stride = stride
        self.norm = nn.LayerNorm(channels, eps=1e-6)
        self.linear = RowStableLinear(channels, stride * out_channels)

    def forward(self, x: Tensor) -> Tensor:
        batch, steps, _ = x.shape
        return self.linear(self.norm(x)).reshape(batch, steps * self.stride, self.out_channels)

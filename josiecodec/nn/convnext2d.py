"""ConvNeXt blocks over pictures [B, H, W, C], channels last (Liu et al. 2022, arXiv 2201.03545)."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .linear import RowStableLinear, exporting

PLACES = 2048  # that go through the layers of a block together


class DepthwiseConv2d(nn.Module):
    """Depthwise convolution with zero padding that keeps the size: [B, H, W, C] -> [B, H, W, C]."""

    def __init__(self, channels: int, kernel: int):
        super().__init__()
        self.kernel = kernel
        bound = 1 / kernel
        self.weight = nn.Parameter(torch.empty(channels, 1, kernel, kernel).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        weight: Tensor = self.weight
        bias: Tensor = self.bias
        if self.training and self.kernel > 3 and x.device.type == "cpu":
            dtype = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else x.dtype
            x, weight, bias = x.to(dtype), weight.to(dtype), bias.to(dtype)
            y = _DepthwiseOnCpu.apply(x.permute(0, 3, 1, 2), weight, bias)
        else:
            y = F.conv2d(x.permute(0, 3, 1, 2), weight, bias, padding=self.kernel // 2, groups=len(bias))
        return y.permute(0, 2, 3, 1)


class _DepthwiseOnCpu(torch.autograd.Function):
    """Depthwise convolution whose weights' gradient is put together from squares of 3 x 3.

    For these the CPU library has a fast kernel; for larger ones it takes thirty times as long as the convolution.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return F.conv2d(x, weight, bias, padding=weight.shape[-1] // 2, groups=len(bias))

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x, weight = ctx.saved_tensors
        kernel, (height, width) = weight.shape[-1], x.shape[-2:]
        side = kernel // 2
        to_x = F.conv2d(grad, weight.flip(2, 3), padding=side, groups=len(weight))
        # Channels stay last in memory: the fast kernel needs that.
        around = x.new_zeros(len(x), height + 2 * side, width + 2 * side, x.shape[1])
        around[:, side:-side, side:-side] = x.permute(0, 2, 3, 1)
        around = around.permute(0, 3, 1, 2)
        to_weight, small = torch.empty_like(weight), weight[:, :, :3, :3].contiguous()
        firsts = [*range(0, kernel - 3, 3), kernel - 3]
        for i in firsts:
            for j in firsts:
                part = around[:, :, i : i + height + 2, j : j + width + 2]
                to_weight[:, :, i : i + 3, j : j + 3] = torch.ops.aten.convolution_backward(
                    grad,
                    part.contiguous(memory_format=torch.channels_last),
                    small,
                    None,
                    [1, 1],
                    [0, 0],
                    [1, 1],
                    False,
                    [0, 0],
                    len(weight),
                    [False, True, False],
                )[1]
        return to_x, to_weight, grad.sum((0, 2, 3))


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
        y = self.depthwise(x)
        if self.training or torch.is_grad_enabled() or exporting() or x.device.type != "cpu":
            return x + self._branch(y)
        # Place by place from here on: a few at a time stay in the processor's cache, and large pictures in memory.
        places, out = y.reshape(-1, y.shape[-1]), torch.empty_like(x, memory_format=torch.contiguous_format)
        into = out.view(places.shape)
        for part, result in zip(places.split(PLACES), into.split(PLACES)):
            result.copy_(self._branch(part))
        return out.add_(x)

    def _branch(self, y: Tensor) -> Tensor:
        return self.scale * self.contract(F.gelu(self.expand(self.norm(y))))


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

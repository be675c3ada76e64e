"""Convolutions over [B, C, T] with weight norm, in a symmetric and in a causal, streaming form.

The past of a causal convolution is kept by the padding in front of it, so that the convolution
itself stays a plain `nn.Conv1d`:

    x(chunk) -> [past | x] -> conv          CausalPad1d holds `past`
    x(chunk) -> transposed conv -> [y | tail], y += tail of the chunk before
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import weight_norm

from .streaming import State, Streaming, with_past


class CausalPad1d(Streaming):
    """Puts the last `left` samples that came before (zeros at the start) in front of [B, C, T]."""

    def __init__(self, left: int):
        super().__init__()
        self.left = left

    def forward(self, x: Tensor, state: State | None = None) -> Tensor:
        return with_past(self, x, self.left, 2, state)


def normed_conv1d(channels: int, out_channels: int, kernel: int, **settings: Any) -> nn.Module:
    """`nn.Conv1d` with its weight split into direction and length (Salimans and Kingma 2016)."""
    return weight_norm(nn.Conv1d(channels, out_channels, kernel, **settings))


def normed_conv_transpose1d(channels: int, out_channels: int, kernel: int, **settings: Any) -> nn.Module:
    """`nn.ConvTranspose1d` with weight norm."""
    return weight_norm(nn.ConvTranspose1d(channels, out_channels, kernel, **settings))


def fold_weight_norm(module: nn.Module) -> None:
    """Replace every weight-normed weight below `module` by its value: faster, no longer trainable so."""
    for child in module.modules():
        if parametrize.is_parametrized(child, "weight"):
            parametrize.remove_parametrizations(child, "weight", leave_parametrized=True)


@torch.no_grad()
def restore_weight_norm(module: nn.Module, names: list[str]) -> None:
    """The inverse of `fold_weight_norm`, to within rounding, for the parts of these names."""
    for child in map(module.get_submodule, names):
        if not parametrize.is_parametrized(child, "weight"):
            split: Any = weight_norm(child)
            length, direction = split.parametrizations.weight.original0, split.parametrizations.weight.original1
            direction.masked_fill_(length == 0, 1.0)  # zeros have no direction, and 0 / 0 no gradient


class CausalConvTranspose1d(Streaming):
    """Transposed convolution by `stride`, kernel 2 * stride, whose output starts with its input.

    [B, C, T] -> [B, C_out, T * stride]. The last `stride` samples of each chunk's full output
    overlap the next chunk and are carried over to it.
    """

    def __init__(self, channels: int, out_channels: int, stride: int):
        super().__init__()
        self.stride = stride
        self.conv = normed_conv_transpose1d(channels, out_channels, 2 * stride, stride=stride)

    def forward(self, x: Tensor, state: State | None = None) -> Tensor:
        y = self.conv(x)
        keep = x.shape[2] * self.stride
        y, tail = y[..., :keep], y[..., keep:]
        past = state.get(self) if state is not None else None
        if past is not None and keep:
            y = torch.cat([y[..., : self.stride] + past, y[..., self.stride :]], -1)
        if state is not None and keep:
            # The bias is in every output sample once already: take it out of what is added later.
            bias = self.conv.bias
            state[self] = tail - bias[None, :, None] if isinstance(bias, Tensor) else tail
        return y


def pad_to_multiple(x: Tensor, multiple: int) -> Tensor:
    """Zeros at the end of the last axis until its length is a multiple."""
    return F.pad(x, (0, -x.shape[-1] % multiple))

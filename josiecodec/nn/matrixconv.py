"""Causal convolutions over [B, T, C] as matrix products.

With channels last, `stride` steps in a row are one row of a matrix, and a convolution is a sum of products, one for
each `stride` steps of its kernel:

    rows  [past | x] as [n, stride * C]      y[t] = rows[t] W0 + rows[t + 1] W1 + ...

Nothing is copied or rearranged but what lies before a chunk. For the chunks of a stream, a few rows each, this is
several times faster on a CPU than general convolutions, which rearrange their weights at every call, and, other than
those, exact: a row does not depend on the rows beside it (`linear.py`).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from ..errors import ConfigError
from .linear import FEW_ROWS, ROW_BLOCK, exporting, stable_linear
from .streaming import State, Streaming, with_past

# Below so many numbers a row is widened to the whole kernel: products of thin matrices are slow.
THIN = 32


class CausalConv(Streaming):
    """Convolution that sees the current and past steps: [B, T, C] -> [B, T / stride, C_out].

    T must be a multiple of `stride`, and with a stride the kernel, too. The weight is [C_out, kernel * C], the
    oldest step first, with weight norm.
    """

    def __init__(
        self,
        channels: int,
        out_channels: int,
        kernel: int,
        stride: int = 1,
        dilation: int = 1,
        bias: bool = True,
        replicate: bool = False,
    ):
        super().__init__()
        if kernel % stride or (stride > 1 and dilation > 1):
            raise ConfigError(f"a kernel of {kernel} steps does not go with a stride of {stride}, dilation {dilation}")
        self.channels, self.stride, self.dilation = channels, stride, dilation
        self.taps = kernel // stride
        self.left = (kernel - stride) * dilation
        self.replicate = replicate
        self.linear = weight_norm(nn.Linear(kernel * channels, out_channels, bias))

    def forward(self, x: Tensor, state: State | None = None) -> Tensor:
        batch, steps, _ = x.shape
        x = with_past(self, x, self.left, 1, state, self.replicate)
        weight, bias = self.linear.weight, self.bias()
        width = self.stride * self.channels
        if self.taps > 1 and width < THIN and not exporting():
            windows = x.unfold(1, self.left + self.stride, self.stride)[..., :: self.dilation]
            return stable_linear(windows.transpose(2, 3).flatten(2), weight, bias, exact=not self.training)
        rows = x.reshape(batch, -1, width)
        if self.taps == 1:
            return stable_linear(rows, weight, bias, exact=not self.training)
        # All items in one matrix; rows that reach from one item into the next are left out afterwards.
        per_item, reach = rows.shape[1], (self.taps - 1) * self.dilation
        flat = rows.reshape(-1, width)
        count = flat.shape[0] - reach
        plain = self.training or x.device.type != "cpu" or exporting() or count >= FEW_ROWS
        missing = 0 if plain else -count % ROW_BLOCK
        if missing:
            flat = F.pad(flat, (0, 0, 0, missing))
        y = F.linear(flat[: count + missing], weight[:, :width], bias)
        # Autocast leaves products that add in place as they are, and their types differ.
        in_place = not (torch.is_grad_enabled() or torch.is_autocast_enabled(x.device.type))
        for tap in range(1, self.taps):
            first = tap * self.dilation
            part = weight[:, tap * width : (tap + 1) * width]
            later = flat[first : first + count + missing]
            y = y.addmm_(later, part.t()) if in_place else y + F.linear(later, part)
        if batch == 1:
            return y[None, :count]
        y = F.pad(y[:count], (0, 0, 0, reach))
        return y.view(batch, per_item, -1)[:, : steps // self.stride]

    def bias(self) -> Tensor | None:
        """What is added to every row."""
        return self.linear.bias


class CausalUpsampling(CausalConv):
    """Transposed convolution, kernel 2 * stride: [B, T, C] -> [B, T * stride, C_out].

    `stride` steps of the output are one row that the last two steps of the input make.
    """

    def __init__(self, channels: int, out_channels: int, stride: int):
        super().__init__(channels, stride * out_channels, 2, bias=False)
        self.factor = stride
        self.step_bias = nn.Parameter(torch.zeros(out_channels))

    def forward(self, x: Tensor, state: State | None = None) -> Tensor:
        y = super().forward(x, state)
        return y.reshape(y.shape[0], -1, self.step_bias.shape[0])

    def bias(self) -> Tensor:
        return self.step_bias.repeat(self.factor)


class DepthwiseUpsampling(Streaming):
    """`CausalUpsampling` of each channel by itself, without a bias: [B, T, C] -> [B, T * stride, C].

    The weight is [2, stride, C], the older step first.
    """

    def __init__(self, channels: int, stride: int):
        super().__init__()
        self.weight = nn.Parameter(torch.full((2, stride, channels), 0.5))

    def forward(self, x: Tensor, state: State | None = None) -> Tensor:
        x = with_past(self, x, 1, 1, state).unsqueeze(2)
        return (x[:, :-1] * self.weight[0] + x[:, 1:] * self.weight[1]).flatten(1, 2)

"""Mimi's encoder and decoder: SEANet, a transformer at twice the frame rate, and resampling by two.

    encoder  [B, 1, T] -> conv -> (residual unit, strided conv) x 4 -> conv -> transformer -> strided conv -> [B, F, D]
    decoder  [B, F, D] -> transposed conv -> transformer -> conv -> (transposed conv, residual unit) x 4 -> conv

After Defossez et al. 2024 (Moshi, arXiv 2410.00037), section 3.3. With the quantizers of
`SplitQuantizerConfig(mode="mimi")` between them these are the modules whose weights Kyutai published;
`hub/mimi_weights.py` reads and writes those files.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..nn.linear import exporting
from ..nn.matrixconv import CausalConv, CausalUpsampling, DepthwiseUpsampling
from ..nn.streaming import State, Streaming, run
from ..nn.transformer import Transformer
from .network_configs import MimiConfig

# The layers next to the waveform run over so many frames at a time; see `_in_tiles`.
TILE_FRAMES = 4


class ResidualUnit(Streaming):
    """x + conv(elu(dilated conv(elu(x)))), narrower inside: [B, T, C] -> [B, T, C]."""

    def __init__(self, channels: int, dilation: int, config: MimiConfig):
        super().__init__()
        narrow = channels // config.compress
        self.narrow = CausalConv(channels, narrow, config.residual_kernel, dilation=dilation)
        self.widen = CausalConv(narrow, channels, 1)

    def forward(self, x: Tensor, state: State | None = None) -> Tensor:
        return x + self.widen(_elu(self.narrow(F.elu(x), state)), state)


def _elu(x: Tensor) -> Tensor:
    """ELU of what nobody else needs."""
    return F.elu(x) if torch.is_grad_enabled() else F.elu_(x)


def _units(channels: int, config: MimiConfig) -> nn.ModuleList:
    return nn.ModuleList(ResidualUnit(channels, config.dilation_base**j, config) for j in range(config.residual_units))


class DownStage(Streaming):
    """Residual units, then a strided convolution to twice the width: [B, T, C] -> [B, T / stride, 2 C]."""

    def __init__(self, channels: int, stride: int, config: MimiConfig):
        super().__init__()
        self.units = _units(channels, config)
        self.resample = CausalConv(channels, 2 * channels, 2 * stride, stride)

    def forward(self, x: Tensor, state: State | None = None) -> Tensor:
        return self.resample(_elu(run(self.units, x, state)), state)


class UpStage(Streaming):
    """A transposed convolution to half the width, then residual units: [B, T, C] -> [B, T * stride, C / 2]."""

    def __init__(self, channels: int, stride: int, config: MimiConfig):
        super().__init__()
        self.resample = CausalUpsampling(channels, channels // 2, stride)
        self.units = _units(channels // 2, config)

    def forward(self, x: Tensor, state: State | None = None) -> Tensor:
        return run(self.units, self.resample(_elu(x), state), state)


class MimiEncoder(Streaming):
    """Waveform [B, 1, F * frame_size] -> latent [B, F, dim]."""

    def __init__(self, dim: int, config: MimiConfig):
        super().__init__()
        widths = [config.channels * 2**i for i in range(len(config.strides) + 1)]
        self.input_proj = CausalConv(1, widths[0], config.kernel)
        self.stages = nn.ModuleList(DownStage(w, s, config) for w, s in zip(widths, config.strides))
        self.output_proj = CausalConv(widths[-1], dim, config.last_kernel)
        self.transformer = Transformer(config.transformer)
        stride = config.final_stride
        self.downsample = CausalConv(dim, dim, 2 * stride, stride, bias=False, replicate=True)
        self.fast = _fast_stages(config)
        self.tile = TILE_FRAMES * config.frame_size

    def forward(self, x: Tensor, state: State | None = None) -> Tensor:
        x = _in_tiles(self._first, x.transpose(1, 2), self.tile, state)
        x = run(self.stages[self.fast :], x, state)
        x = self.output_proj(_elu(x), state)
        return self.downsample(self.transformer(x, state), state)

    def _first(self, x: Tensor, state: State | None) -> Tensor:
        return run(self.stages[: self.fast], self.input_proj(x, state), state)


class MimiDecoder(Streaming):
    """Latent [B, F, dim] -> waveform [B, 1, F * frame_size]; the mirror image of the encoder."""

    def __init__(self, dim: int, config: MimiConfig):
        super().__init__()
        # each channel for itself, as in the published model
        self.upsample = DepthwiseUpsampling(dim, config.final_stride)
        self.transformer = Transformer(config.transformer)
        widths = [config.channels * 2**i for i in range(len(config.strides), 0, -1)]
        self.input_proj = CausalConv(dim, widths[0], config.kernel)
        self.stages = nn.ModuleList(UpStage(w, s, config) for w, s in zip(widths, config.strides[::-1]))
        self.output_proj = CausalConv(config.channels, 1, config.last_kernel)
        self.slow = len(widths) - _fast_stages(config)
        self.tile = TILE_FRAMES * config.final_stride * math.prod(config.strides[_fast_stages(config) :])

    def forward(self, x: Tensor, state: State | None = None) -> Tensor:
        x = self.transformer(self.upsample(x, state), state)
        x = self.input_proj(x, state)
        x = run(self.stages[: self.slow], x, state)
        return _in_tiles(self._last, x, self.tile, state).transpose(1, 2)

    def _last(self, x: Tensor, state: State | None) -> Tensor:
        x = run(self.stages[self.slow :], x, state)
        return self.output_proj(_elu(x), state)


def _fast_stages(config: MimiConfig) -> int:
    """Stages next to the waveform that are run tile by tile: those whose steps are shorter than 20."""
    return sum(math.prod(config.strides[:i]) < 20 for i in range(len(config.strides)))


def _in_tiles(part: Callable[[Tensor, State | None], Tensor], x: Tensor, tile: int, state: State | None) -> Tensor:
    """Run layers over [B, T, C] piece by piece, so that what passes between them stays in the processor's cache."""
    if torch.is_grad_enabled() or x.device.type != "cpu" or exporting() or x.shape[1] <= tile:
        return part(x, state)
    memory = State() if state is None else state
    return torch.cat([part(piece, memory) for piece in x.split(tile, 1)], 1)

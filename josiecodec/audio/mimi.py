"""Mimi's encoder and decoder: SEANet, a transformer at twice the frame rate, and resampling by two.

    encoder  [B, 1, T] -> conv -> (residual unit, strided conv) x 4 -> conv -> transformer -> strided conv -> [B, F, D]
    decoder  [B, F, D] -> transposed conv -> transformer -> conv -> (transposed conv, residual unit) x 4 -> conv

After Defossez et al. 2024 (Moshi, arXiv 2410.00037), section 3.3, and seed 004. With the quantizers of
`QuantizerConfig(mode="mimi")` between them these are the modules whose weights Kyutai published; `layouts.py`
reads and writes those files.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

from torch import Tensor, nn

from ..errors import ConfigError
from ..nn.conv import CausalConvTranspose1d, CausalReplicate1d, causal_conv1d, normed_conv1d
from ..nn.streaming import State, Streaming, run
from ..nn.transformer import Transformer, TransformerConfig


def _transformer() -> TransformerConfig:
    return TransformerConfig(
        dim=512,
        layers=8,
        heads=8,
        hidden=2048,
        dropout=0.0,
        context=250,
        norm="layer",
        activation="gelu",
        layer_scale=0.01,
        final_norm=False,
    )


@dataclass(frozen=True)
class MimiConfig:
    """Settings of a `MimiEncoder` and its `MimiDecoder`.

    Attributes:
        kind: "mimi".
        channels: width at the waveform's rate; it doubles with every stride.
        strides: down-sampling factors of the convolutions, from the waveform inwards.
        final_stride: of the resampling between the transformer's rate and the frames'.
        kernel: of the convolution next to the waveform in the encoder and next to the latent in the decoder.
        last_kernel: of the one at the other end.
        residual_kernel: of the residual units.
        residual_units: at every rate; the dilation of unit j is `dilation_base` ** j.
        dilation_base: see there.
        compress: the residual units are so many times narrower inside.
        transformer: of both, at `final_stride` times the frame rate.
    """

    kind: Literal["mimi"] = "mimi"
    channels: int = 64
    strides: tuple[int, ...] = (4, 5, 6, 8)
    final_stride: int = 2
    kernel: int = 7
    last_kernel: int = 3
    residual_kernel: int = 3
    residual_units: int = 1
    dilation_base: int = 2
    compress: int = 2
    transformer: TransformerConfig = field(default_factory=_transformer)

    def __post_init__(self) -> None:
        numbers = (self.channels, *self.strides, self.kernel, self.last_kernel, self.residual_kernel, self.compress)
        if min(numbers) < 1 or self.final_stride < 2 or self.residual_units < 0 or self.dilation_base < 1:
            raise ConfigError("mimi: sizes must be positive, and final_stride at least 2")

    @property
    def frame_size(self) -> int:
        """Samples per frame."""
        return math.prod(self.strides) * self.final_stride

    @property
    def causal(self) -> bool:
        """Whether it can run on a stream."""
        return self.transformer.causal and self.transformer.context > 0


class ResidualUnit(Streaming):
    """x + conv(elu(dilated conv(elu(x)))), narrower inside: [B, C, T] -> [B, C, T]."""

    def __init__(self, channels: int, dilation: int, config: MimiConfig):
        super().__init__()
        narrow = channels // config.compress
        self.branch = nn.Sequential(
            nn.ELU(),
            causal_conv1d(channels, narrow, config.residual_kernel, dilation=dilation),
            nn.ELU(),
            causal_conv1d(narrow, channels, 1),
        )

    def forward(self, x: Tensor, state: State | None = None) -> Tensor:
        return x + run(self.branch, x, state)


def _units(channels: int, config: MimiConfig) -> list[nn.Module]:
    return [ResidualUnit(channels, config.dilation_base**j, config) for j in range(config.residual_units)]


class MimiEncoder(Streaming):
    """Waveform [B, 1, F * frame_size] -> latent [B, F, dim]."""

    def __init__(self, dim: int, config: MimiConfig):
        super().__init__()
        width = config.channels
        self.input_proj = causal_conv1d(1, width, config.kernel)
        self.stages = nn.ModuleList()
        for stride in config.strides:
            down = causal_conv1d(width, 2 * width, 2 * stride, stride)
            self.stages.append(nn.Sequential(*_units(width, config), nn.ELU(), down))
            width *= 2
        self.output_proj = nn.Sequential(nn.ELU(), causal_conv1d(width, dim, config.last_kernel))
        self.transformer = Transformer(config.transformer)
        stride = config.final_stride
        self.downsample = nn.Sequential(
            CausalReplicate1d(stride), normed_conv1d(dim, dim, 2 * stride, stride=stride, bias=False)
        )

    def forward(self, x: Tensor, state: State | None = None) -> Tensor:
        x = run(self.input_proj, x, state)
        x = run(self.stages, x, state)
        x = run(self.output_proj, x, state)
        x = self.transformer(x.transpose(1, 2), state).transpose(1, 2)
        return run(self.downsample, x, state).transpose(1, 2)


class MimiDecoder(Streaming):
    """Latent [B, F, dim] -> waveform [B, 1, F * frame_size]; the mirror image of the encoder."""

    def __init__(self, dim: int, config: MimiConfig):
        super().__init__()
        # each channel for itself, as in the published model
        self.upsample = CausalConvTranspose1d(dim, dim, config.final_stride, groups=dim, bias=False)
        self.transformer = Transformer(config.transformer)
        width = config.channels * 2 ** len(config.strides)
        self.input_proj = causal_conv1d(dim, width, config.kernel)
        self.stages = nn.ModuleList()
        for stride in reversed(config.strides):
            up = CausalConvTranspose1d(width, width // 2, stride)
            width //= 2
            self.stages.append(nn.Sequential(nn.ELU(), up, *_units(width, config)))
        self.output_proj = nn.Sequential(nn.ELU(), causal_conv1d(width, 1, config.last_kernel))

    def forward(self, x: Tensor, state: State | None = None) -> Tensor:
        x = self.upsample(x.transpose(1, 2), state)
        x = self.transformer(x.transpose(1, 2), state).transpose(1, 2)
        x = run(self.input_proj, x, state)
        x = run(self.stages, x, state)
        return run(self.output_proj, x, state)

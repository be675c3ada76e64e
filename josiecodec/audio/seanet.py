"""SEANet: a waveform encoder of dilated and strided convolutions, and its mirror image.

    [B, 1, T] -> conv -> (dilated residual layers, strided conv) x 4 -> strided conv -> [B, D, T/1920]

After SoundStream (Zeghidour et al. 2021, arXiv 2107.03312) and the published architecture of J.O.S.I.E. v4o
(Gülmez 2025). In its causal form everything is padded on the left and resampling kernels are twice the stride; the
symmetric form with kernel 3 throughout is that of the published modules.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from ..nn.conv import (
    CausalConvTranspose1d,
    CausalPad1d,
    normed_conv1d,
    normed_conv_transpose1d,
)
from ..nn.streaming import State, Streaming, run
from .network_configs import SeaNetConfig


def _dilated(channels: int, dilation: int, config: SeaNetConfig) -> nn.Sequential:
    reach = (config.kernel - 1) * dilation
    pad: nn.Module = CausalPad1d(reach) if config.causal else nn.ConstantPad1d((reach // 2, reach // 2), 0)
    conv = normed_conv1d(channels, channels, config.kernel, dilation=dilation)
    return nn.Sequential(pad, conv, nn.SiLU())


def _dilated_layers(layers: nn.ModuleList, x: Tensor, state: State | None, residual: bool) -> Tensor:
    for layer in layers:
        y = run(layer, x, state)
        x = x + y if residual else y
    return x


class ConvBlock(Streaming):
    """Dilated layers at one rate, then a strided convolution to the next lower one."""

    def __init__(self, channels: int, out_channels: int, stride: int, config: SeaNetConfig):
        super().__init__()
        self.residual = config.residual
        self.layers = nn.ModuleList(_dilated(channels, d, config) for d in config.dilations)
        pad: nn.Module
        if config.causal:
            pad, kernel = CausalPad1d(stride), 2 * stride
        else:
            pad, kernel = nn.ConstantPad1d((1, 1), 0), config.kernel
        self.downsample = nn.Sequential(pad, normed_conv1d(channels, out_channels, kernel, stride=stride))

    def forward(self, x: Tensor, state: State | None = None) -> Tensor:
        x = _dilated_layers(self.layers, x, state, self.residual)
        return run(self.downsample, x, state)


class TransposedConvBlock(Streaming):
    """A transposed convolution to the next higher rate, then dilated layers there."""

    def __init__(self, channels: int, out_channels: int, stride: int, config: SeaNetConfig):
        super().__init__()
        self.residual = config.residual
        self.upsample: nn.Module
        if config.causal:
            self.upsample = CausalConvTranspose1d(channels, out_channels, stride)
        else:
            self.upsample = normed_conv_transpose1d(
                channels, out_channels, config.kernel, stride=stride, padding=1, output_padding=stride - 1
            )
        self.layers = nn.ModuleList(_dilated(out_channels, d, config) for d in reversed(config.dilations))

    def forward(self, x: Tensor, state: State | None = None) -> Tensor:
        x = self.upsample(x, state) if isinstance(self.upsample, Streaming) else self.upsample(x)
        return _dilated_layers(self.layers, x, state, self.residual)


class SeaNetEncoder(Streaming):
    """Waveform [B, 1, F * frame_size] -> latent [B, F, dim].

    Args:
        dim: width of the latent.
        config: see `SeaNetConfig`.
    """

    def __init__(self, dim: int, config: SeaNetConfig):
        super().__init__()
        self.causal = config.causal
        widths = config.channels
        if config.causal:
            self.pad = CausalPad1d(config.kernel - 1)
            self.final_pad = CausalPad1d(config.final_stride)
            self.input_proj = normed_conv1d(1, widths[0], config.kernel)
            self.final_conv = normed_conv1d(widths[-1], dim, 2 * config.final_stride, stride=config.final_stride)
        else:
            self.input_proj = normed_conv1d(1, widths[0], config.kernel, padding=config.kernel // 2)
            self.final_conv = normed_conv1d(widths[-1], dim, config.kernel, stride=config.final_stride, padding=2)
        self.conv_blocks = nn.ModuleList(
            ConvBlock(a, b, stride, config) for a, b, stride in zip(widths, widths[1:], config.strides)
        )

    def forward(self, x: Tensor, state: State | None = None) -> Tensor:
        x = self.input_proj(self.pad(x, state) if self.causal else x)
        x = run(self.conv_blocks, x, state)
        x = F.silu(x)
        # As published the last convolution gives one frame more than there are; the first one covers a
        # single sample, so it is the one to drop.
        x = self.final_conv(self.final_pad(x, state)) if self.causal else self.final_conv(x)[..., 1:]
        return x.transpose(1, 2)


class SeaNetDecoder(Streaming):
    """Latent [B, F, dim] -> waveform [B, 1, F * frame_size]; the mirror image of the encoder."""

    def __init__(self, dim: int, config: SeaNetConfig):
        super().__init__()
        self.causal = config.causal
        widths = config.channels[::-1]
        stride = config.final_stride
        self.initial_upsample: nn.Module
        if config.causal:
            self.initial_upsample = CausalConvTranspose1d(dim, widths[0], stride)
            self.pad = CausalPad1d(config.kernel - 1)
            self.final_proj = normed_conv1d(widths[-1], 1, config.kernel)
        else:
            # kernel 2 * stride with this padding gives exactly `stride` times the length
            self.initial_upsample = normed_conv_transpose1d(
                dim, widths[0], 2 * stride, stride=stride, padding=stride // 2
            )
            self.final_proj = normed_conv1d(widths[-1], 1, config.kernel, padding=config.kernel // 2)
        self.conv_blocks = nn.ModuleList(
            TransposedConvBlock(a, b, s, config) for a, b, s in zip(widths, widths[1:], config.strides[::-1])
        )

    def forward(self, x: Tensor, state: State | None = None) -> Tensor:
        x = x.transpose(1, 2)
        x = self.initial_upsample(x, state) if self.causal else self.initial_upsample(x)
        x = run(self.conv_blocks, F.silu(x), state)
        return self.final_proj(self.pad(x, state) if self.causal else x)

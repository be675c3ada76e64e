"""Settings of the encoders and decoders of audio; light, for what reads configurations alone."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

from ..errors import ConfigError
from ..nn.transformer_config import TransformerConfig

FINE_SPECTRA = 4  # short spectra in each hop of the long ones
MAX_WINDOW = 1 << 14  # samples


@dataclass(frozen=True)
class SpectralEncoderConfig:
    """Settings of a `SpectralEncoder`.

    Attributes:
        kind: "spectral".
        hop: samples between two spectra.
        window: samples under each analysis window.
        fine: samples under the windows of a second analysis with four spectra a hop, which hears when things happen
            and single pulses of a low voice; 0 for none.
        channels: widths, first at the rate of the spectra, then after each down-sampling.
        blocks: ConvNeXt blocks at each of these rates.
        strides: down-sampling factors; hop * product is the samples per frame.
        expansion: width of the blocks' hidden layers in multiples of the channels.
        kernel: of the blocks.
    """

    kind: Literal["spectral"] = "spectral"
    hop: int = 480
    window: int = 960
    fine: int = 0
    channels: tuple[int, ...] = (256, 384)
    blocks: tuple[int, ...] = (4, 1)
    strides: tuple[int, ...] = (4,)
    expansion: int = 3
    kernel: int = 7

    def __post_init__(self) -> None:
        _check("spectral encoder", self.hop, self.window, self.channels, self.blocks, self.strides)
        if self.fine and (
            self.hop % FINE_SPECTRA or not 0 < self.fine <= MAX_WINDOW or self.fine % (2 * self.hop // FINE_SPECTRA)
        ):
            raise ConfigError(f"spectral encoder: fine windows must be an even number of hops / {FINE_SPECTRA}")

    @property
    def frame_size(self) -> int:
        """Samples per frame."""
        return self.hop * math.prod(self.strides)


@dataclass(frozen=True)
class SpectralDecoderConfig:
    """Settings of a `SpectralDecoder`; rates from the frames' outwards.

    Attributes:
        kind: "spectral".
        hop: samples between two synthesised spectra.
        window: samples of each inverse transform.
        channels: widths, first at the frame rate, then after each up-sampling.
        blocks: ConvNeXt blocks at each of these rates.
        strides: up-sampling factors; hop * product is the samples per frame.
        expansion: width of the blocks' hidden layers in multiples of the channels.
        kernel: of the blocks.
        source: a `HarmonicNoiseSource` beside the freely drawn spectrum.
        level_conditioned: an embedding of the number of levels that latents were made of is added to them, so that the
            network knows how far to trust them.
    """

    kind: Literal["spectral"] = "spectral"
    hop: int = 240
    window: int = 960
    channels: tuple[int, ...] = (384, 320, 256)
    blocks: tuple[int, ...] = (1, 3, 6)
    strides: tuple[int, ...] = (4, 2)
    expansion: int = 3
    kernel: int = 7
    source: bool = True
    level_conditioned: bool = False

    def __post_init__(self) -> None:
        _check("spectral decoder", self.hop, self.window, self.channels, self.blocks, self.strides)

    @property
    def frame_size(self) -> int:
        """Samples per frame."""
        return self.hop * math.prod(self.strides)


def _check(name: str, hop: int, window: int, channels: tuple, blocks: tuple, strides: tuple) -> None:
    if not len(channels) == len(blocks) == len(strides) + 1:
        raise ConfigError(f"{name}: channels and blocks need one entry more than strides")
    if not 1 <= hop <= window <= MAX_WINDOW or window % (2 * hop):
        raise ConfigError(f"{name}: the window must be an even number of hops, and at most {MAX_WINDOW} samples")
    if any(c % 32 for c in channels):
        raise ConfigError(f"{name}: widths must be multiples of 32")


@dataclass(frozen=True)
class SeaNetConfig:
    """Settings of a `SeaNetEncoder` and its `SeaNetDecoder`.

    Attributes:
        kind: "seanet".
        channels: width at each rate, from the waveform's inwards; one more than `strides`.
        strides: down-sampling factors from the waveform inwards, without the last one.
        final_stride: of the last convolution, which brings the width to the latent's.
        dilations: one dilated layer for each, at every rate.
        kernel: of all convolutions but the resampling ones of the causal form.
        causal: left padding and resampling kernels of twice the stride; else as published.
        residual: add each dilated layer's input to its output.
    """

    kind: Literal["seanet"] = "seanet"
    channels: tuple[int, ...] = (32, 64, 128, 256, 512)
    strides: tuple[int, ...] = (4, 5, 6, 8)
    final_stride: int = 2
    dilations: tuple[int, ...] = (1, 2, 4)
    kernel: int = 3
    causal: bool = True
    residual: bool = True

    def __post_init__(self) -> None:
        if len(self.channels) != len(self.strides) + 1:
            raise ConfigError("seanet: one more width than strides is needed")

    @property
    def frame_size(self) -> int:
        """Samples per frame."""
        return math.prod(self.strides) * self.final_stride


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

"""Configuration of a JODIO model, as it is stored in `config.json` beside the weights."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from ..errors import ConfigError
from ..nn.transformer import TransformerConfig
from ..settings import EncoderSettings
from .mimi import MimiConfig
from .seanet import SeaNetConfig
from .spectral import SpectralDecoderConfig, SpectralEncoderConfig
from .waveform_layer import WaveformLayerConfig


@dataclass(frozen=True)
class QuantizerConfig:
    """Settings of the semantic codebook and the acoustic stack.

    Attributes:
        mode: "split": both code the latent itself, and their vectors are added (Mimi, Moshi table 3);
            "residual": the acoustic stack codes what the semantic codebook left over (seed 002, 6.2);
            "mimi": as "split", with no bias in the linear maps around the semantic and the acoustic part.
        acoustic_levels: codebooks of the acoustic stack; the model has one level more in all.
        codebook_size: codes in each codebook.
        dim: width of the spaces in which the two quantizers work; 0 for the latent's own.
        semantic_dim: width of the semantic quantizer's space if it is another one; 0 for `dim`.
        code_dim: width in which each codebook compares; 0 for `dim` (else factorised codes).
        normalize: compare directions only.
        update: how codes are learnt, "ema" or "gradient".
        decay: of the moving averages.
        window: vectors per code that they reach back over at least, see `VectorQuantizer`.
        shared_from: from this acoustic level on (the first is 0) one codebook serves all, see
            `ResidualVectorQuantizer`; -1 for none.
        restart_below: usage, in fair shares, below which a code is restarted.
        commitment: weight of the commitment loss.
    """

    mode: Literal["split", "residual", "mimi"] = "split"
    acoustic_levels: int = 31
    codebook_size: int = 2048
    dim: int = 48
    semantic_dim: int = 0
    code_dim: int = 0
    normalize: bool = False
    update: Literal["ema", "gradient"] = "ema"
    decay: float = 0.99
    window: int = 0
    shared_from: int = -1
    restart_below: float = 0.1
    commitment: float = 0.25

    def __post_init__(self) -> None:
        if self.acoustic_levels < 1 or not 2 <= self.codebook_size <= 65536:
            raise ConfigError("quantizer: acoustic_levels must be at least 1 and codebook_size in 2..65536")
        if self.window < 0 or self.shared_from < -1:
            raise ConfigError("quantizer: window must be at least 0, shared_from at least -1")


@dataclass(frozen=True)
class JodioConfig:
    """A whole JODIO model.

    Attributes:
        name: of the preset or the trained model.
        sample_rate: in Hz; the model hears and speaks mono at this rate.
        latent_dim: width of the sequence between encoder, quantizers and decoder.
        encoding: how its encoder looks for codes where the caller does not say; no part of its identity.
        encoder, decoder: see the classes; both must have the same `frame_size`.
        encoder_transformer, decoder_transformer: at the frame rate around the quantizers, or None.
        quantizer: see `QuantizerConfig`.
        waveform: levels after those of the quantizer, which code the low band's waveform; None for none.
    """

    name: str = "jodio"
    sample_rate: int = 24000
    latent_dim: int = 384
    encoder: SeaNetConfig | SpectralEncoderConfig | MimiConfig = field(default_factory=SpectralEncoderConfig)
    decoder: SeaNetConfig | SpectralDecoderConfig | MimiConfig = field(default_factory=SpectralDecoderConfig)
    encoder_transformer: TransformerConfig | None = None
    decoder_transformer: TransformerConfig | None = None
    quantizer: QuantizerConfig = field(default_factory=QuantizerConfig)
    waveform: WaveformLayerConfig | None = None
    encoding: EncoderSettings = field(default_factory=lambda: EncoderSettings(n_q=9, beams=1))

    def __post_init__(self) -> None:
        if self.encoder.frame_size != self.decoder.frame_size:
            raise ConfigError(
                f"encoder and decoder disagree on the frame: {self.encoder.frame_size} and "
                f"{self.decoder.frame_size} samples"
            )
        if self.sample_rate < 1 or self.latent_dim < 1:
            raise ConfigError("sample_rate and latent_dim must be positive")
        if not 1 <= self.encoding.n_q <= self.n_q:
            raise ConfigError(f"encoding: n_q must be in 1..{self.n_q}")
        inside = [part.transformer for part in (self.encoder, self.decoder) if isinstance(part, MimiConfig)]
        for transformer in (self.encoder_transformer, self.decoder_transformer, *inside):
            if transformer and transformer.dim != self.latent_dim:
                raise ConfigError("the transformers' dim must be latent_dim")
        if self.waveform:
            self.waveform.hop(self.frame_size)
            if not self.causal:
                raise ConfigError("waveform: the layer goes with causal networks only")

    @property
    def base_levels(self) -> int:
        """Levels of the quantizer, the semantic one included."""
        return 1 + self.quantizer.acoustic_levels

    @property
    def n_q(self) -> int:
        """Levels in all, the semantic one and those of the waveform layer included."""
        return self.base_levels + (self.waveform.levels if self.waveform else 0)

    @property
    def frame_size(self) -> int:
        """Samples per frame."""
        return self.encoder.frame_size

    @property
    def causal(self) -> bool:
        """Whether the model can run on a stream."""
        parts = (self.encoder, self.decoder)
        transformers = (self.encoder_transformer, self.decoder_transformer)
        return all(getattr(p, "causal", True) for p in parts) and all(
            t is None or (t.causal and t.context > 0) for t in transformers
        )

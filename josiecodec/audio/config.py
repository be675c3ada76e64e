"""Configuration of a JODIO model, as it is stored in `config.json` beside the weights."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from ..errors import ConfigError
from ..nn.transformer_config import TransformerConfig
from ..quantization.config import MAX_LEVELS, SplitQuantizerConfig
from ..settings import EncoderSettings
from .layer_configs import EnvelopeLayerConfig, WaveformLayerConfig
from .levels import useful_levels
from .network_configs import MimiConfig, SeaNetConfig, SpectralDecoderConfig, SpectralEncoderConfig

# Long recordings are run through the network in blocks of this many frames (20 s at 12.5 Hz).
CHUNK_FRAMES = 250


@dataclass(frozen=True)
class AdaptedConfig:
    """The model whose codes an adapted one keeps: files carry its name and fingerprint, and both models decode them.

    Attributes:
        fingerprint: sha256 (hex) of that model.
    """

    fingerprint: str

    def __post_init__(self) -> None:
        if not re.fullmatch("[0-9a-f]{64}", self.fingerprint):
            raise ConfigError("adapted: fingerprint must be a sha256, 64 hex digits")


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
        quantizer: see `SplitQuantizerConfig`.
        waveform: levels after those of the quantizer, which code the low band's waveform; None for none.
        envelope: levels among those of the waveform, which code when and how loud the upper bands are; None for none.
        adapted: a second decoder of the base, for the sound of some voices, see `AdaptedConfig`; None for none.
    """

    name: str = "jodio"
    sample_rate: int = 24000
    latent_dim: int = 384
    encoder: SeaNetConfig | SpectralEncoderConfig | MimiConfig = field(default_factory=SpectralEncoderConfig)
    decoder: SeaNetConfig | SpectralDecoderConfig | MimiConfig = field(default_factory=SpectralDecoderConfig)
    encoder_transformer: TransformerConfig | None = None
    decoder_transformer: TransformerConfig | None = None
    quantizer: SplitQuantizerConfig = field(default_factory=SplitQuantizerConfig)
    waveform: WaveformLayerConfig | None = None
    envelope: EnvelopeLayerConfig | None = None
    adapted: AdaptedConfig | None = None
    encoding: EncoderSettings = field(default_factory=lambda: EncoderSettings(n_q=9, beams=1))

    def __post_init__(self) -> None:
        if self.encoder.frame_size != self.decoder.frame_size:
            raise ConfigError(
                f"encoder and decoder disagree on the frame: {self.encoder.frame_size} and "
                f"{self.decoder.frame_size} samples"
            )
        if self.sample_rate < 1 or self.latent_dim < 1:
            raise ConfigError("sample_rate and latent_dim must be positive")
        if self.n_q > MAX_LEVELS:
            raise ConfigError(
                f"{self.base_levels} levels of the quantizer and {self.n_q - self.base_levels} of the layers after it "
                f"are more than the {MAX_LEVELS} that a file can hold"
            )
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
        if self.envelope and not self.waveform:
            raise ConfigError("envelope: the layer goes with a waveform layer only")
        if self.adapted and not isinstance(self.decoder, SpectralDecoderConfig):
            raise ConfigError("adapted: only spectral decoders can be adapted")
        if self.envelope and self.envelope.positions[-1] >= self.n_q - self.base_levels:
            raise ConfigError(f"envelope: positions must be in 0..{self.n_q - self.base_levels - 1}")

    @property
    def base_levels(self) -> int:
        """Levels of the quantizer, the semantic one included."""
        return 1 + self.quantizer.acoustic_levels

    @property
    def n_q(self) -> int:
        """Levels in all, the semantic one and those of the layers included."""
        layers = (self.waveform, self.envelope)
        return self.base_levels + sum(layer.levels for layer in layers if layer)

    def useful_levels(self, n_q: int) -> int:
        """The most levels up to `n_q` of which a decoder uses the last one, if all frames have as many."""
        if self.waveform is None or not self.waveform.by_frame:
            return n_q
        positions = self.envelope.positions if self.envelope else ()
        return useful_levels(n_q, self.base_levels, positions, min(self.waveform.min_levels, self.waveform.levels))

    @property
    def has_usual_level(self) -> bool:
        """Whether recordings are brought to a usual level before they are coded, see `loudness.py`."""
        return isinstance(self.encoder, SpectralEncoderConfig)

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

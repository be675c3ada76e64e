"""Named JODIO configurations. Each is data; a new one is a file or a `JodioConfig` of your own."""

from __future__ import annotations

from ..errors import ModelError
from ..nn.transformer import TransformerConfig
from ..settings import EncoderSettings
from .config import JodioConfig, QuantizerConfig
from .mimi import MimiConfig
from .seanet import SeaNetConfig
from .spectral import SpectralDecoderConfig, SpectralEncoderConfig


def _v4o() -> JodioConfig:
    """The printed modules of seed 000: 512 channels at every rate, symmetric, 1 + 8 levels."""
    seanet = SeaNetConfig(channels=(512,) * 5, causal=False)
    transformer = TransformerConfig(dim=512, layers=12, heads=16, hidden=2048, dropout=0.1, causal=False, context=0)
    # 504 = 12 x 42 attention channels, as printed for the decoder
    narrower = TransformerConfig(dim=512, layers=12, heads=12, hidden=2048, dropout=0.1, causal=False, context=0)
    return JodioConfig(
        name="jodio-v4o",
        latent_dim=512,
        encoder=seanet,
        decoder=seanet,
        encoder_transformer=transformer,
        decoder_transformer=narrower,
        quantizer=QuantizerConfig(mode="residual", acoustic_levels=8, dim=0),
    )


def _seanet() -> JodioConfig:
    """The causal, tapered relative of the printed model, with a small transformer on either side."""
    transformer = TransformerConfig(dim=384, layers=2, heads=8, hidden=1024, dropout=0.0, context=125)
    return JodioConfig(
        name="jodio-seanet",
        latent_dim=384,
        encoder=SeaNetConfig(channels=(16, 32, 64, 128, 256)),
        decoder=SeaNetConfig(channels=(16, 32, 64, 128, 256)),
        encoder_transformer=transformer,
        decoder_transformer=transformer,
    )


def _spectral() -> JodioConfig:
    """Spectral encoder and decoder: the architecture of the weights that ship."""
    return JodioConfig(
        name="jodio-24k",
        encoding=EncoderSettings(n_q=9, beams=4),
        encoder=SpectralEncoderConfig(fine=240),
        decoder=SpectralDecoderConfig(told=True),
        quantizer=QuantizerConfig(dim=96, semantic_dim=48, window=30, shared_from=15),
    )


def _mimi() -> JodioConfig:
    """Mimi as Kyutai published it (seed 004): the weights of kyutai/mimi fit."""
    return JodioConfig(
        name="mimi",
        latent_dim=512,
        encoding=EncoderSettings(n_q=8, beams=1),
        encoder=MimiConfig(),
        decoder=MimiConfig(),
        quantizer=QuantizerConfig(mode="mimi", acoustic_levels=31, dim=256),
    )


PRESETS = {"jodio-24k": _spectral, "jodio-seanet": _seanet, "jodio-v4o": _v4o, "mimi": _mimi}


def preset(name: str) -> JodioConfig:
    """The configuration called `name`.

    Raises:
        ModelError: if there is none.
    """
    if name not in PRESETS:
        raise ModelError(f"no preset {name!r} (there are {', '.join(PRESETS)})")
    return PRESETS[name]()

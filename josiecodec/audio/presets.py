"""Named JODIO configurations."""

from __future__ import annotations

import dataclasses

from ..errors import ConfigError
from ..nn.transformer_config import TransformerConfig
from ..quantization.config import SplitQuantizerConfig
from ..settings import EncoderSettings
from .config import JodioConfig
from .layer_configs import BandStep, EnvelopeLayerConfig, LowBandFilterConfig, WaveformLayerConfig
from .network_configs import MimiConfig, SeaNetConfig, SpectralDecoderConfig, SpectralEncoderConfig

# Spectral encoder and decoder.
JODIO_24K = JodioConfig(
    name="jodio-24k",
    encoding=EncoderSettings(n_q=9, beams=4),
    encoder=SpectralEncoderConfig(fine=240),
    decoder=SpectralDecoderConfig(level_conditioned=True),
    quantizer=SplitQuantizerConfig(dim=96, semantic_dim=48, window=30, shared_from=15),
)

# The same with nine levels, and a waveform layer for those after them.
JODIO_24K_V2 = JodioConfig(
    name="jodio-24k-v2",
    encoding=EncoderSettings(n_q=9, beams=4),
    encoder=SpectralEncoderConfig(fine=240),
    decoder=SpectralDecoderConfig(level_conditioned=True),
    quantizer=SplitQuantizerConfig(acoustic_levels=8, dim=96, semantic_dim=48, window=30),
    waveform=WaveformLayerConfig(filter=LowBandFilterConfig()),
)

# The same by frame, and an envelope layer among the levels after the base.
JODIO_24K_V3 = dataclasses.replace(
    JODIO_24K_V2,
    name="jodio-24k-v3",
    waveform=WaveformLayerConfig(filter=LowBandFilterConfig(), by_frame=True),
    envelope=EnvelopeLayerConfig(positions=(0, 1, 23, 24, 25, 26)),
)

# What ships: the same with twice as many levels after the base, up to 8.8 kbit/s.
JODIO_24K_V4 = dataclasses.replace(
    JODIO_24K_V3,
    name="jodio-24k-v4",
    waveform=WaveformLayerConfig(
        levels=46,
        schedule=(BandStep(8, 600.0, 6.0), BandStep(46, 1300.0, 0.0)),
        filter=LowBandFilterConfig(),
        by_frame=True,
    ),
    envelope=EnvelopeLayerConfig(positions=(0, 1, 23, 24, 25, 26, 36, 37, 38)),
)

# Causal and tapered, with a small transformer on either side.
_SMALL_TRANSFORMER = TransformerConfig(dim=384, layers=2, heads=8, hidden=1024, dropout=0.0, context=125)
JODIO_SEANET = JodioConfig(
    name="jodio-seanet",
    latent_dim=384,
    encoder=SeaNetConfig(channels=(16, 32, 64, 128, 256)),
    decoder=SeaNetConfig(channels=(16, 32, 64, 128, 256)),
    encoder_transformer=_SMALL_TRANSFORMER,
    decoder_transformer=_SMALL_TRANSFORMER,
)

# As published (J.O.S.I.E. v4o, Gülmez 2025): 512 channels at every rate, symmetric, 1 + 8 levels.
_V4O_SEANET = SeaNetConfig(channels=(512,) * 5, causal=False)
JODIO_V4O = JodioConfig(
    name="jodio-v4o",
    latent_dim=512,
    encoder=_V4O_SEANET,
    decoder=_V4O_SEANET,
    encoder_transformer=TransformerConfig(
        dim=512, layers=12, heads=16, hidden=2048, dropout=0.1, causal=False, context=0
    ),
    # 12 heads: the published decoder has 504 = 12 x 42 attention channels.
    decoder_transformer=TransformerConfig(
        dim=512, layers=12, heads=12, hidden=2048, dropout=0.1, causal=False, context=0
    ),
    quantizer=SplitQuantizerConfig(mode="residual", acoustic_levels=8, dim=0),
)

# Mimi as Kyutai published it: the weights of kyutai/mimi fit.
MIMI = JodioConfig(
    name="mimi",
    latent_dim=512,
    encoding=EncoderSettings(n_q=8, beams=1),
    encoder=MimiConfig(),
    decoder=MimiConfig(),
    quantizer=SplitQuantizerConfig(mode="mimi", acoustic_levels=31, dim=256),
)

PRESETS: dict[str, JodioConfig] = {
    c.name: c for c in (JODIO_24K, JODIO_24K_V2, JODIO_24K_V3, JODIO_24K_V4, JODIO_SEANET, JODIO_V4O, MIMI)
}


def preset(name: str) -> JodioConfig:
    """The configuration called `name`.

    Raises:
        ConfigError: if there is none.
    """
    if name not in PRESETS:
        raise ConfigError(f"no preset {name!r} (there are {', '.join(PRESETS)})")
    return PRESETS[name]

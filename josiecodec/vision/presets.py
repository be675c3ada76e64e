"""Named JOVIO configurations."""

from __future__ import annotations

import dataclasses

from ..errors import ConfigError
from ..quantization.config import ResidualQuantizerConfig
from ..settings import EncoderSettings
from .config import ConvConfig, JovioConfig, VitConfig

# What ships.
JOVIO_16 = JovioConfig(
    name="jovio-16",
    encoding=EncoderSettings(n_q=8, beams=16, rd_lambda=0.03),
    encoder=ConvConfig(channels=256, blocks=4, fine_blocks=2),
    decoder=ConvConfig(channels=320, blocks=9, fine_blocks=6),
)

PRESETS: dict[str, JovioConfig] = {
    "jovio-16": JOVIO_16,
    # The same, to be trained on for structural similarity.
    "jovio-16-msssim": dataclasses.replace(
        JOVIO_16, name="jovio-16-msssim", encoding=dataclasses.replace(JOVIO_16.encoding, masking=0.5)
    ),
    # As published (J.O.S.I.E. v4o, Gülmez 2025): a vision transformer of 8 layers, 32 codebooks of 2048 codes.
    "jovio-v4o": JovioConfig(
        name="jovio-v4o",
        latent_dim=512,
        quantizer=ResidualQuantizerConfig(levels=32, shared_from=-1),
        encoder=VitConfig(),
        decoder=VitConfig(),
    ),
}


def preset(name: str) -> JovioConfig:
    """The configuration called `name`.

    Raises:
        ConfigError: if there is none.
    """
    if name not in PRESETS:
        raise ConfigError(f"no preset {name!r} (there are {', '.join(PRESETS)})")
    return PRESETS[name]

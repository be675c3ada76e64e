"""What the encoder and the decoder of one recording need of a model."""

from __future__ import annotations

from typing import Protocol

from ..audio.config import JodioConfig
from .graphs import Graph
from .layers import LayersDecoder
from .layers_encoder import LayersEncoder
from .model_files import Weights
from .quantizer import Quantizer


class LightCodec(Protocol):
    """An `AudioCodec`; see there."""

    config: JodioConfig
    weights: Weights
    quantizer: Quantizer

    @property
    def sample_rate(self) -> int: ...
    @property
    def frame_size(self) -> int: ...
    @property
    def n_q(self) -> int: ...
    @property
    def base_levels(self) -> int: ...
    @property
    def codebook_size(self) -> int: ...
    @property
    def encoder(self) -> Graph: ...
    @property
    def decoder(self) -> Graph: ...
    def layers_encoder(self) -> LayersEncoder: ...
    def layers_decoder(self) -> LayersDecoder: ...

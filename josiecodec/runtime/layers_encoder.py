"""The encoder of the levels after the base in NumPy, see `audio/layers.py`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..audio.config import JodioConfig
from ..settings import EncoderSettings
from .envelope_encoder import EnvelopeEncoder, EnvelopeVectors
from .graphs import Graph
from .steps import Past
from .waveform_encoder import WaveformEncoder, WaveformVectors

QUIET, MOMENTS = 1e-8, 8


@dataclass
class LayerPiece:
    """A piece of a recording as the layers after the base see it: see `audio.layers.LayerInput`.

    Attributes:
        codes: of the base, [1, base_levels, F].
        waveform, envelope: how much each level of the layers matters, [L, F] and [E, F].
        vectors: what the layers code.
        phase: of the pulse train of the decoded base after this piece.
    """

    codes: np.ndarray
    waveform: np.ndarray
    envelope: np.ndarray
    vectors: tuple[WaveformVectors, EnvelopeVectors | None]
    phase: int | None = None


class LayersEncoder:
    """Waveform and decoded base -> codes of the levels after the base.

    Args:
        config: of a model with such levels.
        graphs: by name, see `needed_graphs`.
        weights: of the model.
    """

    def __init__(self, config: JodioConfig, graphs: Mapping[str, Graph], weights: Mapping[str, np.ndarray]):
        assert config.waveform is not None
        self.config = config
        self._positions = config.envelope.positions if config.envelope else ()
        self._waveform = WaveformEncoder(config, graphs, weights)
        self._envelope = None
        if config.envelope is not None:
            self._envelope = EnvelopeEncoder(config, graphs["envelope"], weights)
        self._moments = Past(1)

    def encode(self, x: np.ndarray, base: np.ndarray, levels: int, settings: EncoderSettings) -> np.ndarray:
        """Codes [F, levels] of so many levels after the base; both waveforms are [F * frame_size]."""
        own = [k for k in range(levels) if k in self._positions]
        others = [k for k in range(levels) if k not in self._positions]
        rest = np.zeros((len(x) // self.config.frame_size, levels), np.int64)
        beams = settings.beams
        if self._envelope is not None and own:
            rest[:, own] = self._envelope.encode(x, base, len(own), beams, settings.envelope_threshold)
        if others:
            rest[:, others] = self._waveform.encode(x, base, len(others), beams, settings.water_level)
        quiet = self._quiet(x)
        return rest if quiet is None else rest * ~quiet[:, None]

    def analyse(self, x: np.ndarray, base: np.ndarray, codes: np.ndarray) -> LayerPiece:
        """What there is to code, from both waveforms and the codes [F, base_levels] of the base."""
        vectors, waveform = self._waveform.vectors(x, base)
        envelope, envelope_vectors = waveform[:0], None
        if self._envelope is not None:
            envelope_vectors, envelope = self._envelope.vectors(x, base)
        quiet = self._quiet(x)
        if quiet is not None:
            waveform, envelope = (np.where(quiet, np.float32(-np.inf), part) for part in (waveform, envelope))
        return LayerPiece(codes.T[None], waveform, envelope, (vectors, envelope_vectors))

    def paths(
        self, piece: LayerPiece, waveform: np.ndarray, envelope: np.ndarray, beams: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Codes with every number of levels up to those of each frame: see `audio.layers.search_layers`."""
        vectors, envelope_vectors = piece.vectors
        found = self._waveform.paths(vectors, waveform, beams)
        if self._envelope is None or envelope_vectors is None:
            return found, found[:, :0, :0]
        return found, self._envelope.paths(envelope_vectors, envelope, beams)

    def _quiet(self, x: np.ndarray) -> np.ndarray | None:
        """Frames in which nothing is to be heard, [F]; None of models whose frames all have as many levels."""
        if not (self.config.waveform and self.config.waveform.by_frame):
            return None
        moment = self.config.frame_size // MOMENTS
        power = np.square(x).reshape(-1, moment).mean(-1).reshape(-1, MOMENTS).max(-1)
        loudest = self._moments(power)
        return np.maximum(loudest[1:], loudest[:-1]) < np.float32(QUIET)

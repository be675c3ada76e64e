"""The decoder of the levels after the base in NumPy, as `JodioNetwork.decode_layers` puts it together."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..audio.config import JodioConfig
from .envelope import EnvelopeDecoder
from .graphs import Graph
from .waveform import WaveformDecoder


class LayersDecoder:
    """Codes of the levels after the base, and base -> waveform, some frames late.

    Args:
        config: of a model with such levels.
        graphs: by name, see `needed_graphs`.
        weights: of the model.
    """

    def __init__(self, config: JodioConfig, graphs: Mapping[str, Graph], weights: Mapping[str, np.ndarray]):
        assert config.waveform is not None
        self._positions = config.envelope.positions if config.envelope else ()
        self._waveform = WaveformDecoder(config, graphs, weights)
        self._envelope = None
        if config.envelope is not None:
            self._envelope = EnvelopeDecoder(config, graphs["envelope"], weights)
        self._begun = False

    def decode(self, rest: np.ndarray, base: np.ndarray) -> np.ndarray:
        """Codes [F, L] and base [F * frame_size]; F is at least 1."""
        own = [k for k in range(rest.shape[1]) if k in self._positions]
        others = [k for k in range(rest.shape[1]) if k not in self._positions]
        if self._envelope is None:
            return self._waveform.decode(rest, base, base, 0)
        heard = self._envelope.decode(rest[:, own], base)
        heard = heard if self._begun else heard[self._envelope.late :]
        self._begun = True
        return self._waveform.decode(rest[:, others], base, heard, self._envelope.late)

    def finish(self) -> np.ndarray:
        """What is still owed."""
        return self._waveform.finish(np.zeros(0, np.float32) if self._envelope is None else self._envelope.finish())


def needed_weights(config: JodioConfig) -> dict[str, list[int]]:
    """Shapes of the weights outside of the graphs, of layers as `choose.py` lets them pass."""
    shapes: dict[str, list[int]] = {}
    if config.waveform is not None:
        shapes["waveform_layer.covariance.decay"] = []
        if config.waveform.filter is not None:
            shapes["waveform_layer.filter.scale"] = [68]
    if config.envelope is not None:
        dim = config.frame_size // config.envelope.hop * len(config.envelope.coded)
        shapes["envelope_layer.axes"] = [dim, dim]
        shapes |= {f"envelope_layer.{name}": [dim] for name in ("centre", "log_variance")}
    return shapes


def needed_graphs(config: JodioConfig) -> list[str]:
    """Names of the graphs that decode the levels after the base."""
    if config.waveform is None:
        return []
    parts = {"waveform": True, "filter": config.waveform.filter is not None, "envelope": config.envelope is not None}
    return [name for name, there in parts.items() if there]

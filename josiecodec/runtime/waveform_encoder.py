"""The waveform layer's encoder in NumPy, see `audio/waveform_layer.py`."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..audio.config import JodioConfig
from .covariance import Transform
from .graphs import Graph
from .low_band import Decimator, mdct_matrix
from .shaped_codes import Plan
from .shaped_search import search, search_paths
from .steps import Past, product, windows
from .waveform import WaveformParts

MASKING, QUIET = 0.3, np.float32(1e-6)


class WaveformVectors:
    """What a waveform layer codes of N frames: see `ShapedVectors`."""

    def __init__(self, target: np.ndarray, log_variance: np.ndarray, frequency: np.ndarray):
        self.target, self.log_variance, self.frequency = target, log_variance, frequency


class WaveformEncoder(WaveformParts):
    """Waveform and decoded base [F * frame_size] -> codes; arguments as of `WaveformParts`."""

    def __init__(self, codec: JodioConfig, graphs: Mapping[str, Graph], weights: Mapping[str, np.ndarray]):
        super().__init__(codec, graphs, weights)
        self._decimate_original, self._past = Decimator(self.config.decimation, self._row), Past(self.hop)
        self._forward = mdct_matrix(self.hop, len(self._frequency)).astype(np.float64)

    def encode(
        self, x: np.ndarray, base: np.ndarray, levels: int, beams: int, water_level: float | None = None
    ) -> np.ndarray:
        """Codes [F, levels]; arguments as of `WaveformLayer.encode`."""
        low, low_base = self._decimate_original(x), self._decimate(base)
        if self.config.by_frame and levels < min(self.config.min_levels, self.config.levels):
            return np.zeros((len(x) // self.frame_size, levels), np.int64)
        transform, _ = self._transform(low_base)
        plan = self._plan(transform.log_variance, transform.frequency, levels)
        counts = None
        if water_level is not None:
            counts = (_priorities(transform, plan) > water_level).sum(0)
            counts = counts * (counts >= min(self.config.min_levels, self.config.levels))
        return search(self._codes, transform.forward(self._mdct_of(low)), plan.shapes(), beams, plan.weights, counts)

    def vectors(self, x: np.ndarray, base: np.ndarray) -> tuple[WaveformVectors, np.ndarray]:
        """What is coded, and the `priorities` of all levels [L, F]."""
        low, low_base = self._decimate_original(x), self._decimate(base)
        transform, _ = self._transform(low_base)
        plan = self._plan(transform.log_variance, transform.frequency, self.config.levels)
        vectors = WaveformVectors(transform.forward(self._mdct_of(low)), transform.log_variance, transform.frequency)
        return vectors, _priorities(transform, plan)

    def paths(self, vectors: WaveformVectors, counts: np.ndarray, beams: int) -> np.ndarray:
        """Codes of N frames with each number of levels up to `counts` [N]: [N, L, L], with c levels in row c - 1."""
        plan = self._plan(vectors.log_variance, vectors.frequency, self.config.levels)
        return search_paths(self._codes, vectors.target, plan.shapes(), beams, plan.weights, counts)

    def _mdct_of(self, low: np.ndarray) -> np.ndarray:
        """Coefficients [F * hops, K] of the next samples of the low band."""
        return product(windows(self._past(low), 2 * self.hop, self.hop), self._forward)


def _priorities(transform: Transform, plan: Plan) -> np.ndarray:
    """How much each level of N frames matters, [levels, N]: see `WaveformLayer.priorities`."""
    left = np.stack([(rest * w).max(1) for rest, w in zip(plan.left, plan.weights)])
    loudness = np.log(transform.variance.sum((1, 2)) + QUIET)
    found: np.ndarray = np.log(left) - np.float32(MASKING) * loudness
    return found

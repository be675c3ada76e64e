"""The envelope layer's encoder in NumPy, see `audio/envelope_layer.py`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..audio.config import JodioConfig
from .envelope import MAX_GAIN, EnvelopeParts
from .graphs import Graph
from .shaped_search import search, search_paths
from .steps import Past, product

FURTHER = 3.0
TOO_LOUD, LOUD = 1.4, np.float32(1.4)


@dataclass
class EnvelopeVectors:
    """What an envelope layer codes of N frames: see `audio.envelope_layer.EnvelopeVectors`."""

    target: np.ndarray
    log_variance: np.ndarray
    mean: np.ndarray
    base: np.ndarray
    loudest: np.ndarray


class EnvelopeEncoder(EnvelopeParts):
    """Waveform and decoded base [F * frame_size] -> codes; arguments as of `EnvelopeParts`."""

    def __init__(self, codec: JodioConfig, graph: Graph, weights: Mapping[str, np.ndarray]):
        super().__init__(codec, graph, weights)
        self._original = Past(self.hop)
        self._along = np.ascontiguousarray(self._axes.T)

    def encode(
        self, x: np.ndarray, base: np.ndarray, levels: int, beams: int, threshold: float | None = None
    ) -> np.ndarray:
        """Codes [F, levels]; arguments as of `EnvelopeLayer.encode`."""
        own = self._log_energies(base, self._heard)
        vectors = self._vectors(self._log_energies(x, self._original), own)
        counts = None if threshold is None else (self._priorities(own)[:levels] > threshold).sum(0)
        shapes = self._plan(vectors.log_variance, levels).shapes()
        codes = search(self._codes, vectors.target, shapes, beams, None, counts)
        return codes * ~self._too_loud(vectors, codes, shapes)[:, None]

    def vectors(self, x: np.ndarray, base: np.ndarray) -> tuple[EnvelopeVectors, np.ndarray]:
        """What is coded, and the `priorities` of all levels [E, F]."""
        own = self._log_energies(base, self._heard)
        return self._vectors(self._log_energies(x, self._original), own), self._priorities(own)

    def paths(self, vectors: EnvelopeVectors, counts: np.ndarray, beams: int) -> np.ndarray:
        """Codes of N frames with each number of levels up to `counts` [N]: [N, E, E], with c levels in row c - 1."""
        shapes = self._plan(vectors.log_variance, self.config.levels).shapes()
        paths = search_paths(self._codes, vectors.target, shapes, beams, None, counts)
        wrong = [self._too_loud(vectors, paths[:, k], shapes) for k in range(paths.shape[1])]
        return paths * ~np.stack(wrong, 1)[:, :, None]

    def _vectors(self, original: np.ndarray, own: np.ndarray) -> EnvelopeVectors:
        """What is coded, from log energies [F * hops, bands] of original and base."""
        mean, log_variance = self._expect(own)
        original, own = original[:, -self.coded :], own[:, -self.coded :]
        gains = np.clip(np.float32(0.5) * (original - own), -MAX_GAIN, MAX_GAIN).reshape(len(mean), -1)
        target = product(gains - self._centre, self._along) - mean
        frames = original.reshape(len(target), self.hops, self.coded)
        return EnvelopeVectors(target, log_variance, mean, own.reshape(frames.shape), frames.max(1))

    def _priorities(self, base: np.ndarray) -> np.ndarray:
        """How much each level of N frames matters, [levels, N], from log energies of the base [N * hops, bands]."""
        loudness = np.log(np.exp(base).sum(-1).reshape(-1, self.hops).mean(1))
        found: np.ndarray = loudness - np.float32(FURTHER) * np.arange(self.config.levels, dtype=np.float32)[:, None]
        return found

    def _too_loud(self, vectors: EnvelopeVectors, codes: np.ndarray, shapes: np.ndarray) -> np.ndarray:
        """Frames that codes [N, L] would make much louder than they are, and than without codes, [N]."""
        more = self._codes.decode(codes, shapes) if codes.shape[1] else np.float32(0)
        with_codes, without = self._excess(vectors, vectors.mean + more), self._excess(vectors, vectors.mean)
        return (with_codes > TOO_LOUD) & (with_codes > without)

    def _excess(self, vectors: EnvelopeVectors, coded: np.ndarray) -> np.ndarray:
        """By how much a loud band would be louder than it ever is in its frame, the most of all, [N]."""
        decoded = vectors.base + 2 * self._gains(coded).reshape(vectors.base.shape)
        loud = decoded > decoded.max((1, 2), keepdims=True) - LOUD
        found: np.ndarray = np.where(loud, decoded - vectors.loudest[:, None], -np.inf).max((1, 2))
        return found

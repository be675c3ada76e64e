"""What a decoded base foretells of the low band, and the transform that follows, in NumPy.

See `audio/variance.py` and `audio/covariance.py`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from ..audio.layer_configs import WaveformLayerConfig
from .graphs import Graph
from .low_band import compressed_magnitude
from .spectra import hann_window
from .steps import Past, fourier_matrix, halves, product, windows

FLOOR, MAX_ENTRY, RAMP, PARTS, SHORT = 1e-8, 1e12, 1.7, 5, 4


class Transform:
    """The transform of N frames, see `FrameTransform`.

    Attributes:
        log_variance, frequency: [N, S * D] of transformed coefficients.
    """

    def __init__(self, segments: Segments, covariance: np.ndarray, frequency: np.ndarray, weighting: float):
        self.segments = segments
        diagonal = np.arange(segments.dim)
        self.variance = np.maximum(covariance[..., diagonal, diagonal], np.float32(FLOOR))
        self.weights = np.exp(np.float32(-0.5 * weighting) * np.log(self.variance))
        weighted = (covariance * _outer(self.weights)).astype(np.float64)
        values, vectors = np.linalg.eigh(weighted + FLOOR * 0.1 * np.eye(segments.dim))
        # Eigenvectors have two signs, and libraries choose as they like; codes need one.
        reference = np.cos(1 + 2.4 * np.arange(segments.dim))
        sign = np.where((vectors * reference[:, None]).sum(-2, keepdims=True) < 0, -1.0, 1.0)
        self.vectors = (vectors * sign).astype(np.float32)
        places = segments.split(np.tile(frequency, (segments.hops, 1)))[0]
        middle = (np.square(self.vectors) * places[:, :, None]).sum(-2)
        self.frequency = middle.reshape(len(middle), -1)
        self.log_variance = np.log(np.maximum(values.astype(np.float32), np.float32(1e-9))).reshape(len(values), -1)

    def forward(self, coefficients: np.ndarray) -> np.ndarray:
        """[N * hops, K] -> [N, S * D]."""
        x = self.segments.split(coefficients) * self.weights
        return _summed(self.vectors.swapaxes(-1, -2), x).reshape(len(x), -1)

    def inverse(self, x: np.ndarray) -> np.ndarray:
        """[N, S * D] -> coefficients [N * hops, K]."""
        return self.segments.join(_summed(self.vectors, x.reshape(self.weights.shape)) / self.weights)

    def uncoded(self, left: np.ndarray) -> np.ndarray:
        """Share of the variance of each coefficient [N * hops, K], of what is left in each direction [N, S * D]."""
        rest = _summed(np.square(self.vectors), left.reshape(self.weights.shape))
        return self.segments.join(rest / np.square(self.weights) / self.variance)


class Segments:
    """Coefficients [F * hops, K] in segments [F, K / size, hops * size], and back."""

    def __init__(self, coefficients: int, hops: int, size: int):
        self.count, self.hops, self.size = coefficients // size, hops, size
        self.dim = hops * size

    def split(self, x: np.ndarray) -> np.ndarray:
        """To segments."""
        parts = x.reshape(-1, self.hops, self.count, self.size).transpose(0, 2, 1, 3)
        return parts.reshape(-1, self.count, self.dim)

    def join(self, x: np.ndarray) -> np.ndarray:
        """To coefficients of all hops in a row, [N * hops, K]."""
        parts = x.reshape(-1, self.count, self.hops, self.size).transpose(0, 2, 1, 3)
        return parts.reshape(-1, self.count * self.size)


class Covariance:
    """Low band of a base [F * hops * hop] -> covariances [F, K / segment, D, D].

    Args:
        config: of the layer.
        hop, coefficients: of its transform.
        graph: of the networks.
        weights: of the model.
    """

    def __init__(
        self,
        config: WaveformLayerConfig,
        hop: int,
        coefficients: int,
        graph: Graph,
        weights: Mapping[str, np.ndarray],
    ):
        self.hop = hop
        self.segments = Segments(coefficients, config.hops, config.segment)
        self._directions = _directions(hop, coefficients)
        sine = (np.sin(math.pi / (2 * hop) * (np.arange(2 * hop) + 0.5)) / hop**0.5).astype(np.float32)
        bins = min(coefficients // 2 + 4, hop // 2 + 1)
        self._long = _spectrum(sine, coefficients + 1)
        self._short = _spectrum(hann_window(hop) * np.float32(2 / hop), bins)
        sign = np.array([(-1.0) ** h for h in range(config.hops)], np.float32)
        self._opposition = np.repeat(sign, config.segment)
        place = np.tile(np.arange(config.segment, dtype=np.float32), config.hops)
        decay = np.exp(weights["waveform_layer.covariance.decay"].astype(np.float32))
        self._nearness = np.exp(-np.abs(place[:, None] - place) / decay)
        self._graph, self._memory = graph, graph.beginning()
        self._past = Past(hop)

    def __call__(self, base: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The covariances, and the windows of the base [F * hops, 2 * hop]."""
        known = self._past(base)
        parts = windows(known, 2 * self.hop, self.hop)
        features, log_power = self._features(known, parts)
        out, self._memory = self._graph({"features": features[None]}, self._memory)
        split = self.segments.split
        log_variance = log_power + out["told"][0]
        weights = np.exp(out["parts"][0].reshape(-1, self.segments.count, PARTS, 1, 1))
        more = split(out["gain"][0].reshape(log_variance.shape))
        gain = np.exp(np.clip(np.float32(0.5) * (split(log_variance - log_power) + more), -6, 6))
        pairs = np.split(product(parts, self._directions), 4, -1)
        real, imag, ramp_real, ramp_imag = (split(part) * gain for part in pairs)
        turned = self._opposition
        columns = (
            (real, imag),
            (real * turned, imag * turned),
            (ramp_real, ramp_imag),
            (ramp_real * turned, ramp_imag * turned),
        )
        total = np.zeros((*real.shape, real.shape[-1]), np.float32)
        for part, (a, b) in enumerate(columns):
            total = total + np.float32(0.5) * weights[:, :, part] * (_outer(a) + _outer(b))
        total = total * self._nearness
        diagonal = np.arange(self.segments.dim)
        total[..., diagonal, diagonal] += weights[:, :, -1, :, 0] * np.exp(split(log_variance)) + np.float32(FLOOR)
        return np.clip(np.nan_to_num(total, nan=0.0), -MAX_ENTRY, MAX_ENTRY), parts

    def _features(self, known: np.ndarray, parts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Features of the network [n, ...], and the logarithm of the base's smoothed power."""
        power = _power(parts, self._long)
        power = np.float32(0.5) * (power[:, :-1] + power[:, 1:])
        step = self.hop // SHORT
        short = np.sqrt(_power(windows(known[step:], self.hop, step), self._short) + np.float32(1e-10))
        short = compressed_magnitude(short).reshape(len(power), -1)
        # Scaled to about unit variance for speech.
        features = [np.log(power + np.float32(FLOOR)) * np.float32(0.2) + 2, short * 8 - 1]
        around = np.concatenate([power[:, :1], power, power[:, -1:]], -1)
        smooth = (around[:, :-2] + power + around[:, 2:]) / 3
        return np.concatenate(features, -1), np.log(smooth + np.float32(FLOOR))


def _directions(hop: int, coefficients: int) -> np.ndarray:
    """Four transforms of a window, float32 [2 * hop, 4 * coefficients], see `directions_matrix`."""
    n = np.arange(2 * hop)[:, None] + 0.5
    k = np.arange(coefficients) + 0.5
    window = np.sin(math.pi / (2 * hop) * n) * (2 / hop) ** 0.5
    angle = math.pi / hop * (n + hop / 2) * k
    ramp = (n / hop - 1) * RAMP
    parts = [window * np.cos(angle), window * np.sin(angle)]
    return np.concatenate([*parts, *(ramp * part for part in parts)], 1).astype(np.float32)


def _spectrum(window: np.ndarray, bins: int) -> np.ndarray:
    """Matrix of the first bins of a windowed Fourier transform, [size, 2 * bins]: real, then imaginary parts."""
    real, imag = halves(fourier_matrix(len(window)))
    return np.concatenate([real[:, :bins], imag[:, :bins]], 1) * window[:, None]


def _power(frames: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    real, imag = halves(product(frames, matrix))
    return np.square(real) + np.square(imag)


def _outer(x: np.ndarray) -> np.ndarray:
    return x[..., :, None] * x[..., None, :]


def _summed(matrix: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Products of matrices [..., D, D] with vectors [..., D], each by itself."""
    return (matrix * x[..., None, :]).sum(-1)

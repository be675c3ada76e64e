"""The low band in NumPy: decimation, transforms, and the network behind the codes of the waveform layer.

See `audio/band.py`, `audio/mdct.py` and `audio/low_band_filter.py`.
"""

from __future__ import annotations

import math

import numpy as np

from ..audio.layer_configs import LowBandFilterConfig
from ..audio.resampling import decimation_matrix, interpolation_matrix
from .graphs import Graph
from .spectra import OverlapAdd, hann_window
from .steps import Past, fourier_matrix, halves, product, windows

EPSILON, FLOOR, COMPRESSION = 1e-10, 1e-8, 0.4
ABOVE, FADE, TAPER = 75.0, 50.0, 150.0  # Hz
Complex = tuple[np.ndarray, np.ndarray]


class Decimator:
    """[n * factor] -> [n]."""

    def __init__(self, factor: int, row: int):
        self._matrix = decimation_matrix(factor, row).T.astype(np.float32).astype(np.float64)
        self._step = factor * row
        self._past = Past(len(self._matrix) - self._step)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """The next samples, whole rows."""
        return product(windows(self._past(x), len(self._matrix), self._step), self._matrix).reshape(-1)


class Interpolator:
    """[n] -> [n * factor], later by `delay` samples of the output."""

    def __init__(self, factor: int, delay: int, row: int, taps: int):
        self._matrix = interpolation_matrix(factor, delay, row).T.astype(np.float32).astype(np.float64)
        self.row = row
        self._past = Past((delay + taps * factor // 2) // factor)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """The next samples, whole rows."""
        x = self._past(x)[: len(x) - self.row + len(self._matrix)]
        return product(windows(x, len(self._matrix), self.row), self._matrix).reshape(-1)


def mdct_matrix(hop: int, coefficients: int) -> np.ndarray:
    """The first cosines under their window, float32 [2 * hop, coefficients]."""
    n = np.arange(2 * hop)[:, None] + 0.5
    k = np.arange(coefficients) + 0.5
    window = np.sin(math.pi / (2 * hop) * n)
    return (window * np.cos(math.pi / hop * (n + hop / 2) * k) * (2 / hop) ** 0.5).astype(np.float32)


class InverseMdct:
    """[n, coefficients] -> [n * hop], one hop late."""

    def __init__(self, hop: int, coefficients: int):
        self._matrix = mdct_matrix(hop, coefficients).T.astype(np.float64)
        self._past = Past(1)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """The next windows."""
        new, old = halves(product(x, self._matrix))
        return (self._past(old)[:-1] + new).reshape(-1)


class LowBandFilter:
    """Low bands, decoded and of the base, [n] -> what to add to the decoded one, [n], late.

    Args:
        config: see `LowBandFilterConfig`.
        sample_rate: of the low band.
        cutoff: Hz up to which the layer codes.
        graph: of the network.
        scale: of its features, [bins].
    """

    def __init__(self, config: LowBandFilterConfig, sample_rate: float, cutoff: float, graph: Graph, scale: np.ndarray):
        size = config.window
        self.config, self._graph, self._scale = config, graph, scale.astype(np.float32)
        bins = min(int((cutoff + ABOVE) * size / sample_rate), size // 2)
        real, imag = halves(fourier_matrix(size))
        window = hann_window(size)[:, None] * np.float32(2 / size)
        self._matrix = np.concatenate([real[:, :bins], imag[:, :bins]], 1) * window
        twice = np.full(bins, 2, np.float32)
        twice[0] = 1
        back = np.concatenate([real[:, :bins] * twice, imag[:, :bins] * twice], 1)
        self._back = np.ascontiguousarray((back / np.float32(size) * np.float32((2 / size) ** 0.5)).T)
        frequency = np.arange(bins) * (sample_rate / size)
        self._taper = np.clip((cutoff + FADE - frequency) / TAPER, 0, 1).astype(np.float32)
        turn = 2 * math.pi * np.arange(bins) * config.hop / size
        self._advance = np.cos(turn).astype(np.float32), -np.sin(turn).astype(np.float32)
        self._past = Past(config.delay), Past(config.delay)
        self._before = Past(1), Past(1)
        self._memory = graph.beginning()
        self._add = OverlapAdd(config.hop, size)

    def __call__(self, decoded: np.ndarray, base: np.ndarray, share: np.ndarray) -> np.ndarray:
        """The next samples; `share` [windows] of all levels that were used, 0 to fade out."""
        own, theirs = (self._spectra(past(x)) for past, x in zip(self._past, (decoded, base), strict=True))
        (real, imag), u, sizes = own
        _, v, base_size = theirs
        before = tuple(past(part)[:-1] for past, part in zip(self._before, u, strict=True))
        turned = _times(_times(u, (before[0], -before[1])), self._advance)
        agreement, less = _times(u, (v[0], -v[1])), np.minimum(sizes, base_size)
        parts = (sizes, base_size, agreement[0] * less, agreement[1] * less, turned[0] * sizes, turned[1] * sizes)
        features = np.concatenate([part * self._scale for part in parts], -1)
        share = share.astype(np.float32)[:, None]
        told = np.concatenate([share, np.square(share)], -1)
        out, self._memory = self._graph({"features": features[None], "share": told[None]}, self._memory)
        gains = np.split(out["gains"][0], 4, -1)
        compressed = _times((u[0] * sizes, u[1] * sizes), (1 + gains[0], gains[1]))
        more = _times((v[0] * base_size, v[1] * base_size), (gains[2], gains[3]))
        drawn = compressed[0] + more[0], compressed[1] + more[1]
        energy = np.square(drawn[0]) + np.square(drawn[1]) + np.float32(FLOOR)
        expand = np.exp(np.float32(0.5 * (1 / COMPRESSION - 1)) * np.log(energy))
        change = [(part * expand - old) * self._taper for part, old in zip(drawn, (real, imag), strict=True)]
        frames = product(np.concatenate(change, -1) * np.float32(0.5 * self.config.window), self._back)
        # Where nothing was coded there is nothing to clean: the base stays as it is.
        return self._add.windows(frames * (share > 0))

    def _spectra(self, x: np.ndarray) -> tuple[Complex, Complex, np.ndarray]:
        """Spectra, their units, and their compressed magnitudes."""
        real, imag = halves(product(windows(x, self.config.window, self.config.hop), self._matrix))
        magnitude = np.sqrt(np.square(real) + np.square(imag) + np.float32(EPSILON))
        return (real, imag), (real / magnitude, imag / magnitude), compressed_magnitude(magnitude)


def compressed_magnitude(x: np.ndarray) -> np.ndarray:
    """Positive numbers to the power of `COMPRESSION`."""
    return np.exp(np.float32(COMPRESSION) * np.log(x))


def _times(x: Complex, y: Complex) -> Complex:
    """Product of complex numbers in parts."""
    return x[0] * y[0] - x[1] * y[1], x[0] * y[1] + x[1] * y[0]

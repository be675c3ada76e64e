"""The envelope layer's decoder in NumPy, and what its encoder shares with it, see `audio/envelope_layer.py`."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from ..audio.config import JodioConfig
from ..audio.layer_configs import BandStep
from .graphs import Graph
from .shaped_codes import Plan, ShapedCodes, plan_bits
from .spectra import hann_window
from .steps import Past, fourier_matrix, halves, product, windows

FLOOR, MAX_GAIN, WIDTHS = 1e-6, 3.5, (0.2, -0.5)


class EnvelopeParts:
    """What both directions of the layer have in common: energies, and what is expected of them.

    Args:
        codec: configuration of a codec with the layer.
        graph: of the network.
        weights: of the model.
    """

    def __init__(self, codec: JodioConfig, graph: Graph, weights: Mapping[str, np.ndarray]):
        config, codebook_size = codec.envelope, codec.quantizer.codebook_size
        assert config is not None
        self.config, self.hop, self.late = config, config.hop, config.hop
        self.hops, self.coded = codec.frame_size // config.hop, len(config.coded)
        dim = self.hops * self.coded
        self._bits = math.log2(codebook_size) * config.efficiency
        size = 2 * config.hop
        matrix, window = fourier_matrix(size), hann_window(size)[:, None]
        self._analysis = matrix * window
        frequency = np.arange(size // 2 + 1) * (codec.sample_rate / size)
        edges = np.array([*config.heard, *config.coded, math.inf])
        inside = (frequency >= edges[:-1, None]) & (frequency < edges[1:, None])
        self._bands = inside.T.astype(np.float32)
        named = {name: weights[f"envelope_layer.{name}"].astype(np.float32) for name in ("axes", "centre")}
        self._axes, self._centre = np.ascontiguousarray(named["axes"].T), named["centre"]
        self._log_variance = weights["envelope_layer.log_variance"].astype(np.float32)
        self._codes = ShapedCodes(dim, config.levels, codebook_size, 1, config.seed)
        self._zero = np.zeros(dim, np.float32)
        self._graph, self._memory = graph, graph.beginning()
        self._heard = Past(self.hop)

    def _log_energies(self, x: np.ndarray, past: Past) -> np.ndarray:
        """Natural logarithms of the energies of all bands, [n, bands], of samples behind those of `past`."""
        real, imag = halves(product(windows(past(x), 2 * self.hop, self.hop), self._analysis))
        return np.log(product(np.square(real) + np.square(imag), self._bands) + np.float32(FLOOR))

    def _expect(self, own: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Log energies of the base [F * hops, bands] -> mean and log variances along the axes, [F, D]."""
        scale, shift = WIDTHS
        features = (own * np.float32(scale) + np.float32(shift)).reshape(1, len(own) // self.hops, -1)
        out, self._memory = self._graph({"features": features}, self._memory)
        mean, log_variance = halves(out["expected"][0])
        return mean, log_variance + self._log_variance

    def _plan(self, log_variance: np.ndarray, levels: int) -> Plan:
        """How so many levels code what has these variances."""
        step = BandStep(max(levels, 1), 1.0, 0.0)
        return plan_bits(log_variance, levels, (step,), self._zero, self._zero, self._bits)

    def _gains(self, coded: np.ndarray) -> np.ndarray:
        """Numbers along the axes [N, D] -> natural logarithms of gains, [N, hops * coded]."""
        return product(coded, self._axes) + self._centre


class EnvelopeDecoder(EnvelopeParts):
    """Codes and base -> the base with other envelopes, `late` samples late; arguments as of `EnvelopeParts`."""

    def __init__(self, codec: JodioConfig, graph: Graph, weights: Mapping[str, np.ndarray]):
        super().__init__(codec, graph, weights)
        size = 2 * self.hop
        matrix, window = fourier_matrix(size), hann_window(size)[:, None]
        self._window = matrix * np.sqrt(window)
        real, imag = halves(matrix)
        twice = np.full(real.shape[1], 2, np.float32)
        twice[0] = twice[-1] = 1
        back = np.concatenate([real * twice, imag * twice], 1) / np.float32(size) * np.sqrt(window)
        self._synthesis = np.ascontiguousarray(back.T)
        self._drawn = np.ascontiguousarray(self._bands.T[-self.coded :])
        self._past, self._tail = Past(self.hop), Past(1)

    def decode(self, codes: np.ndarray, base: np.ndarray) -> np.ndarray:
        """Codes [F, L] of the first L levels and base [F * frame_size] -> waveform."""
        mean, log_variance = self._expect(self._log_energies(base, self._heard))
        if codes.shape[1]:
            mean = mean + self._codes.decode(codes, self._plan(log_variance, codes.shape[1]).shapes())
        return self._changed(base, self._gains(mean).reshape(-1, self.coded))

    def finish(self) -> np.ndarray:
        """The last `late` samples."""
        return self._changed(np.zeros(self.hop, np.float32), np.zeros((1, self.coded), np.float32))

    def _changed(self, base: np.ndarray, gains: np.ndarray) -> np.ndarray:
        """Base [n * hop] with gains [n, coded], natural logarithms: the same, a hop late."""
        parts = windows(self._past(base), 2 * self.hop, self.hop)
        factors = np.exp(product(np.clip(gains, -MAX_GAIN, MAX_GAIN), self._drawn))
        spectrum = product(parts, self._window) * np.concatenate([factors, factors], -1)
        new, old = halves(product(spectrum, self._synthesis))
        return (new + self._tail(old)[:-1]).reshape(-1)

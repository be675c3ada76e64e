"""The waveform layer's decoder in NumPy, and what its encoder shares with it, see `audio/waveform_layer.py`."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from ..audio.config import JodioConfig
from ..audio.resampling import TAPS, UP_TAPS, least_delay, row_of
from .covariance import Covariance, Transform
from .graphs import Graph
from .low_band import Decimator, Interpolator, InverseMdct, LowBandFilter, mdct_matrix
from .shaped_codes import Plan, ShapedCodes, plan_bits
from .steps import Delay, product

ALL_BASE, RAMP = 0.8, 0.15


class WaveformParts:
    """What both directions of the layer have in common: the transform that follows from a base, and its codes.

    Args:
        codec: configuration of a codec with the layer, whose codebooks are random.
        graphs: of the networks, "waveform" and, if the layer has one, "filter".
        weights: of the model.
    """

    def __init__(self, codec: JodioConfig, graphs: Mapping[str, Graph], weights: Mapping[str, np.ndarray]):
        config, frame_size, codebook_size = codec.waveform, codec.frame_size, codec.quantizer.codebook_size
        assert config is not None
        self.config, self.frame_size = config, frame_size
        self.hop = hop = config.hop(frame_size)
        low_rate = codec.sample_rate / config.decimation
        spacing = low_rate / (2 * hop)  # Hz between coefficients
        count = int(config.cutoff / spacing)
        self._bits = math.log2(codebook_size) * config.efficiency
        self._frequency = ((np.arange(count) + 0.5) * spacing).astype(np.float32)
        self._taper = np.clip((config.cutoff - self._frequency) / config.taper, 0, 1).astype(np.float32)
        row = row_of(hop * config.hops)
        self._row, self._low_rate = row, low_rate
        self._decimate = Decimator(config.decimation, row)
        self._covariance = Covariance(config, hop, count, graphs["waveform"], weights)
        self._mdct = mdct_matrix(hop, count)
        self._codes = ShapedCodes(config.hops * count, config.levels, codebook_size, config.books, config.seed)

    def _transform(self, low: np.ndarray) -> tuple[Transform, np.ndarray]:
        """The transform of each frame from the low band of the base, and the windows of that band."""
        covariance, windows = self._covariance(low)
        return Transform(self._covariance.segments, covariance, self._frequency, self.config.weighting), windows

    def _plan(self, log_variance: np.ndarray, frequency: np.ndarray, levels: int) -> Plan:
        """How so many levels code what comes out of a transform."""
        tilt = np.log(np.clip((self.config.cutoff - frequency) / self.config.taper, 1e-3, 1))
        return plan_bits(log_variance, levels, self.config.schedule, frequency, tilt, self._bits)


class WaveformDecoder(WaveformParts):
    """Codes and base -> waveform, `lag` frames late; arguments as of `WaveformParts`."""

    def __init__(self, codec: JodioConfig, graphs: Mapping[str, Graph], weights: Mapping[str, np.ndarray]):
        super().__init__(codec, graphs, weights)
        config, frame_size = self.config, self.frame_size
        hop, count, low_rate, row = self.hop, len(self._frequency), self._low_rate, self._row
        self._inverse, self._delay_base = InverseMdct(hop, count), Delay(hop)
        late = TAPS * config.decimation // 2 - (config.decimation - 1) + hop * config.decimation
        self._filter = None
        if config.filter is not None:
            scale = weights["waveform_layer.filter.scale"]
            self._filter = LowBandFilter(config.filter, low_rate, config.cutoff, graphs["filter"], scale)
            self._delay_change = Delay(config.filter.delay)
            self._delay_shares = Delay(config.filter.window // (2 * config.filter.hop) - 1)
            late += config.filter.delay * config.decimation
        self.lag = -(-(late + least_delay(config.decimation)) // frame_size)
        self._interpolate = Interpolator(config.decimation, self.lag * frame_size - late, row, UP_TAPS)
        self._waiting: np.ndarray | None = None

    def decode(self, codes: np.ndarray, base: np.ndarray, heard: np.ndarray, late: int) -> np.ndarray:
        """Codes [F, L] of the first L levels and base [F * frame_size] -> waveform.

        Args:
            heard: what the difference is added to, late by so many samples (those of its beginning are not there).
            late: those samples.
        """
        low = self._decimate(base)
        codes, counts = self._used(codes)
        correction = self._correction(self._difference(codes, low, counts), low, self._shares(counts))
        if self._waiting is not None:
            heard = np.concatenate([self._waiting, heard])
        ready = max(0, len(heard) + late - self.lag * self.frame_size)
        self._waiting = heard[ready:]
        return heard[:ready] + correction[len(correction) - ready :]

    def finish(self, heard: np.ndarray) -> np.ndarray:
        """The last frames, with the rest of what the difference is added to."""
        assert self._waiting is not None
        waiting = np.concatenate([self._waiting, heard])
        hops = self.lag * self.config.hops
        difference = np.zeros((hops, len(self._frequency)), np.float32)
        low = np.zeros(hops * self.hop, np.float32)
        correction = self._correction(difference, low, self._even(0.0, len(low)))
        return waiting + correction[len(correction) - len(waiting) :]

    def _used(self, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Codes [F, L] as far as they count, and how many levels these are in each frame."""
        frames, levels = codes.shape
        if not self.config.by_frame or not levels:
            return codes, np.full(frames, levels)
        counts = ((codes != 0) * np.arange(1, levels + 1)).max(1)
        counts = counts * (counts >= min(self.config.min_levels, self.config.levels))
        return codes * (counts > 0)[:, None], counts

    def _shares(self, counts: np.ndarray) -> np.ndarray:
        """What the filter is told: the share of all levels that is used, of each of its windows."""
        if self._filter is None:
            return counts
        samples = len(counts) * self.hop * self.config.hops
        if not self.config.by_frame:
            return self._even(counts[0] / self.config.levels, samples)
        windows = samples // len(counts) // self._filter.config.hop
        return self._delay_shares(np.repeat((counts / self.config.levels).astype(np.float32), windows))

    def _even(self, share: float, samples: int) -> np.ndarray:
        hop = self._filter.config.hop if self._filter is not None else samples
        return np.full(samples // hop, share, np.float32)

    def _correction(self, difference: np.ndarray, low: np.ndarray, shares: np.ndarray) -> np.ndarray:
        """What to add to the base, at the full rate."""
        change = self._inverse(difference)
        if self._filter is not None:
            base = self._delay_base(low)
            more = self._filter(base + change, base, shares)
            change = self._delay_change(change) + more
        return self._interpolate(change)

    def _difference(self, codes: np.ndarray, low: np.ndarray, counts: np.ndarray) -> np.ndarray:
        """Coefficients in place of the base's, less those: [F * hops, K]."""
        if not codes.shape[1]:
            _, windows = self._covariance(low)
            return np.zeros((len(windows), len(self._frequency)), np.float32)
        transform, windows = self._transform(low)
        own = product(windows, self._mdct)
        plan = self._plan(transform.log_variance, transform.frequency, codes.shape[1])
        coded = self._codes.decode(codes, plan.shapes())
        rest = plan.left[counts, np.arange(len(counts))]
        gain = self._filling(transform.uncoded(rest))
        return (transform.inverse(coded) + gain * own - own) * self._taper

    def _filling(self, uncoded: np.ndarray) -> np.ndarray:
        """Gain on the base's coefficients by the share of their variance that is not coded."""
        fill = self.config.fill
        more = np.clip((uncoded - ALL_BASE) / RAMP, 0, 1) * (1 - fill)
        return ((fill + more) * np.sqrt(uncoded)).astype(np.float32)

"""The lower part of the spectrum at a lower sampling rate: linear-phase decimation and interpolation on a stream.

Both are products of rows of samples with one matrix that holds the filter once for every output of a row:

    Decimator      y[m] = sum h[j] x[d m + d - 1 - j]       complete with the last of the d samples that it stands for
    Interpolator   the inverse, at any delay that its filter leaves it

Output m of the decimator stands for the time `d m - Decimator.delay`.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from ..errors import ConfigError
from ..nn.linear import stable_linear
from ..nn.streaming import State, Streaming, with_past

ROW = 16  # samples at the lower rate that are made from, or make, one row
# In units of the Nyquist frequency at the lower rate. What folds back when decimating lies above 0.9 of it.
PASS, SHARPNESS, TAPS = 43 / 48, 9.0, 120
UP_PASS, UP_SHARPNESS, UP_TAPS = 1.0, 8.0, 40


def lowpass(taps: int, cutoff: float, beta: float) -> np.ndarray:
    """Linear-phase low-pass filter by a Kaiser window: float64 [taps] (odd), gain 1 at 0 Hz.

    Args:
        taps: length.
        cutoff: frequency at half gain, in units of half the sampling rate.
        beta: of the window; more is steeper below the stop band, and wider.
    """
    time = np.arange(taps) - (taps - 1) / 2
    filter_ = np.sinc(cutoff * time) * np.kaiser(taps, beta)
    return filter_ / filter_.sum()


class Decimator(Streaming):
    """[B, 1, n * factor] -> [B, n], limited to the band that fits; n must be a multiple of `row`.

    Args:
        factor: samples that become one.
        row: samples of the output that one row of the product makes.

    Attributes:
        delay: samples of the input; output m is the filtered input at `factor * m - delay`.
    """

    matrix: Tensor

    def __init__(self, factor: int, row: int = ROW):
        super().__init__()
        taps = TAPS * factor + 1
        self.factor, self.row = factor, row
        self.delay = taps // 2 - (factor - 1)
        self.left = taps - factor
        matrix = np.zeros((row, self.left + factor * row))
        for m in range(row):
            matrix[m, factor * m : factor * m + taps] = lowpass(taps, PASS / factor, SHARPNESS)
        self.register_buffer("matrix", torch.from_numpy(matrix).float(), False)

    def forward(self, x: Tensor, state: State | None = None) -> Tensor:
        x = with_past(self, x[:, 0], self.left, 1, state)
        rows = x.unfold(1, self.matrix.shape[1], self.factor * self.row)
        return stable_linear(rows, self.matrix, None).flatten(1)


class Interpolator(Streaming):
    """[B, n] -> [B, 1, n * factor], later by `delay` samples of the output; n must be a multiple of `row`.

    Raises:
        ConfigError: if `delay` is less than `least_delay(factor)`.
    """

    matrix: Tensor

    def __init__(self, factor: int, delay: int, row: int = ROW):
        super().__init__()
        if delay < self.least_delay(factor):
            raise ConfigError(f"an interpolation by {factor} takes at least {self.least_delay(factor)} samples")
        half = UP_TAPS * factor // 2
        self.row = row
        self.left = (delay + half) // factor
        filter_ = lowpass(2 * half + 1, UP_PASS / factor, UP_SHARPNESS) * factor
        # From input i, the first being `left` before those that are new, to output t.
        steps = np.arange(factor * row)[:, None] - delay - factor * (np.arange(self.left + row) - self.left)
        matrix = np.where(abs(steps) <= half, filter_[(steps + half).clip(0, 2 * half)], 0.0)
        used = 1 + int(np.flatnonzero(matrix.any(0))[-1])  # the last inputs are too new for any output, if it is late
        self.register_buffer("matrix", torch.from_numpy(matrix[:, :used]).float().contiguous(), False)

    @staticmethod
    def least_delay(factor: int) -> int:
        """The shortest delay, so that no output needs an input that comes later."""
        return UP_TAPS * factor // 2 + factor - 1

    def forward(self, x: Tensor, state: State | None = None) -> Tensor:
        count = x.shape[1] // self.row
        x = with_past(self, x, self.left, 1, state)[:, : self.row * (count - 1) + self.matrix.shape[1]]
        rows = x.unfold(1, self.matrix.shape[1], self.row)
        return stable_linear(rows, self.matrix, None).flatten(1).unsqueeze(1)


def row_of(samples: int) -> int:
    """The longest row up to `ROW` of which `samples` samples are a whole number."""
    return math.gcd(samples, ROW)

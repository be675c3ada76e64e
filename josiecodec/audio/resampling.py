"""The filters of `band.py` as matrices, for whatever runtime."""

from __future__ import annotations

import math

import numpy as np

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


def decimation_matrix(factor: int, row: int) -> np.ndarray:
    """From the inputs of a row and those before it to its outputs, float64 [row, inputs]; see `Decimator`."""
    taps = TAPS * factor + 1
    matrix = np.zeros((row, taps - factor + factor * row))
    for m in range(row):
        matrix[m, factor * m : factor * m + taps] = lowpass(taps, PASS / factor, SHARPNESS)
    return matrix


def interpolation_matrix(factor: int, delay: int, row: int) -> np.ndarray:
    """From the inputs of a row and those before to its outputs, float64 [factor * row, inputs]; see `Interpolator`."""
    half = UP_TAPS * factor // 2
    left = (delay + half) // factor
    filter_ = lowpass(2 * half + 1, UP_PASS / factor, UP_SHARPNESS) * factor
    # From input i, the first being `left` before those that are new, to output t.
    steps = np.arange(factor * row)[:, None] - delay - factor * (np.arange(left + row) - left)
    matrix = np.where(abs(steps) <= half, filter_[(steps + half).clip(0, 2 * half)], 0.0)
    used = 1 + int(np.flatnonzero(matrix.any(0))[-1])  # the last inputs are too new for any output, if it is late
    return np.ascontiguousarray(matrix[:, :used])


def least_delay(factor: int) -> int:
    """The shortest delay of an interpolation, so that no output needs an input that comes later."""
    return UP_TAPS * factor // 2 + factor - 1


def row_of(samples: int) -> int:
    """The longest row up to `ROW` of which `samples` samples are a whole number."""
    return math.gcd(samples, ROW)

"""Sound a little longer or shorter, as a clock that drifts needs it."""

from __future__ import annotations

import numpy as np

TAPS = 32  # of the interpolation filter, a windowed sinc


def stretched(block: np.ndarray, length: int) -> np.ndarray:
    """float32 [n] resampled to another, similar length; the first and last sample stay where they are."""
    if length == len(block) or len(block) < 2 or length < 2:
        return block[:length]
    place = np.linspace(0, len(block) - 1, length)
    first = np.floor(place).astype(np.int64) - TAPS // 2 + 1
    index = first[:, None] + np.arange(TAPS)
    distance = place[:, None] - index
    weight = np.sinc(distance) * np.cos(np.pi * distance / (TAPS + 1)) ** 2
    weight /= weight.sum(1, keepdims=True)
    padded = np.pad(block, TAPS, mode="reflect" if len(block) > TAPS else "edge")
    return np.asarray((padded[index + TAPS] * weight).sum(1), np.float32)

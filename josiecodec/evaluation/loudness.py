"""Loudness after ITU-R BS.1770-5, and the low-pass anchors of BS.1534-3."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import CodecError

Wave = NDArray[np.float64]
ABSOLUTE_GATE, RELATIVE_GATE = -70.0, -10.0  # LUFS, LU
BLOCK, HOP = 0.4, 0.1  # seconds
# The two filters of K-weighting as analog prototypes: a shelf and a high-pass (frequency, quality, gain in dB).
SHELF, HIGH_PASS = (1681.974450955533, 0.7071752369554196, 3.999843853973347), (38.13547087602444, 0.5003270373238773)


def _scipy_signal() -> Any:
    try:
        import scipy.signal
    except ImportError:
        raise CodecError("listening tests need the package scipy (extra 'eval')") from None
    return scipy.signal


def _k_weighted(wave: Wave, sample_rate: int) -> Wave:
    signal = _scipy_signal()
    frequency, quality, gain = SHELF
    k, high = math.tan(math.pi * frequency / sample_rate), 10 ** (gain / 20)
    middle = high**0.4996667741545416
    a0 = 1 + k / quality + k * k
    b = [
        (high + middle * k / quality + k * k) / a0,
        2 * (k * k - high) / a0,
        (high - middle * k / quality + k * k) / a0,
    ]
    a = [1, 2 * (k * k - 1) / a0, (1 - k / quality + k * k) / a0]
    shelved = signal.lfilter(b, a, wave)
    frequency, quality = HIGH_PASS
    k = math.tan(math.pi * frequency / sample_rate)
    a0 = 1 + k / quality + k * k
    a = [1, 2 * (k * k - 1) / a0, (1 - k / quality + k * k) / a0]
    return np.asarray(signal.lfilter([1.0, -2.0, 1.0], a, shelved))


def loudness(wave: Wave, sample_rate: int) -> float:
    """Integrated loudness of samples [T] of one channel in LUFS, gated; minus infinity of silence.

    Recordings shorter than a block of 0.4 s are one block.
    """
    weighted = _k_weighted(np.asarray(wave, float), sample_rate)
    size, hop = round(BLOCK * sample_rate), round(HOP * sample_rate)
    if not len(weighted):
        return -math.inf
    starts = range(0, max(len(weighted) - size, 0) + 1, hop)
    power = np.array([np.mean(np.square(weighted[i : i + size])) for i in starts])
    power = power[power > _power(ABSOLUTE_GATE)]
    if not len(power):
        return -math.inf
    power = power[power > power.mean() * 10 ** (RELATIVE_GATE / 10)]
    return -0.691 + 10 * math.log10(power.mean())


def _power(level: float) -> float:
    return float(10 ** ((level + 0.691) / 10))


def anchor(wave: Wave, sample_rate: int, bandwidth: float) -> Wave:
    """Samples [T] below a bandwidth in Hz: within 0.1 dB up to it, 25 dB down 500 Hz and 50 dB 1 kHz above it."""
    signal = _scipy_signal()
    taps, beta = signal.kaiserord(70.0, 500 / (sample_rate / 2))
    taps |= 1  # odd: a whole number of samples of delay
    window = ("kaiser", beta)
    response = signal.firwin(taps, bandwidth + 250, window=window, fs=sample_rate)
    padded = np.pad(np.asarray(wave, float), taps // 2)
    return np.asarray(signal.fftconvolve(padded, response, mode="valid"))

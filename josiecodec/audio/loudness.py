"""How loud a recording is, and the gain that brings a quiet or loud one to the level that the codecs were trained at.

Far from that level a codec loses quality: its decoder has a floor in pauses, and its encoder has never heard such
frames. So recordings outside of `USUAL` are scaled by whole decibels before they are coded, the header of the file says
by how many, and decoders undo it. Recordings within it are left alone, sample by sample.

The loudness is that of ITU-R BS.1770 (K-weighting, gates at -70 LUFS and 10 LU below the mean), with smooth windows of
0.4 s in place of abrupt ones, so that the weighting can be applied to their spectra. What lies below the first gate is
silence: the noise of 16-bit samples is never amplified.

Everything is NumPy in double precision, the same with torch and without it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from functools import cache

import numpy as np

USUAL = (-42.0, -15.0)  # LUFS: outside, speech loses PESQ or mel distance (benchmarks/results/audio_training.md)
TARGET = -25.0  # LUFS
MOST = 63  # decibels that a header can hold, either way
ABSOLUTE_GATE, RELATIVE_GATE = -70.0, -10.0  # LUFS, LU
WINDOW = 0.4  # seconds; the next one begins half of that later
OFFSET = -0.691  # LUFS of a mean square of 1 after the weighting
SHELF = (1681.974450955533, 0.7071752369554196, 3.999843853973347)  # Hz, quality, dB
HIGH_PASS = (38.13547087602444, 0.5003270373238773)  # Hz, quality


class LoudnessMeter:
    """Measures samples, float32 [n] at a time.

    Args:
        sample_rate: in Hz.

    Attributes:
        peak: the largest magnitude of a sample so far.
    """

    def __init__(self, sample_rate: int):
        self.size = 2 * max(round(WINDOW * sample_rate / 2), 1)
        self.peak = 0.0
        self._rate = sample_rate
        self._rest = np.zeros(0, np.float32)  # what the next window begins with
        self._powers: list[float] = []

    def push(self, samples: np.ndarray) -> None:
        """Take samples; what is not finite is silent."""
        samples = np.nan_to_num(np.asarray(samples, np.float32), nan=0.0, posinf=0.0, neginf=0.0)
        if len(samples):
            self.peak = max(self.peak, float(samples.max()), -float(samples.min()))
        self._rest = np.concatenate([self._rest, samples])
        hop, window = self.size // 2, np.hanning(self.size + 1)[:-1]
        first = 0
        while first + self.size <= len(self._rest):
            part = self._rest[first : first + self.size] * window
            self._powers.append(_power(part, self.size, self._rate) / (0.375 * self.size))
            first += hop
        self._rest = self._rest[first:]

    def loudness(self) -> float:
        """Of all samples so far in LUFS; minus infinity of silence. Less than a window is measured as it is."""
        powers = np.array(self._powers)
        if not len(powers):
            powers = np.array([_power(self._rest, self.size, self._rate) / max(len(self._rest), 1)])
        powers = powers[powers > 10 ** ((ABSOLUTE_GATE - OFFSET) / 10)]
        if not len(powers):
            return -math.inf
        powers = powers[powers >= powers.mean() * 10 ** (RELATIVE_GATE / 10)]
        return OFFSET + 10 * math.log10(powers.mean())


def usual_gain(loudness: float, peak: float) -> int:
    """Decibels by which a recording is amplified before it is coded; 0 if it is as loud as others, or silent.

    No more than `MOST`, either way: samples on the scale of whole numbers stay louder than others.

    Args:
        loudness: in LUFS.
        peak: largest magnitude of its samples, which is not amplified beyond full scale.
    """
    if loudness == -math.inf or USUAL[0] <= loudness <= USUAL[1]:
        return 0
    gain = round(TARGET - loudness)
    return max(min(gain, math.floor(-20 * math.log10(peak))), 0) if gain > 0 else max(gain, -MOST)


def gain_of(blocks: Iterable[np.ndarray], sample_rate: int) -> int:
    """`usual_gain` of a recording, float32 [n] at a time."""
    meter = LoudnessMeter(sample_rate)
    for block in blocks:
        meter.push(block)
    return usual_gain(meter.loudness(), meter.peak)


def factor(gain: int) -> np.float32:
    """What samples are multiplied by for so many decibels."""
    return np.float32(10 ** (gain / 20))


def amplified(blocks: Iterable[np.ndarray], gain: int) -> Iterator[np.ndarray]:
    """Samples, float32 [n] at a time, by so many decibels louder; themselves for 0."""
    return (block * factor(gain) if gain else block for block in blocks)


def _power(x: np.ndarray, size: int, sample_rate: int) -> float:
    """Sum of the squares of at most `size` samples after the K-weighting."""
    spectrum = np.fft.rfft(x.astype(np.float64), size)
    energy = (spectrum.real**2 + spectrum.imag**2) * _weights(size, sample_rate)
    return float(energy.sum() / size)


@cache
def _weights(size: int, sample_rate: int) -> np.ndarray:
    """Squared magnitudes of the K-weighting at the bins of a real spectrum, doubled where a bin stands for two.

    Both filters are those of BS.1770, from their analog prototypes by the bilinear transform.
    """
    z = np.exp(-2j * np.pi * np.arange(size // 2 + 1) / size)
    frequency, quality, gain = SHELF
    k, high = math.tan(math.pi * min(frequency / sample_rate, 0.49)), 10 ** (gain / 20)
    middle = high**0.4996667741545416
    shelf = (high + middle * k / quality + k * k, 2 * (k * k - high), high - middle * k / quality + k * k)
    low = (1 + k / quality + k * k, 2 * (k * k - 1), 1 - k / quality + k * k)
    response = np.polyval(shelf[::-1], z) / np.polyval(low[::-1], z)
    frequency, quality = HIGH_PASS
    k = math.tan(math.pi * min(frequency / sample_rate, 0.49))
    low = (1 + k / quality + k * k, 2 * (k * k - 1), 1 - k / quality + k * k)
    response = response * low[0] * (1 - z) ** 2 / np.polyval(low[::-1], z)
    double = np.full(size // 2 + 1, 2.0)
    double[[0, -1]] = 1.0
    return double * np.abs(response) ** 2

"""The harmonic and noise source of the decoder in NumPy, see `audio/source.py`.

Phases are whole numbers, of which a turn is `TURN`: sums of them are exact, in any order and however long.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from ..audio.pitch_classes import NOISE_FRAMES, PITCH_BINS, PITCH_RANGE, TURN
from .spectra import hann_window


class HarmonicNoise:
    """What the network draws of each window -> spectra of harmonics and noise, piece by piece.

    Args:
        hop, window: of the synthesis, in samples.
        sample_rate: in Hz.
        first: number of the window that the stream begins with.
    """

    def __init__(self, hop: int, window: int, sample_rate: int, first: int = 0):
        self.hop, self.window, self.sample_rate = hop, window, sample_rate
        bins = window // 2 + 1
        self._bins = np.arange(bins, dtype=np.float32)
        self._signs = (1 - 2 * (np.arange(bins) % 2)).astype(np.float32)
        self._log_pitch = log_pitch()
        self._noise = noise_spectra(hop, window)
        self.turns = 0
        self._place = first % NOISE_FRAMES

    def __call__(self, curves: np.ndarray, logits: np.ndarray) -> np.ndarray:
        """Logarithms of filters, and turns, [n, 3, bins]; logits of pitch [n, PITCH_BINS] -> complex64 [n, bins]."""
        pitch = self._pitch(logits)
        phase = self._phases(pitch)
        place = (self._place + np.arange(len(pitch))) % NOISE_FRAMES
        self._place = (self._place + len(pitch)) % NOISE_FRAMES
        gain = np.exp(np.clip(curves[:, 0], -16, 4))
        loudness = np.exp(np.clip(curves[:, 1], -16, 4))
        lobe, angle = self._harmonics(pitch, phase)
        return polar(lobe * gain, angle + curves[:, 2]) + self._noise[place] * loudness

    def _pitch(self, logits: np.ndarray) -> np.ndarray:
        """Hz [n]: the mean of the likeliest class and its three neighbours on either side."""
        around = np.clip(logits.argmax(-1)[:, None] + np.arange(-3, 4), 0, PITCH_BINS - 1)
        # Rounded step by step, and summed in the order, as torch does: whatever differs adds up in the phase.
        near = np.take_along_axis(logits, around, -1)
        weight = _exp(near - near.max(-1, keepdims=True))
        weight *= np.float32(1) / _sum(weight, range(7))[:, None]
        return _exp(_sum(weight * self._log_pitch[around], (0, 4, 5, 6, 1, 2, 3)))

    def _phases(self, pitch: np.ndarray) -> np.ndarray:
        """Phase of the fundamental at the middle of each window, int64 [n] in turns / `TURN`."""
        steps = np.rint(pitch.astype(np.float64) * (self.hop / self.sample_rate * TURN)).astype(np.int64)
        turns = (steps.cumsum() + self.turns) % TURN
        self.turns = int(turns[-1]) if len(turns) else self.turns
        return turns

    def _harmonics(self, pitch: np.ndarray, phase: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """In each bin the main lobe of the nearest harmonic: (signed) magnitude and angle, [n, bins]."""
        spacing = (pitch * np.float32(self.window / self.sample_rate))[:, None]  # harmonics' distance in bins
        number = np.maximum(np.rint(self._bins / spacing), np.float32(1))
        off = self._bins - number * spacing
        # Fourier transform of a Hann window: sinc(d) / (1 - d^2), here within its main lobe; 1/2 at d = 1
        below = 1 - np.square(off)
        edge = np.abs(below) < 2e-3
        below[edge] = 1
        turn = off * np.float32(np.pi)
        with np.errstate(invalid="ignore", divide="ignore"):
            sinc = np.where(off == 0, np.float32(1), np.sin(turn) / turn)
        lobe = np.where(edge, np.float32(0.5), sinc / below) * (np.abs(off) < 2)
        angle = (number.astype(np.int64) * phase[:, None] % TURN).astype(np.float32) * np.float32(2 * np.pi / TURN)
        # The window's middle is half its length after its first sample: a sign for every bin.
        return lobe * self._signs, angle


def log_pitch() -> np.ndarray:
    """Natural logarithms of the pitches of the classes, float32 [PITCH_BINS].

    Rounded as torch rounds them: what differs in the last digit adds up over the turns of ten minutes.
    """
    low, high = (np.float32(math.log(hertz)) for hertz in PITCH_RANGE)
    step = np.float64((high - low) / np.float32(PITCH_BINS - 1))
    up = step * np.arange(PITCH_BINS // 2)
    return np.concatenate([low + up, (high - up)[::-1]]).astype(np.float32)


def _exp(x: np.ndarray) -> np.ndarray:
    """The exponential, rounded once, float32."""
    return np.exp(x.astype(np.float64)).astype(np.float32)


def _sum(x: np.ndarray, order: Iterable[int]) -> np.ndarray:
    """The sum of the columns of float32 [n, k], one after the other."""
    total = np.zeros(len(x), np.float32)
    for column in order:
        total = total + x[:, column]
    return total


def polar(magnitude: np.ndarray, angle: np.ndarray) -> np.ndarray:
    """Complex numbers of magnitudes and angles, complex64."""
    out = np.empty(magnitude.shape, np.complex64)
    np.multiply(magnitude, np.cos(angle), out=out.real)
    np.multiply(magnitude, np.sin(angle), out=out.imag)
    return out


def noise_spectra(hop: int, window: int) -> np.ndarray:
    """Spectra of `NOISE_FRAMES` windows of a white noise without end, complex64 [NOISE_FRAMES, bins]."""
    # This generator's numbers are frozen for good, so every machine hears the same noise.
    wave = np.random.RandomState(1).randn(NOISE_FRAMES * hop).astype(np.float32)
    wave = np.concatenate([wave, wave[: window - hop]])
    frames = np.lib.stride_tricks.sliding_window_view(wave, window)[::hop]
    return np.fft.rfft(frames * hann_window(window)) * np.float32((8 / 3 / window) ** 0.5)

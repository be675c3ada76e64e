"""Short-time spectra in NumPy, as `audio/spectral.py` has them: analysis to logarithms, and overlap-add."""

from __future__ import annotations

import numpy as np


def hann_window(size: int) -> np.ndarray:
    """A periodic Hann window, float32 [size]."""
    return (0.5 - 0.5 * np.cos(np.arange(size) * (2 * np.pi / size))).astype(np.float32)


class LogSpectra:
    """Waveform [n * hop], piece by piece -> log magnitudes of windows that end with their hop, [n, window / 2 + 1]."""

    def __init__(self, hop: int, window: int):
        self.hop = hop
        self.window = hann_window(window) * np.float32((2 / window) ** 0.5)
        self._past = np.zeros(window - hop, np.float32)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """The next samples, whole hops."""
        x = np.concatenate([self._past, x])
        self._past = x[len(x) - len(self._past) :]
        frames = np.lib.stride_tricks.sliding_window_view(x, len(self.window))[:: self.hop]
        spectrum = np.fft.rfft(frames * self.window)
        power = np.square(spectrum.real) + np.square(spectrum.imag) + np.float32(1e-10)
        return np.log(np.sqrt(power)) * np.float32(0.4) + np.float32(1.8)


class OverlapAdd:
    """Spectra complex64 [n, window / 2 + 1], piece by piece -> waveform [n * hop]; windows begin with their hop."""

    def __init__(self, hop: int, window: int):
        self.hop, self.overlap = hop, window // hop
        # Analysis and synthesis windows together, squared Hann windows, sum to 3 / 8 of the windows over each sample.
        self.window = hann_window(window) * np.float32((window / 2) ** 0.5 * 8 / 3 / self.overlap)
        self._tail = np.zeros((self.overlap - 1, hop), np.float32)

    def __call__(self, spectrum: np.ndarray) -> np.ndarray:
        """The next windows."""
        return self.windows(np.fft.irfft(spectrum, len(self.window)))

    def windows(self, frames: np.ndarray) -> np.ndarray:
        """The same of windows [n, window] themselves, not yet weighted."""
        steps, frames = len(frames), frames * self.window
        # Each frame is `overlap` pieces of one hop; piece j of frame k belongs to hop k + j.
        pieces = frames.reshape(steps, self.overlap, self.hop)
        total = np.concatenate([self._tail, np.zeros((steps, self.hop), np.float32)])
        # Added in order of time, so that the sum is the same however the stream is cut.
        for j in reversed(range(self.overlap)):
            total[j : j + steps] += pieces[:, j]
        self._tail = total[steps:]
        return total[:steps].reshape(-1)

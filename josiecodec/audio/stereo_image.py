"""Where sounds of a stereo recording are: an angle for each band and frame, beside the codes of its mix to mono.

    left and right -> energies of bands of each frame -> angles, [F, BANDS]
    decoded mono and angles -> spectrum times the gains of each band -> left and right, whose mean is the mono again

Intensity stereo, the level differences of parametric stereo (Breebaart et al. 2005, EURASIP JASP 9:1305-1322). Half
the sum and half the difference, which codecs of waveforms code, do not do here: decoded halves have phases of their
own, so that their sum is as loud as their difference.

Windows of half a frame, each a quarter of a frame after the last, with a sine window before and after. Window k is
centred at sample k * hop and belongs to frame floor(k / 4).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import numpy as np

from .offset import OffsetMemory, large, offsets

EDGES = (400.0, 800.0, 1400.0, 2200.0, 3500.0, 5500.0)  # Hz, between the bands
BANDS = len(EDGES) + 1
ANGLES = 7  # from all on the left to all on the right, 15 degrees apart
CENTRE = ANGLES // 2
HOPS = 4  # in a frame
QUIET = 1e-9  # mean square of a band in which nothing is to be heard: it stays where it was


def gains(angles: np.ndarray) -> np.ndarray:
    """Factors of the left channel for angles of any shape; those of the right are 2 less these."""
    turn = np.asarray(angles, np.float32) * np.float32(math.pi / 2 / (ANGLES - 1))
    factors: np.ndarray = 2 * np.cos(turn) / (np.cos(turn) + np.sin(turn))
    return factors


def band_of_bins(window: int, sample_rate: int) -> np.ndarray:
    """The band of each bin of a window, int64 [window / 2 + 1]."""
    return np.searchsorted(np.array(EDGES), np.arange(window // 2 + 1) * (sample_rate / window), side="right")


class _Windows:
    """Cuts samples [C, n], piece by piece, into windowed spectra [windows, C, bins]."""

    def __init__(self, channels: int, frame_size: int):
        self.hop = frame_size // HOPS
        self.size = 2 * self.hop
        self.window = np.sin((np.arange(self.size) + 0.5) * (math.pi / self.size)).astype(np.float32)
        self._rest = np.zeros((channels, self.hop), np.float32)  # the first window is centred at sample 0

    def __call__(self, samples: np.ndarray) -> np.ndarray:
        joined = np.concatenate([self._rest, samples], 1)
        count = max(joined.shape[1] // self.hop - 1, 0)
        self._rest = joined[:, count * self.hop :]
        if not count:
            return np.zeros((0, len(joined), self.size // 2 + 1), np.complex64)
        rows = np.lib.stride_tricks.sliding_window_view(joined, self.size, 1)[:, :: self.hop][:, :count]
        return np.fft.rfft(rows * self.window).astype(np.complex64).swapaxes(0, 1)


def find_image(blocks: Iterable[np.ndarray], frame_size: int, sample_rate: int) -> Iterator[np.ndarray]:
    """The angles of a recording, frame by frame in pieces: uint16 [frames, BANDS], as many frames as it has.

    Args:
        blocks: left and right [2, n].
        frame_size, sample_rate: of the codec.
    """
    windows = _Windows(2, frame_size)
    bands = np.eye(BANDS)[band_of_bins(windows.size, sample_rate)]
    last = np.full(BANDS, CENTRE, np.uint16)
    waiting, held = np.zeros((0, 2, BANDS)), np.zeros((2, 0), np.float32)
    memory = OffsetMemory(np.zeros(2))
    length = frames = 0

    def energies(samples: np.ndarray) -> np.ndarray:
        """Of each window, channel and band."""
        energy: np.ndarray = np.square(np.abs(windows(samples).astype(np.complex128))) @ bands
        return energy

    def angles(whole: np.ndarray) -> np.ndarray:
        nonlocal last, frames
        energy = whole.reshape(-1, HOPS, 2, BANDS).sum(1)
        turn = np.arctan2(np.sqrt(energy[:, 1]), np.sqrt(energy[:, 0]))
        found = np.rint(turn * (2 / math.pi * (ANGLES - 1))).astype(np.uint16)
        heard = energy.sum(1) > QUIET * HOPS * windows.size**2 / 4
        for row, known in zip(found, heard):
            row[~known] = last[~known]
            last = row
        frames += len(found)
        return found

    for block in blocks:
        length += block.shape[1]
        held = np.concatenate([held, block], 1)
        ready = held.shape[1] // frame_size * frame_size
        found, memory = offsets(held[:, :ready], frame_size, memory)
        now, held = held[:, :ready], held[:, ready:]
        waiting = np.concatenate([waiting, energies(now if found is None else now - found)])
        whole = len(waiting) // HOPS * HOPS
        if whole:
            yield angles(waiting[:whole])
            waiting = waiting[whole:]
    if held.shape[1]:
        mean = memory.mean if memory.frames else held.mean(1, dtype=np.float64)
        held = held - large(mean)[:, None].astype(np.float32)
    held = np.concatenate([held, np.zeros((2, 2 * frame_size), np.float32)], 1)
    waiting = np.concatenate([waiting, energies(held)])
    missing = -(-length // frame_size) - frames
    if missing > 0:
        yield angles(waiting[: missing * HOPS])


class Panner:
    """Turns decoded mono, piece by piece, into left and right.

    Args:
        frame_size, sample_rate: of the codec.
    """

    def __init__(self, frame_size: int, sample_rate: int):
        self._windows = _Windows(1, frame_size)
        self._bands = band_of_bins(self._windows.size, sample_rate)
        self._tail = np.zeros(self._windows.hop, np.float32)  # of the left, what the next window adds to
        self._kept = np.zeros(0, np.float32)  # mono of which the left is not there yet
        self._count = 0  # windows
        self._skip = self._windows.hop  # before sample 0

    @property
    def frame(self) -> int:
        """The frame whose angles are needed next."""
        return self._count // HOPS

    def __call__(self, mono: np.ndarray, angles: np.ndarray) -> np.ndarray:
        """Take samples [n] and the angles of all frames from `frame` on [any, BANDS]; what is ready, [2, m].

        Frames beyond the last angles have the last ones; without any, sounds are in the middle.
        """
        spectra = self._windows(mono[None])[:, 0]
        self._kept = np.concatenate([self._kept, mono])
        if not len(spectra):
            return np.zeros((2, 0), np.float32)
        first = self.frame
        index = (self._count + np.arange(len(spectra))) // HOPS - first
        if not len(angles):
            angles = np.full((1, BANDS), CENTRE)
        factors = gains(angles[np.minimum(index, len(angles) - 1)])[:, self._bands]
        rows = np.fft.irfft(spectra * factors, self._windows.size).astype(np.float32) * self._windows.window
        self._count += len(spectra)
        hop = self._windows.hop
        out = np.concatenate([rows[:, :hop].reshape(-1), np.zeros(hop, np.float32)])
        out[hop:] += rows[:, hop:].reshape(-1)
        out[:hop] += self._tail
        self._tail = out[-hop:]
        left = out[self._skip : -hop]
        self._skip = 0
        mono, self._kept = self._kept[: len(left)], self._kept[len(left) :]
        return np.stack([left, 2 * mono - left])

    def finish(self, angles: np.ndarray) -> np.ndarray:
        """The rest, [2, m]."""
        owed = len(self._kept)
        return self(np.zeros(2 * self._windows.hop, np.float32), angles)[:, :owed]

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
import torch
from torch import Tensor

EDGES = (400.0, 800.0, 1400.0, 2200.0, 3500.0, 5500.0)  # Hz, between the bands
BANDS = len(EDGES) + 1
ANGLES = 7  # from all on the left to all on the right, 15 degrees apart
CENTRE = ANGLES // 2
HOPS = 4  # in a frame
QUIET = 1e-9  # mean square of a band in which nothing is to be heard: it stays where it was


def gains(angles: Tensor) -> Tensor:
    """Factors of the left channel for angles of any shape; those of the right are 2 less these."""
    turn = angles * (math.pi / 2 / (ANGLES - 1))
    return 2 * turn.cos() / (turn.cos() + turn.sin())


def band_of_bins(window: int, sample_rate: int) -> Tensor:
    """The band of each bin of a window, int64 [window / 2 + 1]."""
    return torch.bucketize(torch.arange(window // 2 + 1) * (sample_rate / window), torch.tensor(EDGES), right=True)


class _Windows:
    """Cuts samples [C, n], piece by piece, into windowed spectra [windows, C, bins]."""

    def __init__(self, channels: int, frame_size: int):
        self.hop = frame_size // HOPS
        self.size = 2 * self.hop
        self.window = ((torch.arange(self.size) + 0.5) * (math.pi / self.size)).sin()
        self._rest = torch.zeros(channels, self.hop)  # the first window is centred at sample 0

    def __call__(self, samples: Tensor) -> Tensor:
        joined = torch.cat([self._rest, samples], 1)
        count = max(joined.shape[1] // self.hop - 1, 0)
        self._rest = joined[:, count * self.hop :]
        if not count:
            return torch.zeros(0, len(joined), self.size // 2 + 1, dtype=torch.complex64)
        rows = joined[:, : (count + 1) * self.hop].unfold(1, self.size, self.hop)
        return torch.fft.rfft(rows * self.window).transpose(0, 1)


def find_image(blocks: Iterable[Tensor], frame_size: int, sample_rate: int) -> Iterator[np.ndarray]:
    """The angles of a recording, frame by frame in pieces: uint16 [frames, BANDS], as many frames as it has.

    Args:
        blocks: left and right [2, n].
        frame_size, sample_rate: of the codec.
    """
    windows = _Windows(2, frame_size)
    bands = torch.nn.functional.one_hot(band_of_bins(windows.size, sample_rate), BANDS).float()
    last = np.full(BANDS, CENTRE, np.uint16)
    waiting = torch.zeros(0, 2, BANDS)
    length = frames = 0

    def angles(whole: Tensor) -> np.ndarray:
        nonlocal last, frames
        energy = whole.unflatten(0, (-1, HOPS)).sum(1)  # [frames, 2, BANDS]
        turn = torch.atan2(energy[:, 1].sqrt(), energy[:, 0].sqrt())
        found = (turn * (2 / math.pi * (ANGLES - 1))).round().numpy().astype(np.uint16)
        heard = (energy.sum(1) > QUIET * HOPS * windows.size**2 / 4).numpy()
        for row, known in zip(found, heard):
            row[~known] = last[~known]
            last = row
        frames += len(found)
        return found

    for block in blocks:
        length += block.shape[1]
        waiting = torch.cat([waiting, windows(block).abs().square() @ bands])
        whole = len(waiting) // HOPS * HOPS
        if whole:
            yield angles(waiting[:whole])
            waiting = waiting[whole:]
    padding = 2 * frame_size
    waiting = torch.cat([waiting, windows(torch.zeros(2, padding)).abs().square() @ bands])
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
        self._tail = torch.zeros(self._windows.hop)  # of the left, what the next window adds to
        self._kept = torch.zeros(0)  # mono of which the left is not there yet
        self._count = 0  # windows
        self._skip = self._windows.hop  # before sample 0

    @property
    def frame(self) -> int:
        """The frame whose angles are needed next."""
        return self._count // HOPS

    def __call__(self, mono: Tensor, angles: Tensor) -> Tensor:
        """Take samples [n] and the angles of all frames from `frame` on [any, BANDS]; what is ready, [2, m].

        Frames beyond the last angles have the last ones; without any, sounds are in the middle.
        """
        spectra = self._windows(mono[None])[:, 0]
        self._kept = torch.cat([self._kept, mono])
        if not len(spectra):
            return torch.zeros(2, 0)
        first = self.frame
        index = (self._count + torch.arange(len(spectra))) // HOPS - first
        if not len(angles):
            angles = torch.full((1, BANDS), CENTRE)
        factors = gains(angles[index.clamp(max=len(angles) - 1)].float())[:, self._bands]
        rows = torch.fft.irfft(spectra * factors, self._windows.size) * self._windows.window
        self._count += len(spectra)
        hop = self._windows.hop
        out = torch.cat([rows[:, :hop].reshape(-1), torch.zeros(hop)])
        out[hop:] += rows[:, hop:].reshape(-1)
        out[:hop] += self._tail
        self._tail = out[-hop:]
        left = out[self._skip : -hop]
        self._skip = 0
        mono, self._kept = self._kept[: len(left)], self._kept[len(left) :]
        return torch.stack([left, 2 * mono - left])

    def finish(self, angles: Tensor) -> Tensor:
        """The rest, [2, m]."""
        owed = len(self._kept)
        return self(torch.zeros(2 * self._windows.hop), angles)[:, :owed]

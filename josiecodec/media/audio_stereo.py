"""The two halves of a stereo recording: mid, half the sum of left and right, and side, half their difference."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import soxr
import torch
from torch import Tensor

from .audio_frames import Sound
from .audio_mix import OVERSHOOT
from .audio_reader import AudioReader, Reading


class HalfReader(AudioReader):
    """An open audio file of two channels whose `mono` is mid or side.

    Where a file has another number of channels on the way, the mid is the mix to mono there, and the side is silent.
    Samples that are not finite count as silence.
    """

    def __init__(self, source: str | Path | IO[bytes], reading: Reading | None = None, side: bool = False):
        super().__init__(source, reading)
        self.side = side

    def mono(
        self,
        sample_rate: int,
        start: float = 0.0,
        duration: float | None = None,
        channel: int | None = None,
        gain: float = 1.0,
    ) -> Iterator[Tensor]:
        """The samples of mid or side at another rate, as float32 tensors [n]; once only. `channel` has no meaning.

        Raises:
            MediaError: as `AudioReader.mono`.
        """
        left = None if duration is None else round(duration * self.sample_rate)
        resampler = None
        if self.sample_rate != sample_rate:
            resampler = soxr.ResampleStream(self.sample_rate, sample_rate, 1, dtype="float32")
        for sound in self.sounds(round(start * self.sample_rate)):
            half = halves(sound)[self.side][:left] * np.float32(gain)
            if left is not None:
                left -= len(half)
            yield torch.from_numpy(half if resampler is None else resampler.resample_chunk(half))
            if left == 0:
                break
        if resampler is not None:
            yield torch.from_numpy(resampler.resample_chunk(np.zeros(0, np.float32), last=True))


def halves(sound: Sound) -> tuple[np.ndarray, np.ndarray]:
    """Mid and side of samples, float32 [n] each."""
    samples = np.nan_to_num(sound.samples, nan=0.0, posinf=0.0, neginf=0.0)
    if samples.shape[1] != 2:
        return samples @ sound.weights, np.zeros(len(samples), np.float32)
    left, right = samples[:, 0], samples[:, 1]
    return (left + right) * np.float32(0.5), (left - right) * np.float32(0.5)


@dataclass(frozen=True)
class Image:
    """What is known of a stereo recording before it is encoded.

    Attributes:
        mid, side: mean energy of both halves.
        peak: highest sample of both channels.
    """

    mid: float
    side: float
    peak: float


def measure(reader: AudioReader) -> Image:
    """Energies and peak of a recording; reads all of it, and warns of samples beyond full scale.

    Raises:
        MediaError: if it is too damaged.
    """
    mid = side = peak = 0.0
    count = 0
    for sound in reader.sounds():
        m, s = halves(sound)
        mid, side, count = mid + float(np.vdot(m, m)), side + float(np.vdot(s, s)), count + len(m)
        peak = max(peak, float((np.abs(m) + np.abs(s)).max(initial=0.0)))
    if peak > OVERSHOOT and not reader.reading.normalize:
        warnings.warn(
            f"{reader.name}: samples reach {peak:.2f} times full scale; they are encoded as they are and clipped when "
            "decoded; --normalize scales the recording to full scale",
            stacklevel=2,
        )
    return Image(mid / max(count, 1), side / max(count, 1), peak)

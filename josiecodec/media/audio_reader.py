"""Reading audio files of any kind, in blocks of bounded memory; docs/media.md says what comes out for which input."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np
import soxr

from .audio_open import Reading, SampleReader, SampleResampler
from .suffixes import AUDIO_SUFFIXES

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["AUDIO_SUFFIXES", "Audio", "AudioReader", "Reading", "StreamResampler", "load_audio", "resample"]


@dataclass(frozen=True)
class Audio:
    """A recording in memory.

    Attributes:
        samples: float32 [C, T], about [-1, 1].
        sample_rate: in Hz.
        original_rate, original_channels: of the file it was read from.
    """

    samples: Tensor
    sample_rate: int
    original_rate: int
    original_channels: int

    def __repr__(self) -> str:
        channels, length = self.samples.shape
        return f"Audio({length / self.sample_rate:.2f} s, {self.sample_rate} Hz, {channels} channel(s))"

    def _repr_html_(self) -> str:
        return str(import_module("josiecodec.display").audio_html(self))  # it stands above this module


class AudioReader(SampleReader):
    """An open audio file that gives its samples in blocks; see `SampleReader` for its attributes."""

    def mono(
        self,
        sample_rate: int,
        start: float = 0.0,
        duration: float | None = None,
        channel: int | None = None,
        gain: float = 1.0,
    ) -> Iterator[Tensor]:
        """The samples as mono at another rate, as float32 tensors [n]; once only.

        Those that are not finite count as silence.

        Args:
            sample_rate: wanted, in Hz.
            start, duration: of a part of the recording, in seconds; without them all of it.
            channel: the one to take, from 0 on; None for the mix of all.
            gain: factor for all samples.

        Raises:
            MediaError: if the file is too damaged, ends before `start`, or has no such channel.
        """
        import torch

        for block in self.mono_samples(sample_rate, start, duration, channel, gain):
            yield torch.from_numpy(block)


class StreamResampler:
    """A `SampleResampler` of tensors [n]."""

    def __init__(self, sample_rate: int, target: int):
        self._resampler = SampleResampler(sample_rate, target)

    def __call__(self, x: Tensor, last: bool = False) -> Tensor:
        """Take samples in, give those that are ready out; `last` brings out the rest."""
        import torch

        return torch.from_numpy(self._resampler(x.numpy(), last))


def load_audio(source: str | Path | IO[bytes], sample_rate: int = 24000, reading: Reading | None = None) -> Audio:
    """Read a whole audio file as mono at `sample_rate`.

    Raises:
        MediaError: if it cannot be read.
    """
    import torch

    with AudioReader(source, reading) as reader:
        parts = list(reader.mono(sample_rate))
        samples = torch.cat(parts) if parts else torch.zeros(0)
        return Audio(samples[None], sample_rate, reader.sample_rate, reader.channels)


def resample(x: Tensor, sample_rate: int, target: int) -> Tensor:
    """Resample [C, T] float32 from one rate to another."""
    if sample_rate == target or x.shape[-1] == 0:
        return x
    import torch

    y = soxr.resample(np.ascontiguousarray(x.cpu().numpy().T), sample_rate, target)
    return torch.from_numpy(np.ascontiguousarray(y.T))

"""How loud recordings are coded: at the usual level of the codec (`audio/loudness.py`), or normalized."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from ..audio.loudness import amplified, gain_of
from ..bitstream.header import AudioInfo
from ..media.audio_open import Reading, SampleReader
from .audio_coder import AudioCoder


@dataclass(frozen=True)
class Level:
    """How loud a recording is coded.

    Attributes:
        scale: factor for all samples that decoders do not undo.
        gain: decibels that they do undo, see `audio/loudness.py`.
    """

    scale: float = 1.0
    gain: int = 0

    @classmethod
    def of(cls, codec: AudioCoder, reopen: Callable[[], SampleReader], reading: Reading | None) -> Level:
        """What brings a recording to the usual level of a codec; it is read once for that, or twice to normalize it."""
        scale = normalizing_gain(reopen) if reading and reading.normalize else 1.0
        if not codec.config.has_usual_level:
            return cls(scale)
        with reopen() as reader, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # reading it again will say the same
            return cls(scale, gain_of(reader.mono_samples(codec.sample_rate, gain=scale), codec.sample_rate))

    def samples(self, reader: SampleReader, sample_rate: int, seconds: float | None = None) -> Iterator[np.ndarray]:
        """The beginning of a recording, or all of it, as it is coded."""
        return amplified(reader.mono_samples(sample_rate, 0.0, seconds, gain=self.scale), self.gain)

    def put(self, info: AudioInfo) -> AudioInfo:
        """The header of a stream, with this gain."""
        return replace(info, gain=self.gain)


def normalizing_gain(reopen: Callable[[], SampleReader]) -> float:
    """The factor that brings the highest sample of a recording to full scale; 1 if it is silent."""
    with reopen() as reader:
        peak = reader.peak()
    return 1.0 / peak if peak > 0 else 1.0


def level_gain(codec: AudioCoder, blocks: Iterable[np.ndarray]) -> int:
    """Decibels that bring a recording, float32 [n] at a time, to the usual level of a codec, if it has one."""
    return gain_of(blocks, codec.sample_rate) if codec.config.has_usual_level else 0


def louder(blocks: Iterable[np.ndarray], gain: int) -> Iterator[np.ndarray]:
    """A recording by so many decibels louder."""
    return amplified(blocks, gain)

"""Reading audio files of any kind, in blocks of bounded memory.

WAV, FLAC, OGG and MP3 are read by libsndfile; whatever it does not know (m4a, mp4, webm, mkv ...) by
FFmpeg through PyAV. Resampling is soxr's, block by block, so that an hour-long file gives the same
samples as in one piece.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import IO, Any

import numpy as np
import soundfile
import soxr
import torch
from torch import Tensor

from ..errors import MediaError

AUDIO_SUFFIXES = frozenset(
    [
        ".wav",
        ".flac",
        ".ogg",
        ".oga",
        ".opus",
        ".mp3",
        ".aif",
        ".aiff",
        ".au",
        ".caf",
        ".w64",
        ".rf64",
        ".m4a",
        ".aac",
        ".wma",
        ".amr",
        ".ac3",
        ".mka",
    ]
)
MIN_GAP, MAX_GAP = 0.05, 60.0  # seconds that a track may leave out, which are filled with silence
BLOCK = 1 << 16  # samples per channel read at a time


def _name(source: Any) -> Any:
    """A path as libsndfile opens it even if it is not UTF-8; anything else as it is."""
    return os.fsencode(source) if isinstance(source, str) and os.name == "posix" else source


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


class AudioReader:
    """An open audio file that gives its samples in blocks.

    Attributes:
        sample_rate, channels: of the file.
        length: samples per channel as far as the file says, or None.
        name: for messages.
    """

    def __init__(self, source: str | Path | IO[bytes]):
        """Open a path, "-" for standard input, or a seekable binary file.

        Raises:
            MediaError: if it cannot be opened or holds no audio.
        """
        self.name = str(source) if isinstance(source, (str, Path)) else getattr(source, "name", "stream")
        self._spool: IO[bytes] | None = None
        self._soundfile: soundfile.SoundFile | None = None
        self._container: Any = None
        if str(source) == "-":
            self.name = "standard input"
            self._spool = source = tempfile.TemporaryFile()
            shutil.copyfileobj(sys.stdin.buffer, source)
            source.seek(0)
        elif isinstance(source, (str, Path)):
            if not Path(source).is_file():
                raise MediaError(f"{source}: no such file")
            source = str(source)
        try:
            self._soundfile = soundfile.SoundFile(_name(source))
        except (soundfile.LibsndfileError, TypeError, RuntimeError):
            self._open_container(source)
        if self._soundfile is not None:
            self.sample_rate, self.channels = self._soundfile.samplerate, self._soundfile.channels
            self.length = self._soundfile.frames if 0 <= self._soundfile.frames < 1 << 40 else None
        if not 1 <= self.sample_rate <= 1_000_000 or self.channels < 1:
            self.close()
            raise MediaError(f"{self.name}: {self.sample_rate} Hz with {self.channels} channels is no audio")

    def _open_container(self, source: Any) -> None:
        import av

        if hasattr(source, "seek"):
            source.seek(0)
        try:
            self._container = av.open(source)
            stream = self._container.streams.audio[0]
        except IndexError:
            self.close()
            raise MediaError(f"{self.name}: no audio in it") from None
        except (av.FFmpegError, ValueError, OSError) as error:
            self.close()
            raise MediaError(f"{self.name}: not an audio file that can be read ({_reason(error)})") from None
        self.sample_rate = stream.rate or 0
        self.channels = stream.channels or 0
        self.length = None
        if stream.duration and stream.time_base:
            self.length = round(stream.duration * stream.time_base * self.sample_rate)

    def blocks(self, first: int = 0, count: int | None = None) -> Iterator[np.ndarray]:
        """The samples from `first` on, as float32 arrays [n, channels]: `count` of them, or all if there are fewer.

        Raises:
            MediaError: if the file turns out to be damaged, or ends before `first`.
        """
        if first and self.length is not None and first >= self.length:
            raise MediaError(f"{self.name}: ends before {first / self.sample_rate:g} s")
        if self._soundfile is not None and self._soundfile.seekable():
            try:
                self._soundfile.seek(
                    first
                )  # also to 0: else libsndfile gives the priming samples of Opus, which are none
            except (soundfile.LibsndfileError, RuntimeError) as error:
                raise MediaError(f"{self.name}: damaged audio file ({_reason(error)})") from None
            first = 0
        for block in self._all_blocks():
            block, first = block[first:], max(first - len(block), 0)
            if count is not None:
                block, count = block[:count], count - min(count, len(block))
            if len(block):
                yield block
            if count == 0:
                return

    def _all_blocks(self) -> Iterator[np.ndarray]:
        if self._soundfile is not None:
            try:
                yield from self._soundfile.blocks(BLOCK, dtype="float32", always_2d=True)
            except (soundfile.LibsndfileError, RuntimeError) as error:
                raise MediaError(f"{self.name}: damaged audio file ({_reason(error)})") from None
            return
        import av

        resampler = av.AudioResampler(format="fltp", layout=None, rate=self.sample_rate)
        try:
            written, start = 0, None
            for frame in self._container.decode(audio=0):
                if frame.time is not None:
                    start = frame.time if start is None else start
                    missing = round((frame.time - start) * self.sample_rate) - written
                    if MIN_GAP * self.sample_rate < missing < MAX_GAP * self.sample_rate:  # a hole in the track
                        written += missing
                        yield np.zeros((missing, self.channels), np.float32)
                written += frame.samples
                for part in resampler.resample(frame):
                    yield np.ascontiguousarray(part.to_ndarray().T)
            for part in resampler.resample(None):
                yield np.ascontiguousarray(part.to_ndarray().T)
        except (av.FFmpegError, ValueError) as error:
            raise MediaError(f"{self.name}: damaged audio file ({_reason(error)})") from None

    def mono(
        self, sample_rate: int, start: float = 0.0, duration: float | None = None, channel: int | None = None
    ) -> Iterator[Tensor]:
        """The samples as mono at another rate, as float32 tensors [n]; those that are not finite count as silence.

        Args:
            sample_rate: wanted, in Hz.
            start, duration: of a part of the recording, in seconds; without them all of it.
            channel: the one to take, from 0 on; None for the mean of all.

        Raises:
            MediaError: if the file is damaged, ends before `start`, or has no such channel.
        """
        if channel is not None and not 0 <= channel < self.channels:
            raise MediaError(f"{self.name}: has {self.channels} channel(s), none with the number {channel}")
        resampler = StreamResampler(self.sample_rate, sample_rate)
        count = None if duration is None else round(duration * self.sample_rate)
        for block in self.blocks(round(start * self.sample_rate), count):
            mono = block.mean(1, dtype=np.float32) if channel is None else np.ascontiguousarray(block[:, channel])
            mono = np.nan_to_num(mono, nan=0.0, posinf=0.0, neginf=0.0)
            yield resampler(torch.from_numpy(mono))
        yield resampler(torch.zeros(0), last=True)

    def close(self) -> None:
        """Close the file."""
        for thing in (self._soundfile, self._container, self._spool):
            if thing is not None:
                thing.close()

    def __enter__(self) -> AudioReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class StreamResampler:
    """Brings a stream of samples [n] from one rate to another, piece by piece."""

    def __init__(self, sample_rate: int, target: int):
        self._soxr = None
        if sample_rate != target:
            self._soxr = soxr.ResampleStream(sample_rate, target, 1, dtype="float32")

    def __call__(self, x: Tensor, last: bool = False) -> Tensor:
        """Take samples in, give those that are ready out; `last` brings out the rest."""
        if self._soxr is None:
            return x
        return torch.from_numpy(self._soxr.resample_chunk(x.numpy(), last=last))


def load_audio(source: str | Path | IO[bytes], sample_rate: int = 24000) -> Audio:
    """Read a whole audio file as mono at `sample_rate`.

    Raises:
        MediaError: if it cannot be read.
    """
    with AudioReader(source) as reader:
        parts = list(reader.mono(sample_rate))
        samples = torch.cat(parts) if parts else torch.zeros(0)
        return Audio(samples[None], sample_rate, reader.sample_rate, reader.channels)


def resample(x: Tensor, sample_rate: int, target: int) -> Tensor:
    """Resample [C, T] float32 from one rate to another."""
    if sample_rate == target or x.shape[-1] == 0:
        return x
    y = soxr.resample(np.ascontiguousarray(x.cpu().numpy().T), sample_rate, target)
    return torch.from_numpy(np.ascontiguousarray(y.T))


def _reason(error: BaseException) -> str:
    text = str(error).strip().splitlines()
    return text[-1] if text else type(error).__name__

"""An open recording as samples of numpy; `audio_reader` gives the same as tensors. Light, for processes that only read.

WAV, AIFF, Ogg and the like are read by libsndfile, all else (MP3, FLAC, m4a, mp4, webm, mkv ...) by FFmpeg through
PyAV, and what libsndfile fails on as well, even in the middle of a file. Resampling is soxr's, block by block, so that
an hour-long file gives the same samples as in one piece.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Self

import numpy as np
import soxr

from ..errors import MediaError
from .audio_bytes import Part, Piece
from .audio_container import ContainerSource, reason, silence
from .audio_frames import Sound
from .audio_mix import MonoMix, check_channel
from .audio_parts import is_mp3, joined_parts
from .audio_sndfile import NotForSndfile, SndfileSource

MAX_LOST = 3600.0  # seconds of a recording that can be lost at one place


@dataclass(frozen=True)
class Reading:
    """How sound is read.

    Attributes:
        track: number of the track, from 1 on; None for the one that the file flags as default, else the first.
        salvage: read what is left of a file that is too damaged to be read otherwise.
        normalize: scale the recording so that its highest sample is at full scale.
    """

    track: int | None = None
    salvage: bool = False
    normalize: bool = False


class SampleReader:
    """An open audio file that gives its samples in blocks.

    Attributes:
        sample_rate, channels: of the file.
        length: samples per channel as far as the file says, or None; it may be wrong.
        begin: time of the first sample on the clock of the file, in seconds; 0 of a file of audio alone.
        tracks, track: number of tracks of audio, and of the one that is read, from 1 on.
        layout, codec: as FFmpeg names them, such as "5.1(side)".
        name: for messages.
    """

    def __init__(self, source: str | Path | IO[bytes], reading: Reading | None = None):
        """Open a path, "-" for standard input, or a seekable binary file.

        Raises:
            MediaError: if it cannot be opened or holds no audio.
        """
        self.name = str(source) if isinstance(source, (str, Path)) else getattr(source, "name", "stream")
        self.reading = reading or Reading()
        self._spool: IO[bytes] | None = None
        self._source: ContainerSource | SndfileSource | None = None
        self._file: Any = str(source) if isinstance(source, (str, Path)) else source
        if self._file == "-":
            self.name = "standard input"
            self._spool = self._file = tempfile.TemporaryFile()
            shutil.copyfileobj(sys.stdin.buffer, self._spool)
        elif isinstance(self._file, str) and not Path(self._file).is_file():
            raise MediaError(f"{source}: no such file")
        try:
            if not self._file_size():
                raise MediaError(f"{self.name}: is empty")
            self._parts = joined_parts(self._file)
            self._source = self._open(self._parts[0])
        except OSError as error:
            self.close()
            raise MediaError(f"{self.name}: cannot be read ({reason(error)})") from None
        except MediaError:
            self.close()
            raise
        opened = self._source
        self.sample_rate, self.channels, self.begin = opened.rate, opened.channels, opened.begin
        self.tracks, self.track, self.layout, self.codec = opened.tracks, opened.track, opened.layout, opened.codec
        self.length = opened.length if len(self._parts) == 1 else None
        if self.tracks > 1 and self.reading.track is None:
            warnings.warn(
                f"{self.name}: has {self.tracks} tracks of audio; number {self.track} is read; --audio-track takes "
                "another",
                stacklevel=2,
            )

    def _file_size(self) -> int:
        with Part(self._file) as file:
            return file.seek(0, os.SEEK_END)

    def _open(self, part: Piece, by_ffmpeg: bool = False, seek: bool = False) -> Any:
        """What reads a part of the file: libsndfile where it can and is exact, else FFmpeg."""
        whole = len(self._parts) == 1 and not part.start and not part.in_chunks
        source = self._file if whole else Part(self._file, part.ranges)
        with Part(self._file, part.ranges) as file:
            head = file.read(4)
        like_mpeg = len(head) > 1 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0  # libsndfile would say a lot
        if like_mpeg and not is_mp3(head) and not by_ffmpeg:
            with contextlib.suppress(MediaError):
                return self._by_ffmpeg(source, part)
        if not by_ffmpeg and not is_mp3(head) and (head != b"fLaC" or seek):
            with contextlib.suppress(NotForSndfile):
                return self._checked(SndfileSource(source, self.name, part.in_chunks))
        return self._by_ffmpeg(source, part)

    def _by_ffmpeg(self, source: Any, part: Piece) -> ContainerSource:
        if hasattr(source, "seek"):
            source.seek(0)
        return ContainerSource(source, self.name, self.reading.track, self.reading.salvage, part.end is None)

    def _checked(self, source: SndfileSource) -> SndfileSource:
        if self.reading.track not in (None, 1):
            source.close()
            raise MediaError(f"{self.name}: has 1 track(s) of audio, none with the number {self.reading.track}")
        return source

    def sounds(self, first: int = 0) -> Iterator[Sound]:
        """The samples from `first` on, at `sample_rate`, with the weights of a mix to mono.

        The number of channels may change on the way.

        Raises:
            MediaError: if the file is too damaged, or ends before `first`.
        """
        given = 0
        for sound in self._all_sounds(first):
            given += len(sound.samples)
            if len(sound.samples):
                yield sound
        if first and not given:
            raise MediaError(f"{self.name}: ends before {first / self.sample_rate:g} s")

    def blocks(self, first: int = 0, count: int | None = None) -> Iterator[np.ndarray]:
        """The samples from `first` on, as float32 arrays [n, channels]: `count` of them, or all if there are fewer.

        Where the number of channels changes on the way, all channels are the mix to mono.

        Raises:
            MediaError: as `sounds`.
        """
        for sound in self.sounds(first):
            samples = sound.samples[:count]
            if samples.shape[1] != self.channels:
                samples = np.repeat((samples @ sound.weights)[:, None], self.channels, 1)
            yield samples
            if count is not None:
                count -= len(samples)
                if not count:
                    return

    def _all_sounds(self, first: int) -> Iterator[Sound]:
        if len(self._parts) == 1:
            if first and self._source is not None and self._source.codec == "flac":
                self._replace(self._open(self._parts[0], seek=True))
            yield from self._sounds_of(self._parts[0], first)
            return
        for number in range(len(self._parts)):
            for sound in self._sounds_of_piece(number):
                skipped, first = min(first, len(sound.samples)), max(first - len(sound.samples), 0)
                yield Sound(sound.samples[skipped:], sound.weights)

    def _sounds_of_piece(self, number: int) -> Iterator[Sound]:
        """Samples of one of several pieces at the rate of the first, with silence before it for what is lost there."""
        part = self._parts[number]
        try:
            if number:
                self._replace(self._open(part))
            if part.after_damage and part.end is not None:
                yield from self._lost_before(part, self._parts[number - 1].end or 0.0)
                self._replace(self._open(part))
        except MediaError as error:
            warnings.warn(f"{self.name}: part {number + 1} of what was joined is left out: {error}", stacklevel=3)
            return
        yield from self._at_our_rate(self._sounds_of(part, 0))

    def _lost_before(self, part: Piece, end: float) -> Iterator[Sound]:
        """Silence between the end of a piece and another one, which is read once to know how long it is."""
        assert part.end is not None
        count = sum(len(sound.samples) for sound in self._at_our_rate(self._sounds_of(part, 0)))
        lost = round((part.end - end) * self.sample_rate) - count
        if lost <= 0 or lost > MAX_LOST * self.sample_rate:
            lost = 0
        warnings.warn(
            f"{self.name}: damaged: a part is lost at {end:.2f} s; {lost / self.sample_rate:.2f} s are silence",
            stacklevel=4,
        )
        yield from silence(lost, self.channels)

    def _sounds_of(self, part: Piece, first: int) -> Iterator[Sound]:
        """Samples of a part; FFmpeg goes on where libsndfile fails, or stops before the length that it has named."""
        source, given = self._source, 0
        assert source is not None
        try:
            for sound in source.sounds(first):
                given += len(sound.samples)
                yield sound
            if isinstance(source, ContainerSource) or not source.lossy or first + given >= (source.length or 0):
                return
        except NotForSndfile:
            pass
        try:
            again = self._open(part, by_ffmpeg=True)
        except MediaError:
            if not given:
                raise
            seconds = (first + given) / self.sample_rate
            warnings.warn(f"{self.name}: damaged: reading stopped after {seconds:.2f} s", stacklevel=2)
            return
        self._replace(again)
        yield from self._at_our_rate(again.sounds((first + given) * again.rate // self.sample_rate))

    def _at_our_rate(self, sounds: Iterator[Sound]) -> Iterator[Sound]:
        """The same at the rate of the first part."""
        assert self._source is not None
        rate = self._source.rate
        if rate == self.sample_rate:
            yield from sounds
            return
        resampler, weights = None, np.ones(1, np.float32)
        for sound in sounds:
            if resampler is None or len(weights) != len(sound.weights):
                if resampler is not None:
                    yield Sound(resampler.resample_chunk(np.zeros((0, len(weights)), np.float32), last=True), weights)
                resampler = soxr.ResampleStream(rate, self.sample_rate, len(sound.weights), dtype="float32")
            weights = sound.weights
            yield Sound(resampler.resample_chunk(sound.samples), weights)
        if resampler is not None:
            yield Sound(resampler.resample_chunk(np.zeros((0, len(weights)), np.float32), last=True), weights)

    def _replace(self, source: ContainerSource | SndfileSource) -> None:
        if self._source is not None:
            self._source.close()
        self._source = source

    def mono_samples(
        self,
        sample_rate: int,
        start: float = 0.0,
        duration: float | None = None,
        channel: int | None = None,
        gain: float = 1.0,
    ) -> Iterator[np.ndarray]:
        """The samples as mono at another rate, as float32 [n]; once only.

        Args:
            sample_rate: wanted, in Hz.
            start, duration: of a part of the recording, in seconds; without them all of it.
            channel: the one to take, from 0 on; None for the mix of all.
            gain: factor for all samples.

        Raises:
            MediaError: if the file is too damaged, ends before `start`, or has no such channel.
        """
        check_channel(self.name, channel, self.channels)
        resampler: Any = None
        if self.sample_rate != sample_rate:
            resampler = soxr.ResampleStream(self.sample_rate, sample_rate, 1, dtype="float32")
        mix = MonoMix(self.name, self.sample_rate, channel, gain, self._source is None or self._source.lossy)
        for block in self._mixed(mix, round(start * self.sample_rate), duration):
            if len(block):
                yield block if resampler is None else resampler.resample_chunk(block)
        if resampler is not None:
            yield resampler.resample_chunk(np.zeros(0, np.float32), last=True)

    def _mixed(self, mix: MonoMix, first: int, duration: float | None) -> Iterator[np.ndarray]:
        left = None if duration is None else round(duration * self.sample_rate)
        for sound in self.sounds(first):
            if left is not None:
                sound = Sound(sound.samples[:left], sound.weights)
                left -= len(sound.samples)
            yield from mix(sound)
            if left == 0:
                break
        yield from mix.finish()

    def peak(self) -> float:
        """The highest sample of the mix to mono; reads all of it.

        Raises:
            MediaError: as `mono`.
        """
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            mix = MonoMix(self.name, self.sample_rate)
            for _ in self._mixed(mix, 0, None):
                pass
        return mix.peak

    def close(self) -> None:
        """Close the file."""
        for thing in (self._source, self._spool):
            if thing is not None:
                thing.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class SampleResampler:
    """Brings a stream of samples, float32 [n], from one rate to another, piece by piece."""

    def __init__(self, sample_rate: int, target: int):
        self._soxr = None
        if sample_rate != target:
            self._soxr = soxr.ResampleStream(sample_rate, target, 1, dtype="float32")

    def __call__(self, x: np.ndarray, last: bool = False) -> np.ndarray:
        """Take samples in, give those that are ready out; `last` brings out the rest."""
        return x if self._soxr is None else self._soxr.resample_chunk(x, last=last)


def clip_samples(
    path: str,
    sample_rate: int,
    start: float,
    duration: float | None,
    channel: int | None,
    track: int | None,
    most: float,
) -> np.ndarray | None:
    """A part of a recording as mono float32 [n], see `SampleReader.mono_samples`; None if it has more than `most`.

    Raises:
        MediaError: if it cannot be read.
    """
    with SampleReader(path, Reading(track)) as reader:
        whole = None if reader.length is None else reader.length / reader.sample_rate - start
        if (duration or whole or 0.0) * sample_rate > most:
            return None
        parts, room = [np.zeros(0, np.float32)], most
        for part in reader.mono_samples(sample_rate, start, duration, channel):
            parts.append(part)
            room -= len(part)
            if room < 0:  # the file is longer than it says
                return None
    return np.concatenate(parts)


def clip_blocks(
    path: str, sample_rate: int, start: float, duration: float | None, channel: int | None, track: int | None
) -> Iterator[np.ndarray]:
    """The same piece by piece, of any length."""
    with SampleReader(path, Reading(track)) as reader:
        yield from reader.mono_samples(sample_rate, start, duration, channel)

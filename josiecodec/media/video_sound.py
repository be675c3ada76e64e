"""The sound of a film on the time line of its pictures: holes are silence, and a clock that drifts is followed."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import MediaError
from .audio_frames import PackedSamples
from .audio_reader import StreamResampler
from .stretch import stretched
from .video_file import Decoder, film_stream, open_film, packets, shown_name

HOLE = 0.05  # seconds that are missing at once which are a hole, filled with silence
OVERLAP = 0.2  # seconds that come twice at once, of which the second time is left out
DRIFT = 0.002  # seconds by which the samples may be ahead of or behind their time stamps before they are stretched
WINDOW = 1.0  # seconds over which that is measured; time stamps are often rounded to milliseconds
MAX_STRETCH = 0.02  # share by which samples are stretched at most


class FilmSound:
    """The sound of a film, open.

    Attributes:
        start: time of its first sample, on the clock of the film.
        sample_rate, channels: of the track, as it begins.
    """

    def __init__(self, path: str | Path, stream: int):
        """Open a track, by its index among all streams of the file.

        Raises:
            MediaError: if it cannot be read, or no sound of it can be decoded.
        """
        self.name = str(path)
        self._container: Any = open_film(path)
        self._stream = self._container.streams[stream]
        self._decoder = Decoder(self._stream)
        self._frames = self._decoded()
        try:
            first = next(self._frames, None)
        except MediaError:
            self.close()
            raise
        if first is None or not first.sample_rate:
            self.close()
            raise MediaError(f"{self.name}: its sound cannot be decoded")
        self.start = first.time if first.pts is not None else 0.0
        self.sample_rate, self.channels = int(first.sample_rate), int(first.layout.nb_channels)
        self._frames = itertools.chain([first], self._frames)

    def mono(self, sample_rate: int) -> Iterator[Tensor]:
        """All of it as mono at a rate, from its start on: float32 tensors [n]. Can be called once.

        Raises:
            MediaError: if it cannot be decoded.
        """
        resampler = StreamResampler(self.sample_rate, sample_rate)
        for block in self._on_time():
            yield resampler(torch.from_numpy(np.nan_to_num(block, nan=0.0, posinf=0.0, neginf=0.0)))
        yield resampler(torch.zeros(0), last=True)
        if self._decoder.damaged:
            warnings.warn(f"{self.name}: {self._decoder.damaged} damaged packets of sound", stacklevel=2)

    def close(self) -> None:
        """Close the file."""
        self._container.close()

    def _decoded(self) -> Iterator[Any]:
        film = film_stream(self._container)
        streams = [self._stream] if film is None else [film, self._stream]
        for packet in packets(self._container, streams):
            if packet.stream.index == self._stream.index:
                yield from self._decoder(packet)

    def _on_time(self) -> Iterator[np.ndarray]:
        """Mono samples at the track's rate, as long as the time stamps say."""
        pack, pace = PackedSamples(self.sample_rate), _Pace(self.sample_rate)
        taken = 0.0  # samples since the start that the frames so far and the silence between them make
        for frame in self._frames:
            length = frame.samples * self.sample_rate / (frame.sample_rate or self.sample_rate)
            late = 0.0  # samples
            if frame.pts is not None and frame.time_base:
                late = (float(frame.pts * frame.time_base) - self.start) * self.sample_rate - taken
            jump = late - pace.late
            if jump > HOLE * self.sample_rate or jump < -OVERLAP * self.sample_rate:
                yield from pace.correct(_mixed(pack.finish()))
                pace.reset()
                if late >= 0:
                    yield from _silence(round(late))
                    taken += round(late)
                else:
                    continue  # it is there already
                late = 0.0
            pace.measure(late, length)
            taken += length + pace.owed()
            yield from pace.correct(_mixed(pack(frame)))
        yield from pace.correct(_mixed(pack.finish()))


class _Pace:
    """Follows how late samples are by their time stamps, and stretches them so that they are not.

    After every second it knows how late that second was on average, and from the one before how much later the samples
    get in a second; the next second is to be late by nothing on average.

    Attributes:
        late: samples by which the last ones were late, on average.
    """

    def __init__(self, sample_rate: int):
        self.sample_rate = sample_rate
        self._trend: float | None = None  # samples that they get later in a second
        self.reset()

    def reset(self) -> None:
        """Forget what was measured."""
        self.late = 0.0
        self._lates: list[float] = []
        self._before: float | None = None
        self._length = self._due = self._owed = 0.0

    def measure(self, late: float, length: float) -> None:
        """Note by how many samples a frame of a length is late."""
        self._lates.append(late)
        self._length += length
        self.late = sum(self._lates) / len(self._lates)
        if self._length < WINDOW * self.sample_rate:
            return
        if self._before is not None:
            seen = self.late - self._before
            self._trend = seen if self._trend is None else (self._trend + seen) / 2
        wanted, most = self.late + (self._trend or 0.0), MAX_STRETCH * self._length
        if max(abs(self.late), abs(wanted)) > DRIFT * self.sample_rate:
            self._owed = float(round(min(max(wanted, -most), most)))
            self._due += self._owed
        self._before = self.late - self._owed
        self._lates, self._length = [], 0.0

    def owed(self) -> float:
        """Samples that have just been decided to be added (or left out, if negative)."""
        owed, self._owed = self._owed, 0.0
        return owed

    def correct(self, blocks: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
        """The blocks, the next ones longer or shorter by what is due."""
        for block in blocks:
            most = int(MAX_STRETCH * len(block))
            change = round(min(max(self._due, -most), most))
            self._due -= change
            yield stretched(block, len(block) + change) if change else block


def _mixed(sounds: Iterator[Any]) -> Iterator[np.ndarray]:
    for sound in sounds:
        if len(sound.samples):
            yield sound.samples @ sound.weights


def _silence(samples: int) -> Iterator[np.ndarray]:
    while samples > 0:
        yield np.zeros(min(samples, 1 << 16), np.float32)
        samples -= 1 << 16


def sound_stream(container: Any, track: int | None = None) -> Any:
    """The track of sound: the one that is flagged as default, else the first; None without any.

    Args:
        container: of a film.
        track: number of the track to be taken, from 0 on.

    Raises:
        MediaError: if there is no such track.
    """
    streams = container.streams.audio
    if track is not None:
        if not 0 <= track < len(streams):
            raise MediaError(
                f"{shown_name(container)}: has {len(streams)} track(s) of sound, none with the number {track}"
            )
        return streams[track]
    return next((s for s in streams if int(s.disposition) & 1), streams[0] if streams else None)

"""The sound of a film on the time line of its pictures: holes are silence, and a clock that drifts is followed."""

from __future__ import annotations

import itertools
import warnings
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import MediaError
from .audio_clock import Clock
from .audio_container import LOSSLESS, default_sound
from .audio_ends import Ends
from .audio_frames import PackedSamples, Sound
from .audio_mix import MonoMix
from .audio_open import Reading, SampleResampler
from .stretch import stretched
from .video_file import Decoder, film_stream, open_film, packets, shown_name

HOLE = 0.05  # seconds that are missing at once which are a hole, filled with silence
OVERLAP = 0.2  # seconds that come twice at once, of which the second time is left out
STEP = 0.015  # seconds by which so many frames have to be off at once, and alike, to be moved at once
AHEAD, AGREED = 5, 0.002  # how many, and within how many seconds
DRIFT = 0.002  # seconds by which the samples may be ahead of or behind their time stamps before they are stretched
CUT, CUT_SHARE = 0.3, 0.01  # seconds, and share of the length, that may be missing at the end without a word
WINDOW = 1.0  # seconds over which that is measured; time stamps are often rounded to milliseconds
MAX_STRETCH = 0.02  # share by which samples are stretched at most


class FilmSound:
    """The sound of a film, open.

    Attributes:
        start: time of its first sample, on the clock of the film.
        sample_rate, channels: of the track, as it begins.
    """

    def __init__(self, path: str | Path, reading: Reading | None = None):
        """Open a track.

        Raises:
            MediaError: if it cannot be read, no sound of it can be decoded, or there is no such track.
        """
        self.name = str(path)
        self._container: Any = open_film(path)
        try:
            self._stream = sound_stream(self._container, None if reading is None else reading.track)
            if self._stream is None:
                raise MediaError(f"{self.name}: no sound in it")
            self._ends = Ends(self._container, self._stream)
            self._decoder = Decoder(self._stream)
            self._frames = self._decoded()
            first = next(self._frames, None)
            if first is None or not first.sample_rate:
                raise MediaError(f"{self.name}: its sound cannot be decoded")
        except BaseException:
            self.close()
            raise
        self.sample_rate, self.channels = int(first.sample_rate), int(first.layout.nb_channels)
        self._lead = self._ends.lead(first)
        self._taken = 0.0  # seconds so far
        self._clock = Clock(self.sample_rate, None, lambda: False)
        self._first = first.time if first.pts is not None else 0.0
        self.start = self._first + self._lead / self.sample_rate
        codec = self._stream.codec_context.name
        self._lossy = not (codec.startswith("pcm") or codec in LOSSLESS)
        self._frames = itertools.chain([first], self._frames)
        count = len(self._container.streams.audio)
        if count > 1 and (reading is None or reading.track is None):
            number = self._container.streams.audio.index(self._stream) + 1
            warnings.warn(
                f"{self.name}: has {count} tracks of audio; number {number} is read; --audio-track takes another",
                stacklevel=3,
            )

    def mono(self, sample_rate: int, gain: float = 1.0) -> Iterator[np.ndarray]:
        """All of it as mono at a rate, from its start on: float32 [n]. Can be called once.

        Args:
            sample_rate: wanted, in Hz.
            gain: factor for all samples.
        """
        resampler, pace = SampleResampler(self.sample_rate, sample_rate), _Pace(self.sample_rate)
        mix = MonoMix(self.name, self.sample_rate, None, gain, self._lossy)
        for sound in self._ends.cut(self._on_time(pace), self._clock):
            for block in mix(self._without_lead(sound)):
                yield resampler(pace.correct(block))
        for block in mix.finish():
            yield resampler(pace.correct(block))
        yield resampler(np.zeros(0, np.float32), last=True)
        whole = self._ends.promised or 0.0
        if whole - self._taken > max(CUT, CUT_SHARE * whole):
            warnings.warn(f"{self.name}: its sound ends after {self._taken:.2f} of {whole:.2f} s", stacklevel=2)
        if self._decoder.damaged:
            warnings.warn(f"{self.name}: damaged packets of sound: {self._decoder.damaged}", stacklevel=2)

    def close(self) -> None:
        """Close the file."""
        self._container.close()

    def _decoded(self) -> Iterator[Any]:
        film = film_stream(self._container)
        streams = [self._stream] if film is None else [film, self._stream]
        for packet in packets(self._container, streams, quiet=True):
            if packet.stream.index != self._stream.index:
                continue
            if packet.pts is not None and not packet.is_discard:
                self._ends.last = max(self._ends.last or 0, packet.pts + (packet.duration or 0))
            yield from self._decoder(packet)

    def _without_lead(self, sound: Sound) -> Sound:
        """Sound without what an encoder needs to begin, as far as the container does not leave it out."""
        skipped = min(self._lead, len(sound.samples))
        self._lead -= skipped
        return Sound(sound.samples[skipped:], sound.weights)

    def _on_time(self, pace: _Pace) -> Iterator[Sound]:
        """Samples at the track's rate, as long as the time stamps say once they are stretched."""
        pack = PackedSamples(self.sample_rate)
        taken = 0.0  # samples since the start that the frames so far and the silence between them make
        skipping = False
        for ahead in _windows(self._frames, AHEAD):
            frame = ahead[0]
            length = frame.samples * self.sample_rate / (frame.sample_rate or self.sample_rate)
            lates = self._lates(ahead, taken)
            late = lates[0] or 0.0
            jump = late - pace.late
            stepped = _is_step([x - pace.late for x in lates if x is not None], self.sample_rate)
            if stepped or jump > HOLE * self.sample_rate or jump < -OVERLAP * self.sample_rate:
                yield from pack.finish()
                pace.reset()
                skipping = late < 0
                if late > 0:
                    yield from _silence(round(late), frame.layout.nb_channels)
                    taken += round(late)
                    late = 0.0
            skipping = skipping and late < -0.5 * length
            if skipping:
                continue  # it is there already
            pace.measure(late, length)
            taken += length + pace.owed()
            self._taken = taken / self.sample_rate
            yield from pack(frame)
        yield from pack.finish()

    def _lates(self, frames: Sequence[Any], taken: float) -> list[float | None]:
        """By how many samples frames are late, one after the other; None where there is no time stamp."""
        lates: list[float | None] = []
        for frame in frames:
            stamped = frame.pts is not None and frame.time_base
            time = float(frame.pts * frame.time_base) if stamped else 0.0
            lates.append((time - self._first) * self.sample_rate - taken if stamped else None)
            taken += frame.samples * self.sample_rate / (frame.sample_rate or self.sample_rate)
        return lates


def _windows(frames: Iterable[Any], size: int) -> Iterator[Sequence[Any]]:
    """Each frame, followed by those after it: `size` together, fewer at the end."""
    window: deque[Any] = deque()
    for frame in frames:
        window.append(frame)
        if len(window) == size:
            yield window
            window.popleft()
    while window:
        yield window
        window.popleft()


def _is_step(off: list[float], rate: int) -> bool:
    """Whether frames are off by the same, at once: a packet is missing, or, where films were joined, one too many."""
    if len(off) < AHEAD or max(off) - min(off) > AGREED * rate:
        return False
    return abs(sum(off) / len(off)) > STEP * rate


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

    def correct(self, block: np.ndarray) -> np.ndarray:
        """A block [n], longer or shorter by as much of what is due as it can be."""
        most = int(MAX_STRETCH * len(block))
        change = round(min(max(self._due, -most), most))
        self._due -= change
        return stretched(block, len(block) + change) if change else block


def _silence(samples: int, channels: int) -> Iterator[Sound]:
    weights = np.full(channels, 1 / channels, np.float32)
    while samples > 0:
        yield Sound(np.zeros((min(samples, 1 << 16), channels), np.float32), weights)
        samples -= 1 << 16


def sound_stream(container: Any, track: int | None = None) -> Any:
    """The track of sound: that of `default_sound`; None without any.

    Args:
        container: of a film.
        track: number of the track to be taken, from 1 on.

    Raises:
        MediaError: if there is no such track.
    """
    streams = [s for s in container.streams.audio if s.codec_context is not None]
    if track is not None:
        if not 1 <= track <= len(streams):
            raise MediaError(
                f"{shown_name(container)}: has {len(streams)} track(s) of audio, none with the number {track}"
            )
        return streams[track - 1]
    return default_sound(streams)

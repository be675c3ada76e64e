"""Sound that FFmpeg decodes, through PyAV: MP3, m4a, mp4, webm, mkv, wma, ... and whatever libsndfile fails on.

What decodes is what is there. Lengths that a file claims only cut off padding, packets that cannot be decoded become
silence, and the clock of the container decides where samples belong.
"""

from __future__ import annotations

import contextlib
import itertools
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..errors import MediaError
from .audio_clock import Clock, stretched
from .audio_ends import Ends
from .audio_frames import MAX_RATE, MIN_RATE, PackedSamples, Sound
from .audio_layout import in_order, kept, layout_of
from .mp4_index import without_index

PREROLL = 2.0  # seconds decoded before a place that is jumped to, in which every codec gets into step
MAX_DAMAGED = 0.1  # of the packets; a file with more is refused unless it is to be salvaged
LOSSLESS = frozenset(["flac", "alac", "wavpack", "tta", "ape", "mlp", "truehd", "shorten", "tak"])
CUT, CUT_SHARE = 0.05, 0.002  # seconds, and share of the length, that may be missing without a word
WHOLE = frozenset(["flac", "mp3", "aac", "tta", "wv", "ape"])  # formats without holes: one is damage
PAD_BYTES = 2  # that follow the last packet in some containers, and are none
TELEPHONE, TELEPHONE_RATE = ("mulaw", "alaw"), 8000  # formats without a header, which FFmpeg reads at 44,100 Hz
RAW = frozenset(f"{form}{order}" for form in ("s16", "u16", "s24", "s32", "f32", "f64") for order in ("le", "be"))
RAW |= {"s8", "u8"}
_SPECIAL = 0x8 | 0x80 | 0x100 | 0x20000  # dispositions: comment, hearing impaired, visual impaired, descriptions
MAX_RETRIES = 100  # reads in a row that fail, of a container that is to be salvaged


class ContainerSource:
    """One track of sound of a media file.

    Attributes:
        rate, channels: of its first frame.
        length: samples per channel as far as the file says, or None.
        begin: time of the first sample on the clock of the file, in seconds.
        tracks: number of tracks of sound in the file.
        track: number of this one, from 1 on.
        lossy: whether samples a little beyond full scale are to be expected.
        stream: of PyAV.

    Args:
        source: path or seekable binary file.
        name: for messages.
        track: number of the track to read, from 1 on; None for that of `default_sound`.
        salvage: read on in a damaged file.
        clock: whether its time stamps say where samples belong; those of a piece of an Ogg file do not.

    Raises:
        MediaError: if it cannot be opened or has no (such) track of sound.
    """

    def __init__(self, source: Any, name: str, track: int | None = None, salvage: bool = False, clock: bool = True):
        import av

        self.name, self.salvage, self._timed = name, salvage, clock
        self.damaged, self.packets = 0, 0  # that could not be decoded, and all
        self.broken = ""  # why reading ended before the end of the file
        self._container: Any = None
        try:
            self._container = av.open(source)
            self._container = self._with_rate(source)
        except (av.FFmpegError, ValueError, OSError) as error:
            why = without_index(source) or f"not an audio file that can be read ({reason(error)})"
            raise MediaError(f"{name}: {why}") from None
        try:
            self.tracks, self.track, self.stream = _choose(self._container, name, track)
            self._open()
        except MediaError:
            self.close()
            raise

    def _with_rate(self, source: Any) -> Any:
        """The container, opened again at the rate of telephones if it holds nothing but their samples.

        Raises:
            ValueError: if it holds nothing but samples of another kind.
        """
        import av

        kind = self._container.format.name
        if kind in RAW:
            raise ValueError(f"samples of the kind {kind} without a header; put them into a WAV file first")
        if kind not in TELEPHONE:
            return self._container
        self._container.close()
        if hasattr(source, "seek"):
            source.seek(0)
        warnings.warn(f"{self.name}: has no header; taken for {TELEPHONE_RATE} Hz, mono", stacklevel=2)
        return av.open(source, format=kind, options={"sample_rate": str(TELEPHONE_RATE)})

    def _open(self) -> None:
        stream = self.stream
        self.ends = Ends(self._container, stream)
        self._decoded = self._frames()
        first = next(self._decoded, None)
        self._begun = [] if first is None else [first]
        if first is not None:  # what the header says of the rate of HE-AAC, say, is another one
            self.rate, self.channels = first.sample_rate, first.layout.nb_channels
            self.layout = in_order(first.layout)
        else:
            self.rate = stream.rate or 0
            self.layout, self.channels = layout_of(stream)
        if not MIN_RATE <= self.rate <= MAX_RATE or self.channels < 1:
            raise MediaError(f"{self.name}: {self.rate} Hz with {self.channels} channels is no audio")
        self._time = None if first is None else first.time
        self._lead = 0 if first is None else self.ends.lead(first)
        self.begin = (self._time or 0.0) + self._lead / self.rate
        self.codec = stream.codec_context.name
        self.lossy = not (self.codec.startswith("pcm") or self.codec in LOSSLESS)
        self.length = None
        if stream.duration and stream.time_base:
            self.length = round(stream.duration * stream.time_base * self.rate)

    def sounds(self, first: int = 0) -> Iterator[Sound]:
        """The samples from `first` on, at `rate`; once only.

        Raises:
            MediaError: if the file is too damaged.
        """
        frames: Iterator[Any] = itertools.chain(self._begun, self._decoded)
        jump = first > 2 * PREROLL * self.rate and self.ends.can_jump and self._time is not None
        if jump:
            frames = self._frames_from(self.begin + first / self.rate - PREROLL)
        clock = Clock(self.rate, self._claimed_end(), lambda: self.damaged > 0, self._time if jump else None)
        clock.only_holes = self.ends.format in WHOLE
        skipped = 0
        for sound in self.ends.cut(self._assembled(frames, clock), clock):
            skip = min(first + self._lead - clock.first - skipped, len(sound.samples))
            skipped += max(skip, 0)
            yield Sound(sound.samples[max(skip, 0) :], sound.weights)
        self._check(clock)

    def _assembled(self, frames: Iterator[Any], clock: Clock) -> Iterator[Sound]:
        """The samples of frames in their places, from the first one on."""
        packed = PackedSamples(self.rate)
        dropped = owed = 0

        def treated(sounds: Iterator[Sound]) -> Iterator[Sound]:
            nonlocal dropped, owed
            for sound in sounds:
                samples, dropped = sound.samples[dropped:], max(dropped - len(sound.samples), 0)
                samples, owed = stretched(samples, owed) if owed else (samples, 0)
                yield Sound(samples, sound.weights)

        for placed in clock.place(frames):
            if placed.gap or placed.drift:
                yield from treated(packed.finish())
                yield from silence(placed.gap, self.channels)
                dropped += max(-placed.gap, 0)
                owed += placed.drift
            yield from treated(packed(placed.frame))
        yield from treated(packed.finish())

    def _frames_from(self, time: float) -> Iterator[Any]:
        """Decoded frames of packets that end after a time."""
        import av

        self.stream.codec_context.flush_buffers()
        with contextlib.suppress(av.FFmpegError):  # else all packets before it are read
            self._container.seek(int(time / self.stream.time_base), stream=self.stream)
        return self._frames(time)

    def _frames(self, after: float | None = None) -> Iterator[Any]:
        """Decoded frames; of packets that end after a time, if one is given."""
        import av

        base = self.stream.time_base
        for packet in self._packets():
            if packet.pts is not None and not packet.is_discard:
                self.ends.last = max(self.ends.last or 0, packet.pts + (packet.duration or 0))
                if after is not None and float((packet.pts + (packet.duration or 0)) * base) < after:
                    continue
            after = None
            self.packets += packet.size > 0
            try:
                frames = [kept(frame) for frame in packet.decode()]
            except av.error.EOFError:
                return
            except (av.FFmpegError, ValueError):
                self.damaged += packet.size > PAD_BYTES
                continue
            for frame in frames:
                if not self._timed:
                    frame.pts = None
                yield frame

    def _packets(self) -> Iterator[Any]:
        import av

        failures = 0
        while True:
            try:
                for packet in self._container.demux(self.stream):
                    failures = 0
                    yield packet
                return
            except (av.FFmpegError, ValueError, OSError) as error:
                failures += 1
                self.broken = reason(error)
                if not self.salvage or failures > MAX_RETRIES:
                    return

    def _claimed_end(self) -> float | None:
        """The last second on its clock by what the file says; None if it says nothing."""
        ends = []
        if self.stream.duration and self.stream.time_base:
            ends.append(float((self.stream.duration + (self.stream.start_time or 0)) * self.stream.time_base))
        if self._container.duration:
            ends.append((self._container.duration + (self._container.start_time or 0)) / 1e6)
        return max(ends, default=None)

    def _check(self, clock: Clock) -> None:
        """Say what is lost, or refuse what is too damaged."""
        lost = []
        if self.damaged:
            lost.append(f"{self.damaged} of {self.packets} packets could not be decoded")
        if self.broken:
            lost.append(f"reading stopped after {clock.position / self.rate:.2f} s ({self.broken})")
        whole = (self.ends.promised or 0.0) if self._timed else 0.0
        missing = whole - clock.position / self.rate
        if missing > max(CUT, CUT_SHARE * whole):
            lost.append(f"{missing:.2f} of {whole:.2f} s are missing at its end")
        if not lost and not (clock.filled and self.ends.format in WHOLE):
            return
        if clock.filled:
            lost.append(f"{clock.filled / self.rate:.2f} s that are missing are silence")
        text = "; ".join(lost)
        if not clock.position:
            raise MediaError(f"{self.name}: damaged audio file: {text}")
        if not self.salvage and (self.broken or self.damaged > MAX_DAMAGED * self.packets + 1):
            raise MediaError(f"{self.name}: damaged audio file: {text}; what is left can be salvaged (--salvage)")
        warnings.warn(f"{self.name}: damaged: {text}", stacklevel=2)

    def close(self) -> None:
        """Close the file."""
        if self._container is not None:
            self._container.close()


def _choose(container: Any, name: str, track: int | None) -> tuple[int, int, Any]:
    """How many tracks of sound there are, the number of the one to read, and the track."""
    streams = [stream for stream in container.streams.audio if stream.codec_context is not None]
    if not container.streams.audio:
        raise MediaError(f"{name}: no audio in it")
    if not streams:
        raise MediaError(f"{name}: its audio is of a kind that cannot be decoded")
    if track is not None:
        if not 1 <= track <= len(streams):
            raise MediaError(f"{name}: has {len(streams)} track(s) of audio, none with the number {track}")
        return len(streams), track, streams[track - 1]
    stream = default_sound(streams)
    return len(streams), streams.index(stream) + 1, stream


def default_sound(streams: list[Any]) -> Any:
    """The track of sound that players take: the first that is flagged as default, else the first; commentaries,
    descriptions and tracks for people who see or hear badly only where there are no others. None of none."""
    plain = [s for s in streams if not int(s.disposition.value) & _SPECIAL] or streams
    return next((s for s in plain if is_default(s)), plain[0] if plain else None)


def is_default(stream: Any) -> bool:
    """Whether a file flags a track as the one to be played by default."""
    return bool(int(stream.disposition.value) & 1)


def silence(samples: int, channels: int) -> Iterator[Sound]:
    """So many samples of silence."""
    weights = np.full(channels, 1 / channels, np.float32)
    while samples > 0:
        piece = min(samples, 1 << 16)
        samples -= piece
        yield Sound(np.zeros((piece, channels), np.float32), weights)


def reason(error: BaseException) -> str:
    """What an error of a library says, in one line, without FFmpeg's number and the name of the file."""
    text = str(getattr(error, "strerror", None) or error).strip().splitlines()
    return text[-1] if text else type(error).__name__

"""Where the pictures of a video come from: a film, or an animation; with their times, before they are put on a grid."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import MediaError
from .image_open import frame_count, opened
from .mp4_index import without_index
from .video_animation import animation_frames
from .video_color import Colors, colors_of, on_white, to_rgb
from .video_crop import crop_of, cut, dolby_vision
from .video_file import Decoder, film_count, film_stream, open_film, packets, without_delay
from .video_frames import Deinterlacer, Stamps, StorageOrder, orientation, square_size, turned
from .video_rate import believable, choose_rate
from .video_sound import sound_stream

CLAIMED_STILL = 10.0  # seconds that a last picture without a length of its own stays, if the file claims to go on
DOLBY_AV1 = 10  # profile of Dolby Vision for AV1, which has such colours if nothing else can be seen of it
WITHOUT_BASE = (4, 5)  # profiles of Dolby Vision whose pictures are in no colours that other players know
_INVISIBLE_VP8 = 0x10  # bit of the first byte of a packet that is not set if its picture is not shown


@dataclass(frozen=True)
class Picture:
    """A picture and when it is shown.

    Attributes:
        time: on the clock of the film, in seconds; None if the file does not say.
        duration: in seconds; 0 if the file does not say.
        pixels: uint8 [H, W, 3], upright.
    """

    time: float | None
    duration: float
    pixels: np.ndarray


@dataclass(frozen=True)
class Times:
    """When the pictures of a film are shown, found without decoding them.

    Attributes:
        pictures: in seconds, sorted.
        last_duration: of the last of them; 0 if the file does not say.
    """

    pictures: list[float]
    last_duration: float


# Of a day, the longest hole that is believed, and of a film of months (`bitstream/picture_times.py`).
FINEST_TICK = Fraction(1, 10_000_000)


def clock_tick(base: Fraction | None) -> Fraction:
    """The tick of a clock in seconds: its own, or, if that is none that can be stored, 1/90000."""
    if base and FINEST_TICK <= base <= 1 and max(base.numerator, base.denominator) < 1 << 31:
        return Fraction(base)
    return Fraction(1, 90000)


class Film:
    """The pictures of a film.

    Attributes:
        sound: index of its track of sound among all streams; None without any.
        sound_end, picture_end: when sound and pictures end, by the packets that have been read.
        damaged: number of packets and pictures that were not whole.
        colors: of the first picture; None before it is decoded.
        interlaced: whether there were interlaced frames.
        orientation: how the last picture was brought upright.
        coded_size: height and width of the first picture as it is stored.
        crop: what of that is not shown.
        form: pixel format of the first picture, as FFmpeg names it.
        decoded: number of pictures so far.
    """

    def __init__(self, path: str | Path, audio_track: int | None = None):
        """Open a file; `audio_track` counts from 1 on.

        Raises:
            MediaError: if it cannot be opened or holds no video.
        """
        self.name = str(path)
        self.container: Any = open_film(path)
        try:
            stream = film_stream(self.container)
        except MediaError:
            self.close()
            raise
        if stream is None:
            self.close()
            raise MediaError(f"{path}: {without_index(path) or 'no video in it'}")
        self.stream: Any = stream
        count = film_count(self.container)
        if count > 1:
            warnings.warn(
                f"{self.name}: has {count} tracks of pictures; number {stream.index} of all is read", stacklevel=3
            )
        self.stream.thread_type = "AUTO"
        try:
            track = sound_stream(self.container, audio_track)
        except MediaError:
            self.close()
            raise
        self.sound: int | None = None if track is None else track.index
        if track is None and self.container.streams.audio:
            warnings.warn(f"{self.name}: its sound is of a kind that cannot be decoded; it is left out", stacklevel=3)
        self._streams = [stream] if track is None else [stream, track]
        self._decoder = Decoder(stream)
        self.crop = crop_of(path, self.container, stream)
        profile, shown = dolby_vision(path, self.container, stream) or (0, 0)
        if profile in WITHOUT_BASE or (profile == DOLBY_AV1 and not shown):
            warnings.warn(
                f"{self.name}: Dolby Vision of a profile whose colours mean nothing without metadata that are not "
                "read: they come out wrong; convert it to HDR10 or SDR first",
                stacklevel=3,
            )
        self.sound_end: float | None = None
        self.picture_end: float | None = None
        self.colors: Colors | None = None
        self.orientation = (False, False, False)
        self.coded_size = (0, 0)
        self.form, self.decoded = "", 0
        self._deinterlacer = Deinterlacer()
        self._order = StorageOrder() if self.container.format.name == "avi" else None
        self._stamps = Stamps()
        self._size: tuple[int, int] | None = None
        self._warned: set[str] = set()

    @property
    def damaged(self) -> int:
        return self._decoder.damaged

    @property
    def interlaced(self) -> bool:
        return self._deinterlacer.used

    def pictures(self) -> Iterator[Picture]:
        """The pictures in order; all have the size of the first one. Can be called once."""
        for packet in without_delay(self.container, self.stream, packets(self.container, self._streams)):
            film = packet.stream.index == self.stream.index
            stamp = packet.dts if film and self._order else packet.pts
            if stamp is not None and packet.time_base and not packet.is_discard:
                end = float((stamp + (packet.duration or 0)) * packet.time_base)
                if film:
                    self.picture_end = max(self.picture_end or end, end)
                else:
                    self.sound_end = max(self.sound_end or end, end)
            if not film:
                continue
            for frame in self._frames(packet):
                for whole in self._deinterlacer(frame):
                    yield self._picture(whole)
        for frame in self._deinterlacer.finish():
            yield self._picture(frame)

    def _frames(self, packet: Any) -> Iterator[Any]:
        """Decoded frames of a packet."""
        if self._order is None:
            yield from self._decoder(packet)
            return
        missing = self._decoder.missing
        if packet.size:
            self._order.packet(packet.dts)
        for frame in self._decoder(packet):
            frame.pts = self._order(frame)
            yield frame
        if self._decoder.missing > missing:
            self._order.lost()

    def _picture(self, frame: Any) -> Picture:
        upright = orientation(frame)
        self.decoded += 1
        size = square_size(frame.height, frame.width, self.aspect())
        if self._size is None:
            self._size, self.coded_size, self.orientation = size, (frame.height, frame.width), upright
            self.colors, self.form = colors_of(frame, self.stream.codec_context.name), frame.format.name
        elif size != self._size or upright != self.orientation:
            self._warn("the pictures change their size, they are scaled to that of the first")
            if upright[0] != self.orientation[0] and size != self._size[::-1]:
                self._warn("the pictures change their orientation")
        wanted = self._size if upright[0] == self.orientation[0] else self._size[::-1]
        pixels, opacity = to_rgb(frame, wanted, colors_of(frame, self.stream.codec_context.name))
        if opacity is not None and opacity.min(initial=255) < 255:
            self._warn("transparency is put on white")
            pixels = on_white(pixels, opacity)
        pixels = cut(pixels, self.crop, self.coded_size)
        base = frame.time_base
        stamp = self._stamps(frame)
        time = float(stamp * base) if stamp is not None and base else None
        duration = float(frame.duration * base) if frame.duration and base else 0.0
        return Picture(time, duration, turned(pixels, upright))

    def aspect(self) -> Fraction | None:
        """Width to height of a pixel as it is stored; None if the file does not say."""
        aspect = self.stream.sample_aspect_ratio or self.stream.codec_context.sample_aspect_ratio
        return Fraction(aspect) if aspect else None

    def _warn(self, text: str) -> None:
        if text not in self._warned:
            self._warned.add(text)
            warnings.warn(f"{self.name}: {text}", stacklevel=2)

    def claimed_end(self) -> float | None:
        """When the film ends by its header, in seconds."""
        if not self.container.duration:
            return None
        return ((self.container.start_time or 0) + self.container.duration) / 1e6

    def even_rate(self) -> Fraction | None:
        """The rate, if the file's table of samples shows that it is even; None if the times have to be looked at."""
        average, guessed, base = self.stream.average_rate, self.stream.guessed_rate, self.stream.base_rate
        if not self.container.format.name.startswith("mov") or not (average and guessed and base):
            return None
        even = abs(average / guessed - 1) < 1e-4 and abs(base / guessed - 1) < 1e-4
        return Fraction(guessed).limit_denominator(100_000) if even and believable(guessed) else None

    def rate(self, times: Times) -> Fraction:
        """The rate of the even grid that the pictures are put on."""
        named = [self.stream.guessed_rate, self.stream.base_rate, self.stream.average_rate]
        return self.even_rate() or choose_rate(times.pictures, named)

    def times(self, most: int | None = None) -> Times:
        """When the pictures are shown: by the packets of the whole file, without decoding them.

        Args:
            most: pictures that are enough.
        """
        found: list[float] = []
        last, duration = -1e18, 0.0
        vp8 = self.stream.codec_context.name == "vp8"
        with open_film(self.name) as container, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # told when the pictures are read
            every = packets(container, [container.streams[s.index] for s in self._streams])
            for packet in without_delay(container, self.stream, every):
                stamp = packet.dts if packet.pts is None or self._order else packet.pts
                if packet.stream.index != self.stream.index or stamp is None or packet.is_discard or not packet.size:
                    continue
                if vp8 and not bytes(memoryview(packet)[:1])[0] & _INVISIBLE_VP8:
                    continue
                time = float(stamp * packet.time_base)
                found.append(time)
                if time > last:
                    last, duration = time, float((packet.duration or 0) * packet.time_base)
                if len(found) == most:
                    break
        return Times(sorted(found), duration)

    @property
    def tick(self) -> Fraction:
        """Of the clock that the pictures' times are on, in seconds."""
        return clock_tick(self.stream.time_base)

    def close(self) -> None:
        """Close the file."""
        self.container.close()


class Animation:
    """The pictures of an animated image; the same methods as those of a film."""

    sound: int | None = None
    sound_end: float | None = None
    picture_end: float | None = None
    damaged = 0
    interlaced = False
    colors: Colors | None = None
    orientation = (False, False, False)
    tick = Fraction(1, 1000)

    def __init__(self, path: str | Path):
        """Open a file.

        Raises:
            MediaError: if it cannot be read.
        """
        self.name = str(path)
        with opened(path) as image:
            self.coded_size = image.height, image.width
            self.count = frame_count(image)

    def pictures(self) -> Iterator[Picture]:
        """The pictures in order. Can be called again."""
        for time, duration, pixels in animation_frames(self.name):
            yield Picture(time, duration, pixels)

    def times(self, most: int | None = None) -> Times:
        """When the pictures are shown."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = [(picture.time or 0.0, picture.duration) for picture in self.pictures()]
        return Times([time for time, _ in found], found[-1][1] if found else 0.0)

    def rate(self, times: Times) -> Fraction:
        """The rate of the even grid that the pictures are put on."""
        if len(times.pictures) == 1:
            return Fraction(1 / times.last_duration).limit_denominator(1000)
        return choose_rate(times.pictures, [])

    def claimed_end(self) -> float | None:
        """None: every picture says how long it is shown."""
        return None

    def even_rate(self) -> Fraction | None:
        """None: the times have to be looked at."""
        return None

    def close(self) -> None:
        """Nothing is open."""

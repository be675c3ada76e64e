"""Reading videos as upright sRGB pictures at an even rate, with their sound on the same time line."""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import MediaError
from .audio_reader import Reading
from .image_open import HEAD, is_animation, opened
from .signatures import is_image_start, is_raw_mjpeg
from .video_clock import MAX_HOLE
from .video_file import VIDEO_SUFFIXES, holds_video, open_film
from .video_rate import MAX_RATE, MIN_RATE, is_even, next_slot, phase
from .video_sound import FilmSound
from .video_source import CLAIMED_STILL, Animation, Film, Picture, Times

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["VIDEO_SUFFIXES", "VideoReader", "has_sound", "holds_video", "load_video", "picture_size"]

PRIMING = 0.025  # seconds of sound before the first picture that are left out: what an encoder needs to begin
EVEN_ENOUGH = 40  # pictures at the beginning of an even film that show where its grid stands
HOLD = 0.5  # seconds by which sound has to outlast the pictures for the last of them to be kept until it ends


class VideoReader:
    """An open video file that gives its pictures in order, and its sound.

    Pictures whose times lie unevenly are put on an even grid that has room for all of them: a picture stays until the
    next one comes, the first also while there is only sound, and the last as long as the file says. The contract is
    in docs/media.md.

    Attributes:
        rate: pictures per second.
        size: height and width of the upright pictures, in square pixels.
        expected: number of pictures as far as the file says, or None.
        audio_offset: seconds by which the sound starts after the first picture that `pictures` gives (before it, if
            negative), or None without sound.
        sound: the track of sound, open; None without any.
        lead: how often the first picture is repeated because sound comes before it.
        tick: of a film whose times are kept, of their clock in seconds; None if its pictures come at an even rate.
    """

    def __init__(self, path: str | Path, reading: Reading | None = None, keep_times: bool = False):
        """Open a file.

        Args:
            path: of a film or an animated image.
            reading: how sound is read: which track.
            keep_times: do not put uneven pictures on a grid: `timed` gives each once, with its duration, and `rate` is
                the mean. `tick` says whether that is so; pictures at an even rate are as ever.

        Raises:
            MediaError: if it cannot be opened or holds no video, or no such track.
        """
        self.name = str(path)
        if not Path(path).is_file():
            raise MediaError(f"{path}: no such file")
        self._reading, self._keep_times = reading, keep_times
        self.tick: Fraction | None = None
        track = None if reading is None else reading.track
        self.source: Film | Animation = Animation(path) if _animated(path) else Film(path, track)
        self.sound: FilmSound | None = None
        try:
            self._open()
        except BaseException:
            self.close()
            raise

    def _open(self) -> None:
        pictures = self.source.pictures()
        first = next(pictures, None)
        if first is None:
            raise MediaError(f"{self.name}: damaged video, no picture of it can be decoded")
        even = self.source.even_rate()
        times = self.source.times(EVEN_ENOUGH if even else None)
        self.rate = even or self.source.rate(times)
        self.size = first.pixels.shape[0], first.pixels.shape[1]
        begin = first.time if first.time is not None else times.pictures[0] if times.pictures else 0.0
        self._begin = begin + (phase(times.pictures, self.rate) / float(self.rate) if times.pictures else 0.0)
        if self._keep_times and not even and self._uneven(times):
            self.tick, self._begin = self.source.tick, begin
            seconds = times.pictures[-1] + (times.last_duration or float(1 / self.rate)) - times.pictures[0]
            mean = Fraction(len(times.pictures) / seconds).limit_denominator(1_000_000)
            self.rate = min(max(mean, MIN_RATE), MAX_RATE)
        self._pictures = itertools.chain([first], pictures)
        self.lead = self._lead_ticks = 0
        self.audio_offset: float | None = None
        if self.source.sound is not None:
            self._open_sound()
        self.expected = self._length(Times([], 0.0) if even else times)

    def _uneven(self, times: Times) -> bool:
        """Whether pictures have times of their own, each a later one, that no even rate gives."""
        ticks = [round(time / self.source.tick) for time in times.pictures]
        rising = all(a < b for a, b in itertools.pairwise(ticks))
        return len(ticks) > 1 and rising and not is_even(times.pictures, self.rate)

    def _open_sound(self) -> None:
        try:
            self.sound = FilmSound(self.name, self._reading)
        except MediaError as error:
            warnings.warn(f"{error}; it is left out", stacklevel=5)
            return
        early = self._begin - self.sound.start
        if abs(early) > MAX_HOLE:
            warnings.warn(f"{self.name}: sound and pictures have clocks of their own, both begin at once", stacklevel=5)
            early = 0.0
        if self.tick is not None:
            self._lead_ticks = max(round(early / self.tick), 0) if early > PRIMING else 0
            self.audio_offset = float(self._lead_ticks * self.tick) - early
            return
        if early > PRIMING:
            self.lead = math.ceil(early * self.rate - 1e-3)
        self.audio_offset = float(self.lead / self.rate) - early

    def pictures(self) -> Iterator[Tensor]:
        """The pictures from the first on: float32 [3, H, W] in [0, 1]. Can be called once.

        What is damaged is left out as long as there is anything else, with a warning at the end that says how much.
        """
        for picture in self.arrays():
            yield _as_tensor(picture)

    def arrays(self) -> Iterator[np.ndarray]:
        """The same pictures as arrays."""
        return map(_as_floats, self.bytes())

    def bytes(self) -> Iterator[np.ndarray]:
        """The same pictures as uint8 [H, W, 3]."""
        rate, last, count, left_out = float(self.rate), 0, 1, 0
        shown = next(self._pictures)
        for _ in range(self.lead):
            yield shown.pixels
        time = self._begin
        for picture in self._pictures:
            count += 1
            place = last + 1.0 if picture.time is None else (picture.time - self._begin) * rate
            slot = next_slot(place, last)
            if slot is None:
                left_out += 1
                continue
            for _ in range(slot - last):
                yield shown.pixels
            shown, last = picture, slot
            time = self._begin + place / rate
        for _ in range(max(round((self._end(shown, time) - self._begin) * rate) - last, 1)):
            yield shown.pixels
        if left_out:
            warnings.warn(
                f"{self.name}: {left_out} of {count} pictures left out, at {float(self.rate):g}/s there is no place "
                "for them",
                stacklevel=2,
            )
        self._warn_of_damage()

    def timed(self) -> Iterator[tuple[Tensor, int]]:
        """The pictures, float32 [3, H, W] in [0, 1], and how long each is shown, in ticks, of a film with a `tick`.

        The first is shown at 0. Can be called once, in place of `pictures`.
        """
        for picture, ticks in self.timed_arrays():
            yield _as_tensor(picture), ticks

    def timed_arrays(self) -> Iterator[tuple[np.ndarray, int]]:
        """The same with arrays."""
        assert self.tick is not None
        tick, count, left_out = self.tick, 1, 0
        shown, begin = next(self._pictures), 0
        time = self._begin
        for picture in self._pictures:
            count += 1
            at = begin + 1 / (self.rate * tick) if picture.time is None else (picture.time - self._begin) / tick
            ticks = self._lead_ticks + round(at) if picture.time is not None else round(at)
            if ticks <= begin or (ticks - begin) * tick > MAX_HOLE:
                left_out += 1
                continue
            yield _as_floats(shown.pixels), ticks - begin
            shown, begin, time = picture, ticks, self._begin + float((ticks - self._lead_ticks) * tick)
        end = self._lead_ticks + round((self._end(shown, time) - self._begin) / tick)
        yield _as_floats(shown.pixels), max(end - begin, 1)
        if left_out:
            text = f"{self.name}: {left_out} of {count} pictures left out, which have no time of their own"
            warnings.warn(text, stacklevel=2)
        self._warn_of_damage()

    def _warn_of_damage(self) -> None:
        if self.source.damaged:
            warnings.warn(f"{self.name}: damaged pictures, or packets of them: {self.source.damaged}", stacklevel=3)

    def _end(self, last: Picture, time: float) -> float:
        """Until when the last picture is shown."""
        end = time + min(last.duration or float(1 / self.rate), MAX_HOLE)
        if self.source.picture_end is not None and 0 < self.source.picture_end - end < MAX_HOLE:
            end = self.source.picture_end  # pictures that are damaged, or the same once more
        if not self.source.damaged and not last.duration:
            claimed = self.source.claimed_end()
            if claimed is not None and end < claimed < end + CLAIMED_STILL:
                end = claimed
        if self.source.sound_end is not None and HOLD < self.source.sound_end - end < MAX_HOLE:
            end = self.source.sound_end
        return end

    def _length(self, times: Times) -> int | None:
        if times.pictures:
            seconds = times.pictures[-1] + (times.last_duration or float(1 / self.rate)) - times.pictures[0]
            return max(round(seconds * self.rate), 1) + self.lead
        if isinstance(self.source, Film) and self.source.stream.frames:
            return int(self.source.stream.frames) + self.lead
        return None

    def close(self) -> None:
        """Close the file."""
        self.source.close()
        if self.sound is not None:
            self.sound.close()

    def __enter__(self) -> VideoReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _as_floats(picture: np.ndarray) -> np.ndarray:
    """uint8 [H, W, 3] as float32 [3, H, W] in [0, 1]."""
    return np.divide(picture.transpose(2, 0, 1), np.float32(255), dtype=np.float32)


def _as_tensor(picture: np.ndarray) -> Tensor:
    import torch

    return torch.from_numpy(picture)


def load_video(path: str | Path) -> tuple[Tensor, Fraction]:
    """A whole video [3, T, H, W] in [0, 1], and its pictures per second.

    Raises:
        MediaError: if it cannot be read.
    """
    import torch

    with VideoReader(path) as reader:
        return torch.stack(list(reader.pictures()), 1), reader.rate


def picture_size(path: str | Path) -> tuple[int, int]:
    """Height and width of the upright pictures of a video.

    Raises:
        MediaError: if it cannot be read.
    """
    source: Film | Animation = Animation(path) if _animated(path) else Film(path, None)
    try:
        first = next(source.pictures(), None)
    finally:
        source.close()
    if first is None:
        raise MediaError(f"{path}: damaged video, no picture of it can be decoded")
    return first.pixels.shape[0], first.pixels.shape[1]


def has_sound(path: str | Path) -> bool:
    """Whether a video has a track of sound.

    Raises:
        MediaError: if it cannot be opened.
    """
    if _animated(path):
        return False
    with open_film(path) as container:
        return bool(container.streams.audio)


def _animated(path: str | Path) -> bool:
    """Whether a file is an animated image."""
    with open(path, "rb") as file:
        head = file.read(HEAD)
    if not is_image_start(head) or is_raw_mjpeg(Path(path).suffix.lower(), head):
        return False
    with opened(path) as image:
        if not is_animation(image):
            raise MediaError(f"{path}: a picture, no video")
        return True

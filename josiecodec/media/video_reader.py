"""Reading video files through PyAV, as upright pictures at an even rate."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import MediaError

VIDEO_SUFFIXES = frozenset([".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".ogv", ".flv"])
MIN_RATE, MAX_RATE = Fraction(1, 3600), Fraction(240)  # pictures per second that are believed
MAX_GAP = 10.0  # seconds without a picture; a longer gap is taken for a clock that was reset


def holds_video(path: str | Path) -> bool:
    """Whether a file holds video (and not just, for example, a song with its cover).

    Raises:
        MediaError: if it is no media file at all.
    """
    import av

    try:
        with av.open(str(path)) as container:
            return _stream(container) is not None
    except (av.FFmpegError, ValueError, OSError) as error:
        raise MediaError(f"{path}: not a media file that can be read ({_reason(error)})") from None


class VideoReader:
    """An open video file that gives its pictures in order.

    Pictures whose times lie unevenly are put on an even grid: shown again where one is missing, left out where two
    fall together.

    Attributes:
        rate: pictures per second.
        size: height and width of the upright pictures.
        expected: number of pictures as far as the file says, or None.
        audio_offset: seconds by which the audio starts after the first picture, or None without audio.
    """

    def __init__(self, path: str | Path):
        """Open a file.

        Raises:
            MediaError: if it cannot be opened or holds no video.
        """
        import av

        self.name = str(path)
        if not Path(path).is_file():
            raise MediaError(f"{path}: no such file")
        try:
            self._container: Any = av.open(self.name)
        except (av.FFmpegError, ValueError, OSError) as error:
            raise MediaError(f"{path}: not a video that can be read ({_reason(error)})") from None
        self._stream = _stream(self._container)
        if self._stream is None:
            self.close()
            raise MediaError(f"{path}: no video in it")
        self._stream.thread_type = "AUTO"
        pictures = self._decoded()
        try:
            begin = list(itertools.islice(pictures, 12))
        except MediaError:
            self.close()
            raise
        if not begin:
            self.close()
            raise MediaError(f"{path}: no picture in it")
        self.rate = self._rate([time for time, _ in begin])
        self._pictures = itertools.chain(begin, pictures)
        time, picture = begin[0]
        self.size = picture.shape[0], picture.shape[1]
        self.expected = self._length()
        self.audio_offset = None
        if self._container.streams.audio:
            audio = self._container.streams.audio[0]
            start = float((audio.start_time or 0) * audio.time_base) if audio.time_base else 0.0
            self.audio_offset = start - (time or 0.0)

    def pictures(self) -> Iterator[Tensor]:
        """The pictures from the first on: float32 [3, H, W] in [0, 1].

        Raises:
            MediaError: if the file turns out to be damaged.
        """
        start, shown = next(self._pictures)
        slot = 0  # of `shown` on the even grid
        for time, picture in self._pictures:
            target = slot + 1
            if time is not None:
                start = time - target / float(self.rate) if start is None else start
                target = round((time - start) * float(self.rate))
                if abs(target - slot) > MAX_GAP * float(self.rate):
                    target = slot + 1
                    start = time - target / float(self.rate)
            while slot < target:  # `shown` stays on the screen until now
                yield _floating(shown)
                slot += 1
            if picture.shape[:2] != self.size:
                raise MediaError(f"{self.name}: the pictures change their size")
            shown = picture
        yield _floating(shown)

    def close(self) -> None:
        """Close the file."""
        self._container.close()

    def __enter__(self) -> VideoReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _decoded(self) -> Iterator[tuple[float | None, np.ndarray]]:
        """(time, uint8 [H, W, 3]) of the pictures as they come."""
        import av

        try:
            for frame in self._container.decode(self._stream):
                pixels = frame.to_ndarray(format="rgb24")
                turns = round(getattr(frame, "rotation", 0) / 90) % 4
                yield frame.time, np.ascontiguousarray(np.rot90(pixels, turns)) if turns else pixels
        except (av.FFmpegError, ValueError, OSError) as error:
            raise MediaError(f"{self.name}: damaged video ({_reason(error)})") from None

    def _rate(self, times: list[float | None]) -> Fraction:
        """The rate that the file names, if it can be believed; else that of its first pictures."""
        for rate in (self._stream.average_rate, self._stream.guessed_rate, self._stream.base_rate):
            if rate and MIN_RATE <= rate <= MAX_RATE:
                return Fraction(rate).limit_denominator(100_000)
        steps = sorted(b - a for a, b in itertools.pairwise(t for t in times if t is not None) if b > a)
        step = steps[len(steps) // 2] if steps else 0.04
        return min(max(Fraction(1 / step).limit_denominator(1001), MIN_RATE), MAX_RATE)

    def _length(self) -> int | None:
        if self._stream.frames:
            return int(self._stream.frames)
        if self._stream.duration and self._stream.time_base:
            return round(float(self._stream.duration * self._stream.time_base) * float(self.rate))
        if self._container.duration:
            return round(self._container.duration / 1e6 * float(self.rate))
        return None


def load_video(path: str | Path) -> tuple[Tensor, Fraction]:
    """A whole video [3, T, H, W] in [0, 1], and its pictures per second.

    Raises:
        MediaError: if it cannot be read.
    """
    with VideoReader(path) as reader:
        return torch.stack(list(reader.pictures()), 1), reader.rate


def _stream(container: Any) -> Any:
    """The first stream of video."""
    for stream in container.streams.video:
        if not int(getattr(stream, "disposition", 0)) & 0x400:  # a cover is an "attached picture"
            return stream
    return None


def _floating(picture: np.ndarray) -> Tensor:
    return torch.from_numpy(picture).permute(2, 0, 1).float() / 255


def _reason(error: BaseException) -> str:
    text = str(error).strip().splitlines()
    return text[-1] if text else type(error).__name__

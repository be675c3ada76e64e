"""A piece of a video: decoding that begins at the key picture before it, and reads no more than it needs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from ..bitstream.container import TokenReader
from ..bitstream.motion_payload import MotionRows
from ..errors import FormatError
from .stretch import MAX_SECONDS, PastTheEnd, Stretch
from .video_decoder import VideoCodec, VideoDecoder
from .video_times import ShownTimes, picture_at, tick_of, time_of

ROUNDING = 1e-4  # seconds that a picture has to last to be one more of a piece


class VideoPiece:
    """Pictures of a piece of a video.

    Args:
        codec: the model that made it.
        reader: of the file, seekable; `TokenReader.blocks` cannot be used any more.
        stream: index of the stream of pictures.
        stretch: what is wanted.
        n_q: use at most so many levels.
        salvage: make do with what is whole.

    Attributes:
        info: header of the stream.
        first, last: pictures of the piece, the last one (infinity for no end) not included.

    Raises:
        PastTheEnd: if it begins behind the end.
        FormatError: if the file is damaged (and not to be salvaged), or holds an image.
        ModelError: if another model made it.
    """

    def __init__(
        self,
        codec: VideoCodec,
        reader: TokenReader,
        stream: int,
        stretch: Stretch,
        n_q: int | None = None,
        salvage: bool = False,
    ):
        self.reader, self.stream, self.salvage = reader, stream, salvage
        self.info = codec.check_stream(reader.streams[stream])
        if not self.info.rate:
            raise FormatError("an image, not a video")
        self.index = reader.index()
        if self.info.length is None:
            self.info = replace(self.info, length=self.index.units(stream) // self.info.rows)
        self._wanted_stretch = stretch
        # Any block says whether pictures have times; damage is told when it is decoded.
        known = next(reader.blocks_at(self.index.places(stream, 0, float("inf")), salvage=True), None)
        self.times = ShownTimes(self.info, tick_of(known), salvage)
        self.first, self.last = self._bounds(stretch)
        self.decoder = VideoDecoder(codec, self.info, n_q, salvage, self.first)

    def _bounds(self, stretch: Stretch) -> tuple[int, float]:
        """The first picture, and the one behind the last."""
        if self.times.tick is None:
            return stretch.pictures(self.info)
        first = picture_at(self.reader, self.stream, stretch.start)
        if first >= (self.info.length or 0):
            end = float(time_of(self.reader, self.stream, first))
            raise PastTheEnd(f"the video ends after {end:.2f} s, before {stretch.start:g} s")
        if stretch.seconds is None:
            return first, float("inf")
        end = stretch.start + stretch.seconds
        last = picture_at(self.reader, self.stream, end)
        behind = last < (self.info.length or 0) and float(time_of(self.reader, self.stream, last)) < end - ROUNDING
        return first, max(last + behind, first + 1)

    @property
    def stretch(self) -> Stretch:
        """What the pictures of the piece take, for the sound that goes with them."""
        if self.times.tick is not None:
            return self._wanted_stretch
        last = int(min(self.last, self.info.length or self.last))
        return Stretch(float(self.first / self.info.rate), float((last - self.first) / self.info.rate))

    def timed(self) -> Iterator[tuple[np.ndarray, int]]:
        """The pictures in order, and how long each is shown within the piece, in ticks of `times`."""
        tick, wanted = self.times.tick, self._wanted_stretch
        at = None if tick is None else round(time_of(self.reader, self.stream, self.first) / tick)
        begin, end = (0, 0) if tick is None else (round(wanted.start / tick), round(_end(wanted) / tick))
        for picture in self.pictures():
            duration = self.times.duration(self.decoder.shown - 1)
            if at is not None:
                at, shown = at + duration, at
                duration = max(min(at, end) - max(shown, begin), 1)
            yield picture, duration

    def pictures(self) -> Iterator[np.ndarray]:
        """The pictures in order, [3, H, W] in [0, 1]."""
        begin = entry(self.reader, self.stream, self.first) if self.first else 0
        places = self.index.places(self.stream, begin, float("inf"))
        for block in self.reader.blocks_at(places, self.salvage):
            self.times.push(block)
            yield from self._wanted(self.decoder.push(block))
            if self.decoder.shown >= self.last:
                return
        yield from self._wanted(self.decoder.finish())

    def _wanted(self, pictures: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
        for picture in pictures:
            if self.first < self.decoder.shown <= self.last:  # it has been counted
                yield picture


def _end(stretch: Stretch) -> float:
    return MAX_SECONDS if stretch.seconds is None else stretch.start + stretch.seconds


def entry(reader: TokenReader, stream: int, first: int) -> int:
    """The row at which to begin: of the last block up to picture `first` that begins with a key picture, else 0."""
    info = reader.streams[stream]
    rows = getattr(info, "rows", 1)
    places = reader.index().back_from(stream, first * rows)
    for block in reader.blocks_at(places, salvage=True):  # damage is told when it is decoded
        if not isinstance(block.codes, MotionRows):
            return 0
        if block.codes.pictures[0].key:
            return block.first
    return 0

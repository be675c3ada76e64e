"""Pieces of films cut out of `.josie` files without decoding: whole pictures from a key picture on, and their sound.

The sound can begin only with a whole frame, which is heard up to 80 ms before the key picture: the first picture is
shown for so much longer, and all that follows is in step, to half a millisecond.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np

from ..bitstream.container import Block, TokenReader, TokenWriter
from ..bitstream.cut import Cut, cut_blocks
from ..bitstream.header import AudioInfo, StreamInfo, VisionInfo, by_model, find_stream
from ..bitstream.motion_payload import MotionRows
from ..bitstream.picture_times import PictureTimes
from ..entropy.tables_file import Tables
from ..errors import CodecError, FormatError
from .stretch import PastTheEnd, Stretch
from .video_piece import entry
from .video_times import picture_at, tick_of, time_of

FINEST = Fraction(1, 2000)  # of a second, that times are rounded to at most


@dataclass(frozen=True)
class FilmCut:
    """What of a film was kept.

    Attributes:
        start: seconds, where it begins in the original.
        seconds: how long it is.
        pictures: of it.
        shortened: whether levels of the sound were left out that are relative to what came before.
    """

    start: float
    seconds: float
    pictures: int
    shortened: bool = False


def cut_film(
    source: str | Path,
    target: str | Path,
    start: float = 0.0,
    seconds: float | None = None,
    tables: Tables | None = None,
    base: Callable[[AudioInfo], int] | None = None,
) -> FilmCut:
    """Copy a piece of a video with motion, and its sound: from the key picture on that is shown then or before.

    It ends up to half a second later than asked for, for pictures are predicted from later ones as well.

    Args:
        source, target: paths.
        start, seconds: what is wanted; None for all that follows.
        tables: entropy tables by fingerprint, for models that did not come with the package.
        base: says how many levels of a stream of sound mean something without what comes before; None if all do.

    Raises:
        CodecError: if there is no such piece, or the file holds no video with motion.
        FormatError: if the file is damaged.
    """
    with TokenReader(source, tables) as reader:
        film = _Film(reader, Stretch(start, seconds))
        streams, sound, begin = film.header(base)
        with TokenWriter(target, streams, tables) as writer:
            blocks = film.sound(sound)
            waiting = next(blocks, None)
            for rows, until in film.pictures(begin):
                writer.add_pictures(film.stream, rows)
                while waiting is not None and waiting[0] < until:
                    block = waiting[1]
                    if block.mark is not None:
                        writer.mark(block.stream, block.first, block.mark)
                    writer.add(block.stream, np.asarray(block.codes))
                    waiting = next(blocks, None)
            writer.close([info.length or 0 for info in streams])
        return FilmCut(float(begin), float(film.end - begin), film.count, sound is not None and sound.shortened)


class _Film:
    """A piece of a file, found by its index.

    Attributes:
        stream: of the pictures.
        begin, end: in seconds, of the pictures that are kept.
    """

    def __init__(self, reader: TokenReader, wanted: Stretch):
        self.reader = reader
        self.stream = find_stream(reader.streams, "vision")
        info = reader.streams[self.stream]
        index = reader.index()
        if reader.problems:
            raise FormatError(reader.problems[0])
        first = next(reader.blocks_at(index.places(self.stream, 0, math.inf)), None)
        if not isinstance(info, VisionInfo) or first is None or not isinstance(first.codes, MotionRows):
            raise CodecError("pieces can be cut out of sound and of videos with motion alone; decode gives others")
        self.info, self.tick = info, tick_of(first)
        self.length = index.units(self.stream) // info.rows
        at, end = self._picture(wanted.start), wanted.seconds and wanted.start + wanted.seconds
        if at >= self.length:
            total = float(self._time(self.length))
            raise PastTheEnd(f"the video ends after {total:.2f} s, before {wanted.start:g} s")
        last = self.length if end is None else min(self._last(end), self.length)
        self.first = entry(reader, self.stream, at) // info.rows
        self._last_wanted = max(last, at + 1)
        self.count = sum(len(rows.pictures) for rows in self._blocks())
        self.begin, self.end = self._time(self.first), self._time(self.first + self.count)

    def _picture(self, seconds: float) -> int:
        """The picture that is shown then."""
        if self.tick is None:
            return math.floor(seconds * self.info.rate + 1e-6)
        return picture_at(self.reader, self.stream, seconds)

    def _last(self, seconds: float) -> int:
        """The picture behind the last that is shown before."""
        picture = self._picture(seconds)
        return picture + (float(self._time(picture)) < seconds - 1e-4)

    def _time(self, picture: int) -> Fraction:
        """When a picture is shown."""
        return picture / self.info.rate if self.tick is None else time_of(self.reader, self.stream, picture)

    def _blocks(self) -> Iterator[MotionRows]:
        """The blocks that are kept, up to one behind which all pictures are there that are shown before its end."""
        rows, reached, most = self.info.rows, 0, -1
        places = self.reader.index().places(self.stream, self.first * rows, math.inf)
        for block in self.reader.blocks_at(places):
            if not isinstance(block.codes, MotionRows) or block.first != (self.first + reached) * rows:
                raise FormatError(f"picture {self.first + reached} is missing")
            whole = most == reached - 1
            if reached and whole and self.first + reached >= self._last_wanted:
                return
            payloads = block.codes.pictures
            most = max(most, *(reached + n + p.head.later for n, p in enumerate(payloads)))
            reached += len(payloads)
            yield block.codes

    def header(self, base: Callable[[AudioInfo], int] | None) -> tuple[list[StreamInfo], Cut | None, Fraction]:
        """The streams of the piece, what is kept of the sound, and when the piece begins."""
        streams: list[StreamInfo] = [
            replace(info, length=self.count) if n == self.stream else info for n, info in enumerate(self.reader.streams)
        ]
        places = [n for n, info in enumerate(streams) if isinstance(info, AudioInfo)]
        if not places:
            return streams, None, self.begin
        sound = streams[places[0]]
        assert isinstance(sound, AudioInfo)
        frame = Fraction(sound.frame_size, sound.sample_rate)
        first = math.floor(self.begin / frame + Fraction(1, 1000))
        begin = first * sound.frame_size
        known = self.reader.index().units(places[0]) * sound.frame_size if sound.length is None else sound.length
        length = max(min(round(self.end * sound.sample_rate), known) - begin, 0)
        shortened = False
        for n in places:
            info = streams[n]
            assert isinstance(info, AudioInfo)
            kept = min(info.levels, base(info)) if base and first and by_model(info) else info.levels
            shortened = shortened or kept < info.levels
            streams[n] = replace(info, levels=kept, length=length)
        rate = sound.sample_rate
        cut = Cut(first, length, float(first * frame), length / rate, streams, shortened)
        return streams, cut, min(first * frame, self.begin)

    def sound(self, cut: Cut | None) -> Iterator[tuple[float, Block]]:
        """Blocks of sound, and when each begins in the piece."""
        if cut is None:
            return
        for block in cut_blocks(self.reader, cut):
            info = cut.streams[block.stream]
            assert isinstance(info, AudioInfo)
            yield block.first * info.frame_size / info.sample_rate, block

    def pictures(self, begin: Fraction) -> Iterator[tuple[MotionRows, float]]:
        """Pictures with the times that they have in a piece that begins then, and until when they last there."""
        usual, early = self.tick or 1 / self.info.rate, self.begin - begin
        parts = math.ceil(usual / FINEST) if early else 1
        tick, at = usual / parts, 0
        for rows in self._blocks():
            if (rows.times and rows.times.tick) != self.tick:
                raise FormatError("a video whose pictures have times in part")
            known = rows.times.durations if rows.times else [1] * len(rows.pictures)
            durations = [d * parts for d in known]
            if not at:
                durations[0] += round(early / tick)
            times = PictureTimes(tick, at, tuple(durations))
            at = times.end
            yield replace(rows, times=times if early or self.tick else None), float(at * tick)

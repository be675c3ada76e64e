"""When the pictures of a video are shown: of an even one by its number, of others by the times that its file holds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from fractions import Fraction

from ..bitstream.container import Block, TokenReader
from ..bitstream.header import VisionInfo
from ..bitstream.motion_payload import MotionRows
from ..bitstream.picture_times import PictureTimes
from ..errors import FormatError


class TimesOfPictures:
    """Durations of pictures on their way into a file, put to the pictures of an encoder.

    Args:
        tick: of their clock, in seconds.
    """

    def __init__(self, tick: Fraction):
        self.tick, self.reached = tick, 0  # in ticks, of pictures that have come
        self._waiting = PictureTimes(tick, 0, ())

    @property
    def seconds(self) -> float:
        """When the pictures so far end."""
        return float(self.reached * self.tick)

    def add(self, duration: int) -> float:
        """Take a duration in ticks; the same in seconds."""
        self._waiting = replace(self._waiting, durations=(*self._waiting.durations, duration))
        self.reached += duration
        return float(duration * self.tick)

    def put(self, parts: Iterable[MotionRows]) -> list[MotionRows]:
        """Pictures that were coded, with their times."""
        out = []
        for part in parts:
            count = len(part.pictures)
            out.append(replace(part, times=self._waiting.part(0, count)))
            self._waiting = self._waiting.part(count, len(self._waiting.durations))
        return out


class ShownTimes:
    """Durations of pictures on their way out of a file.

    Args:
        info: header of the stream.
        tick: of the clock, in seconds; None if pictures come at an even rate.
        salvage: pictures whose times are lost share the time up to the next whose time is known, or last as long as
            the mean; else they are an error.
    """

    def __init__(self, info: VisionInfo, tick: Fraction | None, salvage: bool = False):
        self.info, self.tick, self.salvage = info, tick, salvage
        self._known: dict[int, tuple[int, int]] = {}  # when a picture is shown, and for how long
        self._reached = 0, 0  # the picture that comes next, and when it is shown

    def push(self, block: Block) -> None:
        """Take the times of a block.

        Raises:
            FormatError: if it has none among blocks that have, or the other way round.
        """
        times = block.codes.times if isinstance(block.codes, MotionRows) else None
        if (None if times is None else times.tick) != self.tick:
            if not self.salvage:
                raise FormatError("a video whose pictures have times in part")
            return
        if times is not None:
            first = block.first // self.info.rows
            self._known.update(enumerate(zip(times.starts, times.durations, strict=True), first))

    def duration(self, picture: int) -> int:
        """How long a picture is shown, in ticks (1 if they come at an even rate). Asked once, in order.

        Raises:
            FormatError: if the file does not say.
        """
        if self.tick is None:
            return 1
        found = self._known.pop(picture, None)
        if found is None:
            if not self.salvage:
                raise FormatError(f"the time of picture {picture} is missing")
            found = self._guessed(picture, self.tick)
        self._reached = picture + 1, sum(found)
        return found[1]

    def _guessed(self, picture: int, tick: Fraction) -> tuple[int, int]:
        """When a picture is shown whose time is lost, and for how long."""
        number, at = self._reached
        after = min(self._known, default=picture)
        if number == picture < after and self._known[after][0] > at:
            return at, max(1, (self._known[after][0] - at) // (after - picture))
        return at, max(1, round(1 / (self.info.rate * tick)))


def tick_of(block: Block | None) -> Fraction | None:
    """The tick of the clock of a video, by one of its blocks; None if its pictures come at an even rate."""
    codes = None if block is None else block.codes
    return codes.times.tick if isinstance(codes, MotionRows) and codes.times is not None else None


def picture_at(reader: TokenReader, stream: int, seconds: float) -> int:
    """Which picture of a video with times is shown then, or is the first of those that are lost there.

    A few blocks are looked at, by bisection. Damaged ones are passed by: that is told when they are decoded.
    """
    info = reader.streams[stream]
    assert isinstance(info, VisionInfo)
    index, low = reader.index(), 0
    high = index.units(stream)
    while low < high:
        middle = (low + high) // 2
        block = next(reader.blocks_at(index.places(stream, middle, high), salvage=True), None)
        times = block.codes.times if block is not None and isinstance(block.codes, MotionRows) else None
        if block is None or times is None:  # nothing is known from here on
            high = middle
            continue
        at = seconds / times.tick + Fraction(1, 1000)  # what was rounded in writing it down
        if at < times.first:
            if block.first <= low:
                return block.first // info.rows
            high = block.first
        elif at >= times.end:
            low = block.first + block.units
        else:
            inside = max(n for n, start in enumerate(times.starts) if start <= at)
            return block.first // info.rows + inside
    return low // info.rows


def time_of(reader: TokenReader, stream: int, picture: int) -> Fraction:
    """When a picture of a video with times is shown, in seconds; behind the last, when that ends.

    Of one whose block is damaged that is a guess: pictures of the mean duration follow on the whole block before.
    """
    info = reader.streams[stream]
    assert isinstance(info, VisionInfo)
    index = reader.index()
    pictures = index.units(stream) // info.rows
    picture = min(picture, pictures)
    places = index.back_from(stream, max(min(picture, pictures - 1), 0) * info.rows)
    for block in reader.blocks_at(places, salvage=True):
        times = block.codes.times if isinstance(block.codes, MotionRows) else None
        if times is not None:
            ends = [*times.starts, times.end]
            inside = picture - block.first // info.rows
            known = min(inside, len(ends) - 1)
            return ends[known] * times.tick + (inside - known) / info.rate
    return picture / info.rate


def first_block(blocks: Iterator[Block], stream: int) -> tuple[Block | None, list[Block]]:
    """The first block of a stream, and all blocks up to it."""
    taken = []
    for block in blocks:
        taken.append(block)
        if block.stream == stream:
            return block, taken
    return None, taken

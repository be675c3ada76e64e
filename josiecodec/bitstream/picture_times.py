"""When the pictures of a video are shown that come at no even rate: whole ticks of a clock, as in the original."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from ..errors import FormatError
from .varint import get_varint, put_varint

MAX_TICKS = 1 << 47  # of a time
MAX_DURATION = 1 << 40
MAX_BASE = (1 << 31) - 1  # of the numerator and denominator of a tick
MAX_BYTES = 9  # that a duration takes at most, and each number before them


@dataclass(frozen=True)
class PictureTimes:
    """Times of pictures that are shown one after the other.

    Attributes:
        tick: in seconds.
        first: when the first picture is shown, in ticks.
        durations: of each picture, in ticks, at least one each.
    """

    tick: Fraction
    first: int
    durations: tuple[int, ...]

    @property
    def end(self) -> int:
        """When the last picture ends, in ticks."""
        return self.first + sum(self.durations)

    @property
    def starts(self) -> list[int]:
        """When each is shown, in ticks."""
        return [*itertools.accumulate(self.durations[:-1], initial=self.first)] if self.durations else []

    def part(self, begin: int, end: int) -> PictureTimes:
        """Those of pictures `begin` up to (not with) `end`."""
        return PictureTimes(self.tick, self.first + sum(self.durations[:begin]), self.durations[begin:end])

    @classmethod
    def joined(cls, parts: Sequence[PictureTimes]) -> PictureTimes:
        """One or more, each after the one before.

        Raises:
            FormatError: if they do not follow.
        """
        for part, after in itertools.pairwise(parts):
            if after.tick != part.tick or after.first != part.end:
                raise FormatError("times of pictures that do not follow each other")
        return cls(parts[0].tick, parts[0].first, tuple(itertools.chain.from_iterable(p.durations for p in parts)))

    def to_bytes(self) -> bytes:
        """As they stand before the pictures of a block: durations as differences to the one in the middle."""
        usual = sorted(self.durations)[len(self.durations) // 2]
        numbers = [self.tick.numerator, self.tick.denominator, self.first, usual]
        numbers += [2 * (d - usual) if d >= usual else 2 * (usual - d) - 1 for d in self.durations]
        return b"".join(map(put_varint, numbers))

    @classmethod
    def from_bytes(cls, data: bytes, count: int) -> tuple[PictureTimes, int]:
        """The inverse of `to_bytes` for so many pictures, and the place behind them.

        Raises:
            FormatError: if they are not in order.
        """
        at, head = 0, []
        for most in (MAX_BASE, MAX_BASE, MAX_TICKS, MAX_DURATION):
            number, at = get_varint(data, at, most)
            head.append(number)
        if 0 in head[:2]:
            raise FormatError("a clock that does not tick")
        durations = []
        for _ in range(count):
            number, at = get_varint(data, at, 2 * MAX_DURATION)
            durations.append(head[3] + (-(number + 1 >> 1) if number & 1 else number >> 1))
        if min(durations) < 1 or head[2] + sum(durations) > MAX_TICKS:
            raise FormatError("a picture that is not shown")
        return cls(Fraction(head[0], head[1]), head[2], tuple(durations)), at

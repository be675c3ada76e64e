"""A stretch of a recording or video: which pictures and samples are wanted."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from ..bitstream.header import VisionInfo
from ..errors import CodecError

MAX_SECONDS = 1e9  # that a recording or video lasts


class PastTheEnd(CodecError):
    """A stretch that begins behind the end."""


@dataclass(frozen=True)
class Stretch:
    """What of a recording or video is wanted.

    Attributes:
        start: seconds from its beginning.
        seconds: how long; None for all that follows.
    """

    start: float = 0.0
    seconds: float | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.start < math.inf or not (self.seconds is None or 0 < self.seconds < math.inf):
            raise CodecError("a stretch begins at 0 s or later, and lasts for more than 0 s")
        object.__setattr__(self, "start", min(self.start, MAX_SECONDS))  # more has no number of samples
        if self.seconds is not None:
            object.__setattr__(self, "seconds", min(self.seconds, MAX_SECONDS))

    @property
    def whole(self) -> bool:
        """Whether that is all of it."""
        return not self.start and self.seconds is None

    def pictures(self, info: VisionInfo) -> tuple[int, float]:
        """The first picture, and the one behind the last (infinity for no end).

        Raises:
            PastTheEnd: if it begins behind the end.
        """
        first = math.floor(self.start * info.rate + 1e-6)  # the one that is shown at that time
        if info.length is not None and first >= info.length:
            raise PastTheEnd(f"the video ends after {float(info.length / info.rate):.2f} s, before {self.start:g} s")
        return first, math.inf if self.seconds is None else first + max(1, round(self.seconds * info.rate))

    def samples(self, sample_rate: int) -> tuple[int, float]:
        """The first sample, and the one behind the last (infinity for no end)."""
        first = round(self.start * sample_rate)
        return first, math.inf if self.seconds is None else first + max(1, round(self.seconds * sample_rate))


def seekable(source: str | Path | bytes | IO[bytes]) -> str | Path | bytes | IO[bytes]:
    """A source of which pieces can be read; what cannot be is read whole."""
    if isinstance(source, (str, Path, bytes)) or source.seekable():
        return source
    return source.read()

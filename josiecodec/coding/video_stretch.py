"""A stretch of a video: where decoding begins, and which pictures and samples are kept."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from torch import Tensor

from ..bitstream.container import TokenReader
from ..bitstream.header import VisionInfo
from ..bitstream.motion_payload import MotionRows
from ..errors import CodecError


@dataclass(frozen=True)
class Stretch:
    """What of a video is wanted.

    Attributes:
        start: seconds from its beginning.
        seconds: how long; None for all that follows.
    """

    start: float = 0.0
    seconds: float | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.start < math.inf or not (self.seconds is None or 0 < self.seconds < math.inf):
            raise CodecError("a stretch begins at 0 s or later, and lasts for more than 0 s")

    @property
    def whole(self) -> bool:
        """Whether that is all of it."""
        return not self.start and self.seconds is None

    def pictures(self, info: VisionInfo) -> tuple[int, float]:
        """The first picture, and the one behind the last (infinity for no end).

        Raises:
            CodecError: if it begins behind the end.
        """
        first = math.ceil(self.start * info.rate - 1e-6)
        if info.length is not None and first >= info.length:
            raise CodecError(f"the video ends after {float(info.length / info.rate):.2f} s, before {self.start:g} s")
        return first, math.inf if self.seconds is None else first + max(1, round(self.seconds * info.rate))

    def kept(self, parts: Iterator[Tensor], at: int, sample_rate: int) -> Iterator[Tensor]:
        """Of parts [..., T] of sound that begins with sample `at`, what lies in the stretch."""
        first = round(self.start * sample_rate)
        last = math.inf if self.seconds is None else first + round(self.seconds * sample_rate)
        for part in parts:
            begin, end = max(first - at, 0), min(part.shape[-1], last - at)
            at += part.shape[-1]
            if end > begin:
                yield part[..., begin : int(end)]


def entry(source: str | Path | bytes | IO[bytes], stream: int, first: int, salvage: bool) -> int:
    """The row at which to begin: of the last block up to picture `first` that begins with a key picture, else 0.

    No codes are decoded for it.

    Raises:
        FormatError: if the file is damaged (and not to be salvaged).
    """
    row = 0
    with TokenReader(source, codes=False) as reader:
        for block in reader.blocks(salvage):
            if block.stream != stream:
                continue
            if not isinstance(block.codes, MotionRows) or block.first // block.codes.rows > first:
                break
            if block.codes.pictures[0].key:
                row = block.first
    return row

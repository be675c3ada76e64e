"""Marks in a stream of audio: what a decoder has counted from the beginning on, so that it can begin there."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from ..errors import FormatError

MARK_BYTES = 5
MAX_MARKED_LEVELS = 64


@dataclass(frozen=True)
class Mark:
    """Where the decoder of an audio stream is before a frame.

    Attributes:
        levels: how many levels the base was decoded from; with fewer the phase is another.
        phase: of the pulse train after the frame before, in turns / 2^32.
    """

    levels: int
    phase: int

    def to_bytes(self) -> bytes:
        """As it stands at the beginning of a payload."""
        return struct.pack("<BI", self.levels, self.phase)

    @classmethod
    def from_bytes(cls, data: bytes) -> Mark:
        """The inverse of `to_bytes`.

        Raises:
            FormatError: if it is cut off, or of a number of levels that no stream has.
        """
        if len(data) != MARK_BYTES:
            raise FormatError("a mark is cut off")
        levels, phase = struct.unpack("<BI", data)
        if not 1 <= levels <= MAX_MARKED_LEVELS:
            raise FormatError(f"a mark of {levels} levels")
        return cls(levels, phase)

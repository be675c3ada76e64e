"""Ranges of bytes of a file that are read as a file of their own."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any


@dataclass(frozen=True)
class Piece:
    """One of the recordings in a file, or what lies between two places of one where it is damaged.

    Attributes:
        ranges: of bytes, one after the other.
        end: where it ends on the clock of its recording, in seconds; None where nobody needs to know.
        after_damage: whether it goes on with the recording of the piece before.
        in_chunks: whether the ranges behind the first are further chunks of samples of a WAV.
    """

    ranges: tuple[tuple[int, int], ...]
    end: float | None = None
    after_damage: bool = False
    in_chunks: bool = False

    @property
    def start(self) -> int:
        """Its first byte."""
        return self.ranges[0][0]


class Part(io.RawIOBase):
    """Ranges of bytes of a file, as a file of its own.

    Args:
        source: path, or a seekable binary file (which is not closed with this).
        ranges: (start, end), in order; None for the whole file.
    """

    def __init__(self, source: str | Path | IO[bytes], ranges: Sequence[tuple[int, int]] | None = None):
        super().__init__()
        self._owned = isinstance(source, (str, Path))
        self._file: Any = open(source, "rb") if isinstance(source, (str, Path)) else source
        self._ranges = [(0, self._file.seek(0, os.SEEK_END))] if ranges is None else list(ranges)
        self._size = sum(end - start for start, end in self._ranges)
        self._at = 0

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Yes."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """As of any file."""
        base = (0, self._at, self._size)[whence]
        self._at = max(base + offset, 0)
        return self._at

    def tell(self) -> int:
        """As of any file."""
        return self._at

    def readinto(self, buffer: Any) -> int:
        """As of any file; never more than to the end of a range."""
        before = 0
        for start, end in self._ranges:
            if self._at < before + end - start:
                place = start + self._at - before
                self._file.seek(place)
                data = self._file.read(min(len(buffer), end - place))
                buffer[: len(data)] = data
                self._at += len(data)
                return len(data)
            before += end - start
        return 0

    def close(self) -> None:
        """Close the file, if it was opened here."""
        if not self.closed and self._owned:
            self._file.close()
        super().close()

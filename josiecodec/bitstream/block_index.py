"""Where the blocks of a file are: its end record read from behind, so that any of them can be read alone."""

from __future__ import annotations

import io
import struct
import zlib
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from typing import IO, NamedTuple

from ..errors import FormatError
from .end_record import END_MAGIC, END_START
from .varint import get_varint

LEAST_BLOCK = 10  # bytes that a block takes at least
_TAIL = 8  # bytes of the size of the record, and its magic
_AROUND = 4096  # bytes that are read at once from the end: the whole record of most files


class Place(NamedTuple):
    """Of one block.

    Attributes:
        position: of its first byte in the file.
        stream: its index in the header.
        first, units: its first frame or row, and how many.
        size: bytes of the whole block.
    """

    position: int
    stream: int
    first: int
    units: int
    size: int


class _Run(NamedTuple):
    """So many blocks of the same stream, size and number of units, one after the other."""

    place: Place
    blocks: int


class BlockIndex:
    """The blocks of a file in the order of the file; runs of blocks that are alike take the room of one.

    Args:
        runs: in the order of the file; those of one stream in the order of their units.
    """

    def __init__(self, runs: list[_Run]):
        self._streams: dict[int, list[_Run]] = {}
        for run in runs:
            self._streams.setdefault(run.place.stream, []).append(run)
        self._firsts = {stream: [run.place.first for run in own] for stream, own in self._streams.items()}

    @classmethod
    def of(cls, places: Iterable[Place]) -> BlockIndex:
        """The index of blocks that were found one by one; of a stream those that do not go on are left out."""
        runs: list[_Run] = []
        reached: dict[int, int] = {}
        for place in places:
            if place.first >= reached.get(place.stream, 0):
                runs.append(_Run(place, 1))
                reached[place.stream] = place.first + place.units
        return cls(runs)

    def units(self, stream: int) -> int:
        """The unit behind the last block of a stream; 0 if it has none."""
        own = self._streams.get(stream)
        return own[-1].place.first + own[-1].blocks * own[-1].place.units if own else 0

    def places(self, stream: int, first: int, last: float) -> Iterator[Place]:
        """The blocks of a stream that hold units `first` up to (not with) `last`, in order."""
        own, firsts = self._streams.get(stream, []), self._firsts.get(stream, [])
        for run in own[max(bisect_right(firsts, first) - 1, 0) :]:
            place = run.place
            for n in range(max((first - place.first) // place.units, 0), run.blocks):
                begin = place.first + n * place.units
                if begin >= last:
                    return
                if begin + place.units > first:
                    yield place._replace(position=place.position + n * place.size, first=begin)

    def back_from(self, stream: int, unit: int) -> Iterator[Place]:
        """The blocks of a stream from the one that holds a unit on, backwards."""
        own, firsts = self._streams.get(stream, []), self._firsts.get(stream, [])
        for run in reversed(own[: bisect_right(firsts, unit)]):
            place = run.place
            for n in reversed(range(min((unit - place.first) // place.units + 1, run.blocks))):
                yield place._replace(position=place.position + n * place.size, first=place.first + n * place.units)


def read_index(file: IO[bytes], header: int, streams: int) -> BlockIndex | None:
    """The index of a seekable file by its end record; None if it has none that agrees with the size of the file.

    Args:
        file: anywhere.
        header: bytes of the header.
        streams: how many the header names.
    """
    size = file.seek(0, io.SEEK_END)
    tail = _read(file, max(size - _AROUND, header), size)
    if len(tail) < _TAIL or tail[-4:] != END_MAGIC:
        return None
    length = struct.unpack("<I", tail[-_TAIL:-4])[0]
    if not _TAIL + 4 < length <= size - header:
        return None
    record = tail[-length:] if length <= len(tail) else _read(file, size - length, size)
    body = record[: -_TAIL - 4]
    if record[0] != END_START or struct.unpack("<I", record[-_TAIL - 4 : -_TAIL])[0] != zlib.crc32(body):
        return None
    try:
        return BlockIndex(_runs(body, header, size - length, streams))
    except (FormatError, IndexError):
        return None


def _read(file: IO[bytes], begin: int, end: int) -> bytes:
    file.seek(begin)
    return file.read(end - begin)


def _runs(body: bytes, position: int, end: int, streams: int) -> list[_Run]:
    """The runs of a record, whose blocks fill the file from `position` to `end`.

    Raises:
        FormatError: if they do not.
    """
    count, at = get_varint(body, 1, len(body))
    reached = [0] * streams
    runs = []
    for _ in range(count):
        blocks, at = get_varint(body, at, end)
        stream, at = body[at], at + 1
        units, at = get_varint(body, at, end << 10)
        size, at = get_varint(body, at, end)
        if stream >= streams or not blocks or not units or size < LEAST_BLOCK or position + blocks * size > end:
            raise FormatError("an end record that cannot be")
        runs.append(_Run(Place(position, stream, reached[stream], units, size), blocks))
        reached[stream] += blocks * units
        position += blocks * size
    if at != len(body) or position != end:
        raise FormatError("the end record does not agree with the file")
    return runs

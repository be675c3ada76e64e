"""Reading and writing `.josie` files block by block, in bounded memory.

    header | block | block | ... | end record

A block is some eight seconds of audio, or a part of a picture, with its own checksum, so that a file that was cut
off, or damaged in places, still gives every whole block. Layout in docs/format.md.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from ..entropy.code_tables import check_density, decode_frames
from ..entropy.tables_file import Tables
from ..errors import FormatError
from .alpha_payload import MAX_ALPHA, unpack_alpha
from .bitpacking import packed_size, unpack
from .block_index import BlockIndex, Place, read_index
from .end_record import END_START, end_record
from .header import MAX_HEADER, MAX_PATCHES, AlphaInfo, VisionInfo, read_header
from .marks import MARK_BYTES, Mark
from .model_tables import tables_for
from .motion_payload import MotionRows, may_move
from .patch_payload import MAX_BLOCK_UNITS, PatchRows
from .payload_codings import CODINGS, FIXED_LENGTH, MOVING, UNMARKED, WITH_TABLES, unpack_patches
from .varint import get_varint
from .writer import BLOCK_FRAMES, BLOCK_START, MAX_PAYLOAD, TokenWriter

__all__ = ["BLOCK_FRAMES", "MAX_PAYLOAD", "Block", "TokenReader", "TokenWriter"]

CUT_OFF = "the file is cut off: its end record is missing"
_MAX_SEARCH = 1 << 31  # bytes of checksums at which the search for the next whole block is given up
_MAX_BLOCK = 32 + MAX_PAYLOAD  # bytes that a block can take


@dataclass(frozen=True)
class Block:
    """A stretch of one stream.

    Attributes:
        stream: its index in the header.
        first: index of its first unit: frame (audio) or row of patches (vision).
        units: how many of them.
        codes: uint16 [frames, levels] (audio), `PatchRows` (vision), `MotionRows` (pictures of a video with motion),
            or uint8 [rows, width] (alpha); from a reader that leaves codes out, range-coded ones are all zeros.
        size, coding: bytes of the payload and how it is coded, of a block that was read.
        mark: of a block of audio, where the decoder is before its first frame, if the file says so.
    """

    stream: int
    first: int
    units: int
    codes: np.ndarray | PatchRows | MotionRows
    size: int = 0
    coding: int | None = None
    mark: Mark | None = None


class TokenReader:
    """Reads a `.josie` file from its beginning.

    Args:
        source: a path, bytes, or a binary file.
        tables: entropy tables by fingerprint, for models that did not come with the package.
        codes: False leaves out codes that would need tables.

    Attributes:
        streams: what the header says.
        problems: what is wrong with the blocks, as far as they were read (see `blocks`).

    Raises:
        FormatError: if it cannot be opened or its header is not in order.
    """

    def __init__(self, source: str | Path | bytes | IO[bytes], tables: Tables | None = None, codes: bool = True):
        self.tables, self.codes = tables, codes
        self._own = isinstance(source, (str, Path))
        if isinstance(source, bytes):
            self.file: IO[bytes] = io.BytesIO(source)
        elif isinstance(source, (str, Path)):
            try:
                self.file = open(source, "rb")
            except OSError as error:
                raise FormatError(f"{source}: cannot be read ({error.strerror})") from None
        else:
            self.file = source
        self.problems: list[str] = []
        try:
            head = self.file.read(MAX_HEADER)
            self.streams, size = read_header(head)
        except FormatError:
            self.close()
            raise
        self._buffer = head
        self._at = size  # where in the buffer the reader stands
        self._start = 0  # of the buffer in the file
        self._begin = 0  # in the file, of the block that came last
        self._checked = 0  # bytes whose checksum was computed
        self._header = size
        self._index: BlockIndex | None = None

    def blocks(self, salvage: bool = False) -> Iterator[Block]:
        """All blocks in the order of the file. Can be run through once.

        Args:
            salvage: go on behind damage, and accept a missing end, noting both in `problems`.

        Raises:
            FormatError: on the first damage, unless `salvage`.
        """
        sizes: list[tuple[int, int, int]] = []
        while True:
            if not self._fill(_MAX_BLOCK):
                self._report(CUT_OFF, salvage)
                return
            try:
                if self._buffer[self._at] == END_START:
                    self._check_end(sizes)
                    if self._fill(1):
                        self._report("there is something behind the end record", salvage)
                    return
                block, end = self._parse()
            except FormatError as error:
                self._report(f"at byte {self._start + self._at}: {error}", salvage)
                if not self._resynchronise():
                    return
                continue
            sizes.append((block.stream, block.units, end - self._at))
            self._begin, self._at = self._start + self._at, end
            yield block

    def index(self) -> BlockIndex:
        """Where every block is: by the end record, or, if there is none, by going through the file.

        The latter is noted in `problems`, with what is damaged, which matters only to those who want it.

        Raises:
            FormatError: if the file is not seekable.
        """
        if self._index is None:
            if not self.file.seekable():
                raise FormatError("a file that cannot be read from any place has no use for an index")
            self._index = read_index(self.file, self._header, len(self.streams)) or self._found_index()
        return self._index

    def blocks_at(self, places: Iterable[Place], salvage: bool = False) -> Iterator[Block]:
        """The blocks at some places of the index, each read when its turn comes.

        Raises:
            FormatError: if one is damaged, or another than the index says; with `salvage` it is left out, and noted.
        """
        for place in places:
            self.file.seek(place.position)
            self._buffer, self._at, self._start = self.file.read(place.size), 0, place.position
            try:
                block, end = self._parse()
                if (block.stream, block.first, block.units, end) != (*place[1:4], place.size):
                    raise FormatError("the end record does not agree with the blocks")
            except FormatError as error:
                self._report(f"at byte {place.position}: {error}", salvage)
                continue
            yield block

    def _found_index(self) -> BlockIndex:
        """The index of a file without one."""
        self.file.seek(0)
        with TokenReader(self.file, self.tables, codes=False) as reader:
            places = []
            for block in reader.blocks(salvage=True):
                end = reader._start + reader._at
                places.append(Place(reader._begin, block.stream, block.first, block.units, end - reader._begin))
            self.problems += reader.problems
        self.problems.append("it was gone through to find where its blocks are")
        return BlockIndex.of(places)

    def close(self) -> None:
        """Close the file if this reader opened it."""
        if self._own:
            self.file.close()

    def __enter__(self) -> TokenReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _parse(self) -> tuple[Block, int]:
        """The block that starts where the reader stands, and where in the buffer it ends."""
        data, at = self._buffer, self._at
        if len(data) < at + 2 or data[at] != BLOCK_START:
            raise FormatError("no block starts here")
        stream, coding = data[at + 1] >> 4, data[at + 1] & 15
        if stream >= len(self.streams):
            raise FormatError(f"block of stream {stream}, which the header does not have")
        info = self.streams[stream]
        if coding not in CODINGS[info.kind]:
            raise FormatError(f"payload coding {coding} in a stream of kind {info.kind!r}")
        first, position = get_varint(data, at + 2, 1 << 48)
        units, position = get_varint(data, position, MAX_BLOCK_UNITS)
        size, position = get_varint(data, position, MAX_PAYLOAD)
        stored, coding = coding, UNMARKED.get(coding, coding)
        marked = MARK_BYTES if stored != coding else 0
        if isinstance(info, VisionInfo):
            fits = may_move(info, units) if coding in MOVING else units > 0 and units * info.columns <= MAX_PATCHES
        elif isinstance(info, AlphaInfo):
            fits = units > 0 and units * info.width <= MAX_ALPHA
        else:
            fixed_length = packed_size(units * info.levels, info.codebook_size)
            own = size - marked
            fits = units > 0 and (own == fixed_length if coding == FIXED_LENGTH else 0 <= own < fixed_length)
        if not fits:
            raise FormatError(f"{size} bytes of payload for {units} {info.unit}s")
        end = position + size
        if end + 4 > len(data):
            raise FormatError("a block is cut off")
        self._checked += end - at
        if struct.unpack_from("<I", data, end)[0] != zlib.crc32(memoryview(data)[at:end]):
            raise FormatError("a block is damaged (checksum)")
        mark = Mark.from_bytes(data[position : position + marked]) if marked else None
        payload = data[position + marked : end]
        tables = None
        if coding in WITH_TABLES and self.codes:
            tables = tables_for(info, self.tables)
            if info.levels > len(tables.levels):
                raise FormatError("more levels than the model has tables for")
        codes: np.ndarray | PatchRows | MotionRows
        if coding in MOVING:
            assert isinstance(info, VisionInfo)
            codes = MotionRows.from_bytes(payload, units, info.rows, *MOVING[coding])
        elif isinstance(info, VisionInfo):
            codes = unpack_patches(coding, payload, units, info, tables)
        elif isinstance(info, AlphaInfo):
            codes = unpack_alpha(payload, units, info.width) if self.codes else np.zeros((units, info.width), np.uint8)
        elif coding == FIXED_LENGTH:
            codes = unpack(payload, units, info.levels, info.codebook_size)
        elif tables is None:
            check_density(units * info.levels, len(payload))
            codes = np.zeros((units, info.levels), np.uint16)
        else:
            codes = decode_frames(payload, units, info.levels, tables)
        return Block(stream, first, units, codes, size, stored, mark), end + 4

    def _check_end(self, sizes: list[tuple[int, int, int]]) -> None:
        """Check the end record against the blocks that were read, and go behind it."""
        expected = end_record(sizes)
        self._fill(len(expected))
        if self._buffer[self._at : self._at + len(expected)] == expected:
            self._at += len(expected)
        elif self.problems:  # blocks are missing, so it cannot agree
            self._at = len(self._buffer)
        else:
            raise FormatError("the end record does not agree with the blocks")

    def _fill(self, size: int) -> bool:
        """Have at least `size` bytes ahead if the file has them; False if there are none at all."""
        if len(self._buffer) - self._at < size:
            parts = [self._buffer[self._at :]]
            self._start += self._at
            self._at = 0
            while sum(map(len, parts)) < size:
                more = self.file.read(max(size, _MAX_BLOCK))
                if not more:
                    break
                parts.append(more)
            self._buffer = b"".join(parts)
        return self._at < len(self._buffer)

    def _resynchronise(self) -> bool:
        """Go on byte by byte to where a whole block starts; False if there is none."""
        self._at += 1
        most = self._checked + _MAX_SEARCH
        while self._fill(_MAX_BLOCK):
            if self._checked > most:  # nothing but what looks like the beginning of a block, and is none
                self.problems.append(f"at byte {self._start + self._at}: too damaged to be looked through")
                return False
            here = self._buffer.find(BLOCK_START, self._at)
            if here < 0:
                self._at = len(self._buffer)
                continue
            self._at = here
            if self._fill(_MAX_BLOCK):
                try:
                    self._parse()
                    return True
                except FormatError:
                    self._at += 1
        return False

    def _report(self, text: str, salvage: bool) -> None:
        if not salvage:
            raise FormatError(text)
        self.problems.append(text)

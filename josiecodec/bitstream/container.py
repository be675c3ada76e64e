"""Reading and writing `.josie` files block by block, in bounded memory.

    header | block | block | ... | end record

A block is some eight seconds of audio, or a part of a picture, with its own checksum, so that a file that was cut
off, or damaged in places, still gives every whole block. Layout in docs/format.md.
"""

from __future__ import annotations

import contextlib
import io
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from ..atomic import PendingFile
from ..entropy.code_tables import check_density, decode_frames, encode_frames
from ..entropy.tables_file import Tables
from ..errors import CodesError, FormatError
from .alpha_payload import MAX_ALPHA, alpha_parts, unpack_alpha
from .bitpacking import pack, packed_size, unpack
from .end_record import END_START, end_record
from .header import MAX_HEADER, MAX_PATCHES, AlphaInfo, StreamInfo, VisionInfo, read_header, write_header
from .model_tables import find_tables, tables_for
from .motion_payload import MotionRows, may_move
from .patch_payload import BLOCK_PATCHES, MAX_BLOCK_UNITS, PatchRows, block_parts
from .payload_codings import CODINGS, FIXED_LENGTH, MOTION, RANGE_CODED, WITH_TABLES, pack_patches, unpack_patches
from .varint import get_varint, put_varint

BLOCK_FRAMES = 100  # of audio, in a block
MAX_PAYLOAD = 1 << 19
BLOCK_START = 0x42
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
    """

    stream: int
    first: int
    units: int
    codes: np.ndarray | PatchRows | MotionRows
    size: int = 0
    coding: int | None = None


class TokenWriter:
    """Writes a `.josie` file; it appears under its name only when complete.

    Args:
        target: a path, or a seekable binary file.
        streams: what will come; a length that is not known yet (None) is put in on `close`.
        tables: entropy tables by fingerprint, for models that did not come with the package. Codes of models
            without tables are stored in fixed-length code words, and so is every block that range coding would not
            make smaller.
        block_frames: frames of audio in a block.

    Raises:
        FormatError: if the file cannot be written.
    """

    def __init__(
        self,
        target: str | Path | IO[bytes],
        streams: list[StreamInfo],
        tables: Tables | None = None,
        block_frames: int = BLOCK_FRAMES,
    ):
        if not 1 <= block_frames <= MAX_BLOCK_UNITS:
            raise FormatError(f"block_frames must be in 1..{MAX_BLOCK_UNITS}")
        self.streams = list(streams)
        self.block_frames = block_frames
        self.tables = [find_tables(info, tables) for info in self.streams]
        self._pending: PendingFile | None = None
        header = write_header(self.streams)
        if isinstance(target, (str, Path)):
            self._pending = PendingFile(target)
            try:
                self.file: IO[bytes] = open(self._pending.temporary, "wb")
            except OSError as error:
                raise FormatError(f"{target}: cannot be written ({error.strerror})") from None
        else:
            self.file = target
        self._waiting: list[list[np.ndarray]] = [[] for _ in streams]
        self._next = [0] * len(streams)
        self._blocks: list[tuple[int, int, int]] = []
        self.size = 0  # bytes of the file
        self.closed = False
        self._write(header)

    def add(self, stream: int, codes: np.ndarray) -> None:
        """Append codes [frames, levels] to an audio stream.

        Raises:
            CodesError: if they do not fit it.
        """
        info = self.streams[stream]
        codes = np.asarray(codes)
        if codes.ndim != 2 or codes.shape[1] != info.levels:
            raise CodesError(f"codes must be [frames, {info.levels}], not {list(codes.shape)}")
        waiting = self._waiting[stream]
        waiting.append(codes)
        if sum(len(c) for c in waiting) >= self.block_frames:
            joined = np.concatenate(waiting)
            whole = len(joined) // self.block_frames * self.block_frames
            for first in range(0, whole, self.block_frames):
                self._block(stream, joined[first : first + self.block_frames])
            self._waiting[stream] = [joined[whole:]]

    def add_rows(self, stream: int, rows: PatchRows) -> None:
        """Append rows of patches to a vision stream: those of one frame group, or a part of them.

        Raises:
            CodesError: if they do not fit it.
        """
        info = self.streams[stream]
        if not isinstance(info, VisionInfo) or rows.counts.shape[1:] != (info.columns,):
            raise CodesError(f"rows of patches do not fit stream {stream}")
        for part in block_parts(rows):
            coding, payload = pack_patches(part, info, self.tables[stream])
            self._put(stream, coding, len(part.counts), payload)

    def add_pictures(self, stream: int, pictures: MotionRows) -> None:
        """Append pictures with motion, in the order of decoding, to a stream that they fit; else `CodesError`."""
        info = self.streams[stream]
        if not isinstance(info, VisionInfo) or pictures.rows != info.rows or not may_move(info, info.rows):
            raise CodesError(f"pictures of a video with motion do not fit stream {stream}")
        for part in pictures.split(MAX_BLOCK_UNITS, BLOCK_PATCHES, info.columns, MAX_PAYLOAD):
            self._put(stream, MOTION, part.units, part.to_bytes())

    def add_alpha(self, stream: int, alpha: np.ndarray) -> None:
        """Append rows of pixels, uint8 [rows, width], to a stream of alpha that they fit; else `CodesError`."""
        info = self.streams[stream]
        if not isinstance(info, AlphaInfo) or alpha.dtype != np.uint8 or alpha.shape[1:] != (info.width,):
            raise CodesError(f"alpha does not fit stream {stream}")
        for units, payload in alpha_parts(alpha, MAX_BLOCK_UNITS, MAX_PAYLOAD):
            self._put(stream, FIXED_LENGTH, units, payload)

    def close(self, lengths: list[int] | None = None) -> None:
        """Write what waits, the end record, and the exact lengths (in samples) into the header.

        Raises:
            CodesError: if a stream has more or fewer units than its length takes. Nothing is left behind then.
            FormatError: if the file cannot be written.
        """
        self.closed = True
        for stream, waiting in enumerate(self._waiting):
            rest = np.concatenate(waiting) if waiting else np.zeros((0, 1))
            if len(rest):
                self._block(stream, rest)
        self._write(end_record(self._blocks))
        if lengths is not None:
            self.streams = [s.with_length(n) for s, n in zip(self.streams, lengths)]
        for stream, (info, units) in enumerate(zip(self.streams, self._next)):
            if info.units not in (None, units):
                self.abort()
                raise CodesError(f"stream {stream} has {units} {info.unit}s of codes, its length takes {info.units}")
        try:
            if lengths is not None:
                self.file.seek(0)
                self.file.write(write_header(self.streams))
                self.file.seek(0, io.SEEK_END)
            if self._pending is not None:
                self.file.close()
                self._pending.commit()
        except OSError as error:
            raise self._failed(error) from None

    def abort(self) -> None:
        """Throw away what was written."""
        self.closed = True
        if self._pending is not None:
            with contextlib.suppress(OSError):  # it is thrown away anyway
                self.file.close()
            self._pending.discard()

    def __enter__(self) -> TokenWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self.abort()
        elif not self.closed:
            self.close()

    def _block(self, stream: int, codes: np.ndarray) -> None:
        fixed_length, tables = pack(codes, self.streams[stream].codebook_size), self.tables[stream]
        if tables is not None and codes.shape[1] <= len(tables.levels):
            coded = encode_frames(codes, tables)
            if len(coded) < len(fixed_length):
                self._put(stream, RANGE_CODED, len(codes), coded)
                return
        self._put(stream, FIXED_LENGTH, len(codes), fixed_length)

    def _put(self, stream: int, coding: int, units: int, payload: bytes) -> None:
        if len(payload) > MAX_PAYLOAD:
            raise CodesError(f"a block of {len(payload)} bytes is too large")
        numbers = (self._next[stream], units, len(payload))
        data = bytes([BLOCK_START, stream << 4 | coding]) + b"".join(map(put_varint, numbers)) + payload
        data += struct.pack("<I", zlib.crc32(data))
        self._write(data)
        self._blocks.append((stream, units, len(data)))
        self._next[stream] += units

    def _write(self, data: bytes) -> None:
        try:
            self.file.write(data)
            self.size += len(data)
        except OSError as error:
            raise self._failed(error) from None

    def _failed(self, error: OSError) -> FormatError:
        """Throw away what was written; the error to raise."""
        self.abort()
        name = "output" if self._pending is None else self._pending.path
        return FormatError(f"{name}: cannot be written ({error.strerror})")


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
        self._checked = 0  # bytes whose checksum was computed

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
                self._report("the file is cut off: its end record is missing", salvage)
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
            self._at = end
            yield block

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
        if isinstance(info, VisionInfo):
            fits = may_move(info, units) if coding == MOTION else units > 0 and units * info.columns <= MAX_PATCHES
        elif isinstance(info, AlphaInfo):
            fits = units > 0 and units * info.width <= MAX_ALPHA
        else:
            fixed_length = packed_size(units * info.levels, info.codebook_size)
            fits = units > 0 and (size == fixed_length if coding == FIXED_LENGTH else size < fixed_length)
        if not fits:
            raise FormatError(f"{size} bytes of payload for {units} {info.unit}s")
        end = position + size
        if end + 4 > len(data):
            raise FormatError("a block is cut off")
        self._checked += end - at
        if struct.unpack_from("<I", data, end)[0] != zlib.crc32(memoryview(data)[at:end]):
            raise FormatError("a block is damaged (checksum)")
        payload = data[position:end]
        tables = None
        if coding in WITH_TABLES and self.codes:
            tables = tables_for(info, self.tables)
            if info.levels > len(tables.levels):
                raise FormatError("more levels than the model has tables for")
        codes: np.ndarray | PatchRows | MotionRows
        if coding == MOTION:
            assert isinstance(info, VisionInfo)
            codes = MotionRows.from_bytes(payload, units, info.rows)
        elif isinstance(info, VisionInfo):
            codes = unpack_patches(coding, payload, units, info, tables)
        elif isinstance(info, AlphaInfo):
            codes = unpack_alpha(payload, units, info.width) if self.codes else np.zeros((units, info.width), np.uint8)
        elif coding == FIXED_LENGTH:
            codes = unpack(payload, units, info.levels, info.codebook_size)
        elif tables is None:
            check_density(units * info.levels, size)
            codes = np.zeros((units, info.levels), np.uint16)
        else:
            codes = decode_frames(payload, units, info.levels, tables)
        return Block(stream, first, units, codes, size, coding), end + 4

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

"""Writing `.josie` files block by block, in bounded memory. Layout in docs/format.md."""

from __future__ import annotations

import contextlib
import io
import struct
import zlib
from pathlib import Path
from typing import IO

import numpy as np

from ..atomic import PendingFile
from ..entropy.code_tables import encode_frames
from ..entropy.tables_file import Tables
from ..errors import CodesError, FormatError
from .alpha_payload import alpha_parts
from .bitpacking import pack
from .end_record import end_record
from .header import AlphaInfo, StreamInfo, VisionInfo, write_header
from .marks import Mark
from .model_tables import find_tables
from .motion_payload import MotionRows, may_move
from .patch_payload import BLOCK_PATCHES, MAX_BLOCK_UNITS, PatchRows, block_parts
from .payload_codings import FIXED_LENGTH, MARKED, MOVING, RANGE_CODED, pack_patches
from .varint import put_varint

BLOCK_FRAMES = 100  # of audio, in a block
MAX_PAYLOAD = 1 << 19
BLOCK_START = 0x42


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
        self._marks: dict[tuple[int, int], Mark] = {}
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

    def mark(self, stream: int, frame: int, mark: Mark) -> None:
        """Say where the decoder of an audio stream is before a frame that is still to come.

        It is written if a block begins with that frame.
        """
        if frame % self.block_frames == 0 and frame >= self._next[stream]:
            self._marks[stream, frame] = mark

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
            kind = part.pictures[0].head.tools is not None, part.times is not None
            coding = next(coding for coding, other in MOVING.items() if other == kind)
            self._put(stream, coding, part.units, part.to_bytes())

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
        coding, payload, tables = FIXED_LENGTH, pack(codes, self.streams[stream].codebook_size), self.tables[stream]
        if tables is not None and codes.shape[1] <= len(tables.levels):
            coded = encode_frames(codes, tables)
            if len(coded) < len(payload):
                coding, payload = RANGE_CODED, coded
        mark = self._marks.pop((stream, self._next[stream]), None)
        if mark is not None:
            coding, payload = MARKED[coding], mark.to_bytes() + payload
        self._put(stream, coding, len(codes), payload)

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

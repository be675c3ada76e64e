"""The header of a `.josie` file: what its streams are and which model they need.

Layout in docs/format.md. All numbers are little-endian; every size is bounded and checked before
anything of that size is read.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, replace
from typing import Literal

from ..errors import FormatError

MAGIC = b"\x89JOSIE\r\n"
VERSION = 1
MAX_HEADER = 4096
MAX_STREAMS = 8
MAX_LEVELS = 64
MAX_NAME = 64
UNKNOWN_LENGTH = (1 << 64) - 1
KINDS: dict[int, Literal["audio", "visual"]] = {0: "audio", 1: "visual"}

_START = struct.Struct("<8sHH")
_STREAM = struct.Struct("<BBIIIQIH32sB")


@dataclass(frozen=True)
class StreamInfo:
    """What one stream of a file is.

    Attributes:
        kind: "audio" or "visual".
        model: name of the model that made it, at most 64 bytes.
        fingerprint: sha256 (hex) of that model's configuration and weights; only it can decode.
        levels: codebooks K that are stored.
        codebook_size: codes of each.
        sample_rate: samples per second of the decoded stream.
        frame_size: samples per frame.
        length: samples exactly; None if the writer was cut off before it knew.
        original_rate, original_channels: of the file that was encoded.
    """

    kind: Literal["audio", "visual"]
    model: str
    fingerprint: str
    levels: int
    codebook_size: int
    sample_rate: int
    frame_size: int
    length: int | None
    original_rate: int
    original_channels: int

    @property
    def frames(self) -> int | None:
        """Frames that the length makes."""
        return None if self.length is None else -(-self.length // self.frame_size)

    @property
    def bitrate(self) -> float:
        """Bits per second of the codes alone, packed plainly."""
        bits = max(1, (self.codebook_size - 1).bit_length())
        return self.levels * bits * self.sample_rate / self.frame_size

    def with_length(self, length: int) -> StreamInfo:
        """The same with another length."""
        return replace(self, length=length)


def write_header(streams: list[StreamInfo]) -> bytes:
    """The bytes of a header. Their number does not depend on the streams' lengths.

    Raises:
        FormatError: if a value does not fit.
    """
    if not 1 <= len(streams) <= MAX_STREAMS:
        raise FormatError(f"a file holds 1 to {MAX_STREAMS} streams, not {len(streams)}")
    body = bytes([len(streams)])
    for s in streams:
        _check(s)
        name = s.model.encode()
        kind = next(number for number, kind in KINDS.items() if kind == s.kind)
        length = UNKNOWN_LENGTH if s.length is None else s.length
        body += _STREAM.pack(
            kind,
            s.levels,
            s.codebook_size,
            s.sample_rate,
            s.frame_size,
            length,
            s.original_rate,
            s.original_channels,
            bytes.fromhex(s.fingerprint),
            len(name),
        )
        body += name
    data = _START.pack(MAGIC, VERSION, len(body)) + body
    return data + struct.pack("<I", zlib.crc32(data))


def read_header(data: bytes) -> tuple[list[StreamInfo], int]:
    """Parse the header at the start of `data` (its first `MAX_HEADER` bytes are enough).

    Returns:
        the streams, and the number of bytes that the header takes.

    Raises:
        FormatError: if this is no `.josie` file, one of a later version, or a damaged one.
    """
    if len(data) < _START.size or data[:8] != MAGIC:
        raise FormatError("not a .josie file")
    _, version, size = _START.unpack_from(data)
    if version != VERSION:
        raise FormatError(f"version {version} of the format; this program knows version {VERSION}")
    end = _START.size + size
    if end + 4 > min(len(data), MAX_HEADER):
        raise FormatError("the header is cut off or too long")
    if struct.unpack_from("<I", data, end)[0] != zlib.crc32(data[:end]):
        raise FormatError("the header is damaged (checksum)")
    try:
        streams, position = _read_streams(data[:end])
    except (struct.error, IndexError, UnicodeDecodeError):
        raise FormatError("the header is damaged") from None
    if position != end:
        raise FormatError("the header is damaged (length)")
    return streams, end + 4


def find_stream(streams: list[StreamInfo], kind: str) -> int:
    """Index of the first stream of a kind.

    Raises:
        FormatError: if there is none.
    """
    for index, info in enumerate(streams):
        if info.kind == kind:
            return index
    raise FormatError(f"no {kind} stream in this file")


def _read_streams(data: bytes) -> tuple[list[StreamInfo], int]:
    position = _START.size
    count = data[position]
    position += 1
    if not 1 <= count <= MAX_STREAMS:
        raise FormatError(f"{count} streams")
    streams = []
    for _ in range(count):
        kind, levels, size, rate, frame, length, original, channels, digest, name = _STREAM.unpack_from(data, position)
        position += _STREAM.size
        model = data[position : position + name]
        position += name
        if len(model) != name or kind not in KINDS:
            raise FormatError("the header is damaged (stream)")
        info = StreamInfo(
            kind=KINDS[kind],
            model=model.decode(),
            fingerprint=digest.hex(),
            levels=levels,
            codebook_size=size,
            sample_rate=rate,
            frame_size=frame,
            length=None if length == UNKNOWN_LENGTH else length,
            original_rate=original,
            original_channels=channels,
        )
        _check(info)
        streams.append(info)
    return streams, position


def _check(s: StreamInfo) -> None:
    limits = {
        "levels": (s.levels, 1, MAX_LEVELS),
        "codebook_size": (s.codebook_size, 2, 1 << 16),
        "sample_rate": (s.sample_rate, 1, 10_000_000),
        "frame_size": (s.frame_size, 1, 1 << 24),
        "length": (s.length or 0, 0, 1 << 48),
        "original_rate": (s.original_rate, 1, 10_000_000),
        "original_channels": (s.original_channels, 1, (1 << 16) - 1),
        "name": (len(s.model.encode()), 1, MAX_NAME),
        "fingerprint": (len(s.fingerprint), 64, 64),
    }
    for name, (value, low, high) in limits.items():
        if not low <= value <= high:
            raise FormatError(f"stream: {name} {value} is not in {low}..{high}")
    if not s.model.isprintable():
        raise FormatError("stream: the model's name is not printable")

"""The header of a `.josie` file: what its streams are and which model they need.

Layout in docs/format.md. All numbers are little-endian; every size is bounded and checked before
anything of that size is read.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import ClassVar, TypeVar

from ..errors import FormatError
from .packing import code_bits

MAGIC = b"\x89JOSIE\r\n"
VERSION = 1
MAX_HEADER = 4096
MAX_STREAMS = 8
MAX_LEVELS = 64
MAX_NAME = 64
MAX_PATCHES = 8192  # in a row of them, and in a block
MAX_PIXELS = 1 << 28  # of a picture
UNKNOWN_LENGTH = (1 << 64) - 1

_START = struct.Struct("<8sHH")
_COMMON = struct.Struct("<BBI32sB")
_AUDIO = struct.Struct("<IIQIH")
_VISUAL = struct.Struct("<IIQIIBB")

Info = TypeVar("Info", bound="StreamInfo")


@dataclass(frozen=True)
class StreamInfo:
    """What every stream of a file has.

    Attributes:
        model: name of the model that made it, at most 64 bytes.
        fingerprint: sha256 (hex) of that model's configuration and weights; only it can decode.
        levels: codebooks K that are stored.
        codebook_size: codes of each.
        length: samples or pictures exactly; None if the writer was cut off before it knew.
    """

    kind: ClassVar[str] = ""
    model: str
    fingerprint: str
    levels: int
    codebook_size: int
    length: int | None

    @property
    def frames(self) -> int | None:
        """Frames (audio) or rows of patches (visual) that the length makes."""
        raise FormatError(f"a stream of kind {self.kind!r} has no frames")

    def with_length(self: Info, length: int) -> Info:
        """The same with another length."""
        return replace(self, length=length)


@dataclass(frozen=True)
class AudioInfo(StreamInfo):
    """A stream of sound.

    Attributes:
        sample_rate: samples per second of the decoded stream.
        frame_size: samples per frame.
        original_rate, original_channels: of the file that was encoded.
    """

    kind: ClassVar[str] = "audio"
    sample_rate: int
    frame_size: int
    original_rate: int
    original_channels: int

    @property
    def frames(self) -> int | None:
        return None if self.length is None else -(-self.length // self.frame_size)

    @property
    def bitrate(self) -> float:
        """Bits per second of the codes alone, packed plainly."""
        return self.levels * code_bits(self.codebook_size) * self.sample_rate / self.frame_size


@dataclass(frozen=True)
class VisualInfo(StreamInfo):
    """A picture, or a stream of pictures.

    Attributes:
        width, height: of the pictures, in pixels.
        rate: pictures per second; 0 for a still picture.
        patch: side of a patch, in pixels.
        group: pictures coded together after the first, which is coded alone.
    """

    kind: ClassVar[str] = "visual"
    width: int
    height: int
    rate: Fraction
    patch: int
    group: int

    @property
    def columns(self) -> int:
        """Patches side by side."""
        return -(-self.width // self.patch)

    @property
    def rows(self) -> int:
        """Rows of patches of a picture."""
        return -(-self.height // self.patch)

    @property
    def groups(self) -> int | None:
        """Pictures, or groups of pictures, that are coded one after the other."""
        if self.length is None:
            return None
        return 0 if self.length == 0 else 1 + -(-(self.length - 1) // self.group)

    @property
    def frames(self) -> int | None:
        return None if self.groups is None else self.groups * self.rows


KINDS: tuple[type[AudioInfo] | type[VisualInfo], ...] = (AudioInfo, VisualInfo)


def write_header(streams: Sequence[StreamInfo]) -> bytes:
    """The bytes of a header. Their number does not depend on the streams' lengths.

    Raises:
        FormatError: if a value does not fit.
    """
    if not 1 <= len(streams) <= MAX_STREAMS:
        raise FormatError(f"a file holds 1 to {MAX_STREAMS} streams, not {len(streams)}")
    body = bytes([len(streams)])
    for s in streams:
        check_limits(s)
        name = s.model.encode()
        kind = next(number for number, cls in enumerate(KINDS) if isinstance(s, cls))
        body += _COMMON.pack(kind, s.levels, s.codebook_size, bytes.fromhex(s.fingerprint), len(name)) + name
        length = UNKNOWN_LENGTH if s.length is None else s.length
        if isinstance(s, AudioInfo):
            body += _AUDIO.pack(s.sample_rate, s.frame_size, length, s.original_rate, s.original_channels)
        elif isinstance(s, VisualInfo):
            rate = s.rate
            body += _VISUAL.pack(s.width, s.height, length, rate.numerator, rate.denominator, s.patch, s.group)
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
    except (struct.error, IndexError, UnicodeDecodeError, ZeroDivisionError):
        raise FormatError("the header is damaged") from None
    if position != end:
        raise FormatError("the header is damaged (length)")
    return streams, end + 4


def find_stream(streams: Sequence[StreamInfo], kind: str) -> int:
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
    streams: list[StreamInfo] = []
    for _ in range(count):
        kind, levels, size, digest, name = _COMMON.unpack_from(data, position)
        position += _COMMON.size
        model = data[position : position + name]
        position += name
        if len(model) != name or kind >= len(KINDS):
            raise FormatError("the header is damaged (stream)")
        common = (model.decode(), digest.hex(), levels, size)
        info: StreamInfo
        if KINDS[kind] is AudioInfo:
            rate, frame, length, original, channels = _AUDIO.unpack_from(data, position)
            position += _AUDIO.size
            info = AudioInfo(*common, _known(length), rate, frame, original, channels)
        else:
            width, height, length, top, bottom, patch, group = _VISUAL.unpack_from(data, position)
            position += _VISUAL.size
            info = VisualInfo(*common, _known(length), width, height, Fraction(top, bottom), patch, group)
        check_limits(info)
        streams.append(info)
    return streams, position


def _known(length: int) -> int | None:
    return None if length == UNKNOWN_LENGTH else length


def check_limits(s: StreamInfo) -> None:
    """Make sure that the format can hold a stream.

    Raises:
        FormatError: if it cannot.
    """
    limits: dict[str, tuple[int | Fraction, int, int]] = {
        "levels": (s.levels, 1, MAX_LEVELS),
        "codebook_size": (s.codebook_size, 2, 1 << 16),
        "length": (s.length or 0, 0, 1 << 48),
        "name": (len(s.model.encode()), 1, MAX_NAME),
        "fingerprint": (len(s.fingerprint), 64, 64),
    }
    if isinstance(s, AudioInfo):
        limits |= {
            "sample_rate": (s.sample_rate, 1, 10_000_000),
            "frame_size": (s.frame_size, 1, 1 << 24),
            "original_rate": (s.original_rate, 1, 10_000_000),
            "original_channels": (s.original_channels, 1, (1 << 16) - 1),
        }
    elif isinstance(s, VisualInfo):
        if not 1 <= s.patch <= 255:
            raise FormatError(f"stream: patch {s.patch} is not in 1..255")
        limits |= {
            "width": (s.width, 1, 1 << 20),
            "height": (s.height, 1, 1 << 20),
            "pixels": (s.width * s.height, 1, MAX_PIXELS),
            "patches in a row": (s.columns, 1, MAX_PATCHES),
            "rate": (s.rate, 0, 1000),
            "rate's numerator": (s.rate.numerator, 0, (1 << 31) - 1),
            "rate's denominator": (s.rate.denominator, 1, (1 << 31) - 1),
            "group": (s.group, 1, 255),
        }
    else:
        raise FormatError(f"stream: unknown kind {type(s).__name__}")
    for name, (value, low, high) in limits.items():
        if not low <= value <= high:
            raise FormatError(f"stream: {name} {value} is not in {low}..{high}")
    if not s.model.isprintable():
        raise FormatError("stream: the model's name is not printable")

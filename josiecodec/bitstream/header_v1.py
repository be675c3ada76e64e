"""The header of files of version 1 of the format, which are still read.

    magic (8), version (u16), size of the body (u16), body: number of streams (u8) and the streams, CRC-32 (u32)

All numbers are little-endian and of fixed size; a fingerprint has all its 32 bytes.
"""

from __future__ import annotations

import struct

from ..errors import FormatError
from ..fingerprint import FINGERPRINT_DIGITS

MAGIC = b"\x89JOSIE\r\n"
UNKNOWN_LENGTH = (1 << 64) - 1

_COMMON = struct.Struct("<BBI32sB")
_LAST = (struct.Struct("<IIQIH"), struct.Struct("<IIQIIBB"))  # of audio, of vision
_LENGTH = 2  # which of the last numbers is the length


def old_fields(data: bytes) -> list[tuple[int, str, str, int, int, int | None, list[int]]]:
    """What `header.py` wants to know of each stream, from a header without its checksum.

    Raises:
        FormatError: if it is not in order.
        struct.error, IndexError, UnicodeDecodeError: if it is cut off.
    """
    if data[8:10] != b"\1\0":
        raise FormatError(
            f"version {int.from_bytes(data[8:10], 'little')} of the format, which this program does not know"
        )
    count, position, streams = data[12], 13, []
    for _ in range(count):
        kind, levels, size, digest, name = _COMMON.unpack_from(data, position)
        position += _COMMON.size
        model = data[position : position + name]
        position += name
        numbers = list(_LAST[kind].unpack_from(data, position))
        position += _LAST[kind].size
        length = numbers.pop(_LENGTH)
        known = None if length == UNKNOWN_LENGTH else length
        streams.append((kind, model.decode(), digest.hex()[:FINGERPRINT_DIGITS], levels, size, known, numbers))
    if position != len(data):
        raise FormatError("the header is damaged (length)")
    return streams

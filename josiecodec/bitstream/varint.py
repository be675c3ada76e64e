"""Unsigned LEB128 numbers: seven bits a byte, low ones first, high bit set on all bytes but the last."""

from __future__ import annotations

from ..errors import FormatError


def put_varint(value: int) -> bytes:
    """The bytes of a number."""
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def get_varint(data: bytes, position: int, maximum: int) -> tuple[int, int]:
    """The number at `position` and the position behind it.

    Raises:
        FormatError: if the data end within it, or it is greater than `maximum`.
    """
    value = shift = 0
    while True:
        if position >= len(data) or shift > 56:
            raise FormatError("a number is cut off or too long")
        byte = data[position]
        position += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            break
    if value > maximum:
        raise FormatError(f"{value} is more than the {maximum} allowed here")
    return value, position

"""The end record of a `.josie` file: an index of its blocks, from which the position of each can be computed."""

from __future__ import annotations

import struct
import zlib

from .varint import put_varint

END_START = 0x45
END_MAGIC = b"JEND"


def end_record(blocks: list[tuple[int, int, int]]) -> bytes:
    """Index of the blocks: runs of (how many, stream, units, bytes), checksum, size, magic."""
    runs: list[tuple[int, tuple[int, int, int]]] = []
    for block in blocks:
        if runs and runs[-1][1] == block:
            runs[-1] = (runs[-1][0] + 1, block)
        else:
            runs.append((1, block))
    data = bytearray([END_START]) + put_varint(len(runs))
    for count, (stream, units, size) in runs:
        data += put_varint(count) + bytes([stream]) + put_varint(units) + put_varint(size)
    data += struct.pack("<I", zlib.crc32(data))
    return bytes(data) + struct.pack("<I", len(data) + 8) + END_MAGIC

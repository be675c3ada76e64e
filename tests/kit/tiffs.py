"""TIFFs of any kind, uncompressed: in tiles or in one strip, with tags of one's own."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np

RGB, GREY = 2, 1
_FORMATS = {"u": 1, "i": 2, "f": 3}


def write_tiff(
    path: Path, values: np.ndarray, photometric: int = RGB, tile: int = 0, more: Sequence[tuple[int, int]] = ()
) -> Path:
    """Write a TIFF.

    Args:
        path: where.
        values: [H, W, C]; their type is that of the samples.
        photometric: tag 262.
        tile: height and width of its tiles; 0 for one strip.
        more: further tags with one number of 16 bits.
    """
    height, width, count = values.shape
    edge = tile or max(height, width)
    pieces = []
    for y in range(0, height, edge):
        for x in range(0, width, edge):
            piece = values[y : y + edge, x : x + edge]
            if tile:
                piece = np.pad(piece, [(0, tile - piece.shape[0]), (0, tile - piece.shape[1]), (0, 0)])
            pieces.append(piece.astype(values.dtype.newbyteorder("<")).tobytes())
    offsets = np.cumsum([8, *map(len, pieces)])
    bits, form = 8 * values.dtype.itemsize, _FORMATS[values.dtype.kind]
    tags = {256: [width], 257: [height], 258: [bits] * count, 259: [1], 262: [photometric], 277: [count]}
    tags |= {339: [form] * count, **{tag: [value] for tag, value in more}}
    tags |= {322: [tile], 323: [tile]} if tile else {278: [height]}
    tags |= {324 if tile else 273: offsets[:-1].tolist(), 325 if tile else 279: list(map(len, pieces))}
    extra, entries, place = b"", b"", int(offsets[-1]) + 2 + 12 * len(tags) + 4
    for tag in sorted(tags):
        packed = struct.pack(f"<{len(tags[tag])}I", *tags[tag])
        if len(packed) > 4:
            packed, extra = struct.pack("<I", place + len(extra)), extra + packed
        entries += struct.pack("<HHI", tag, 4, len(tags[tag])) + packed
    start = struct.pack("<4sI", b"II*\0", int(offsets[-1]))
    path.write_bytes(start + b"".join(pieces) + struct.pack("<H", len(tags)) + entries + bytes(4) + extra)
    return path

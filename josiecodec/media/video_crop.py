"""Margins of pictures that a container says are not to be shown: PyAV passes on no crop marks.

MP4 and MOV have the clean aperture (`clap`, ISO/IEC 14496-12, 12.1.4), Matroska PixelCrop (RFC 9559, 5.1.4.1.28).
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

MAX_ELEMENTS = 10_000  # looked at in a file
MAX_ENTRY = 1 << 16  # bytes of a sample entry
_ENTRY = 86  # bytes of a visual sample entry before its boxes
_SEGMENT, _TRACKS, _TRACK, _KIND, _VIDEO = 0x18538067, 0x1654AE6B, 0xAE, 0x83, 0xE0
_CROPS = {0x54CC: "left", 0x54DD: "right", 0x54BB: "top", 0x54AA: "bottom"}
_IS_VIDEO = b"\x01"
_MAPPING, _MAPPING_TYPE, _MAPPING_DATA = 0x41E4, 0x41E7, 0x41ED
_DOLBY_VISION = (b"dvcC", b"dvvC", b"dvwC")


@dataclass(frozen=True)
class Crop:
    """Pixels of a stored picture that are not shown, at its edges."""

    left: int = 0
    right: int = 0
    top: int = 0
    bottom: int = 0


def crop_of(path: str | Path, container: Any, stream: Any) -> Crop:
    """The crop marks of a stream of pictures; none of a file of another kind, or one in which they make no sense."""
    width, height = stream.codec_context.width, stream.codec_context.height
    try:
        with open(path, "rb") as file:
            if container.format.name.startswith("mov"):
                crop = _clean_aperture(file, stream.id, width, height)
            elif container.format.name.startswith("matroska"):
                crop = _pixel_crop(file, container.streams.video.index(stream))
            else:
                return Crop()
    except (OSError, struct.error, ValueError, IndexError, ZeroDivisionError, OverflowError):
        return Crop()
    fits = min(vars(crop).values()) >= 0 and crop.left + crop.right < width and crop.top + crop.bottom < height
    return crop if fits else Crop()


def cut(picture: Any, crop: Crop, stored: tuple[int, int]) -> Any:
    """[H, W, C] without its margins; `stored` is height and width that these are counted in."""
    rows, columns = Fraction(picture.shape[0], stored[0]), Fraction(picture.shape[1], stored[1])
    bottom, right = picture.shape[0] - round(crop.bottom * rows), picture.shape[1] - round(crop.right * columns)
    return picture[round(crop.top * rows) : max(bottom, 1), round(crop.left * columns) : max(right, 1)]


def _boxes(file: Any, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Name, and first and last byte of the contents of each box of MP4."""
    for _ in range(MAX_ELEMENTS):
        if start + 8 > end:
            return
        file.seek(start)
        size, name = struct.unpack(">I4s", file.read(8))
        head = 8
        if size == 1:
            (size,), head = struct.unpack(">Q", file.read(8)), 16
        stop = start + size if size else end
        if size and size < head:
            return
        yield name, start + head, min(stop, end)
        start = stop


def _inside(file: Any, start: int, end: int, *names: bytes) -> Iterator[tuple[int, int]]:
    """Contents of boxes within boxes, by their names from outside to inside."""
    for name, first, last in _boxes(file, start, end):
        if name == names[0]:
            if len(names) == 1:
                yield first, last
            else:
                yield from _inside(file, first, last, *names[1:])


def _clean_aperture(file: Any, track: int, width: int, height: int) -> Crop:
    data = _of_entry(file, track, b"clap")
    if data is None:
        return Crop()
    numbers = struct.unpack(">IIIIiIiI", data[:32])
    wide, high, right, down = (Fraction(*numbers[n : n + 2]) for n in (0, 2, 4, 6))
    left, top = round((width - wide) / 2 + right), round((height - high) / 2 + down)
    return Crop(left, width - left - round(wide), top, height - top - round(high))


def _of_entry(file: Any, track: int, *names: bytes) -> bytes | None:
    """What the first box of some names holds, at most 32 bytes, in the sample entry of a track of pictures of MP4."""
    for start, end in _inside(file, 0, os.fstat(file.fileno()).st_size, b"moov", b"trak"):
        head = next(_inside(file, start, end, b"tkhd"), None)
        if head is None:
            continue
        file.seek(head[0])
        data = file.read(24)
        if int.from_bytes(data[20:24] if data[0] == 1 else data[12:16], "big") != track:
            continue
        for first, last in _inside(file, start, end, b"mdia", b"minf", b"stbl", b"stsd"):
            entry = first + 8
            for name, place, _ in _boxes(file, entry + _ENTRY, min(last, entry + MAX_ENTRY)):
                if name in names:
                    file.seek(place)
                    return bytes(file.read(32))
    return None


def dolby_vision(path: str | Path, container: Any, stream: Any) -> tuple[int, int] | None:
    """The profile of Dolby Vision that a track of MP4, MOV or Matroska is coded in, and the number of what other
    players see of it ("Dolby Vision Streams Within the ISO Base Media File Format", 3.2; "... within the Matroska
    container"); None if it is in none, or another container."""
    try:
        with open(path, "rb") as file:
            if container.format.name.startswith("mov"):
                data = _of_entry(file, stream.id, *_DOLBY_VISION)
            elif container.format.name.startswith("matroska"):
                data = _of_mapping(file, container.streams.video.index(stream))
            else:
                return None
    except (OSError, struct.error, ValueError, IndexError):
        return None
    return (data[2] >> 1, data[4] >> 4) if data is not None and len(data) > 4 else None


def _elements(file: Any, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Number, and first and last byte of the contents of each element of Matroska."""
    for _ in range(MAX_ELEMENTS):
        if start + 2 > end:
            return
        file.seek(start)
        data = file.read(12)
        length = 9 - data[0].bit_length()
        number = int.from_bytes(data[:length], "big")
        more = 9 - data[length].bit_length() if len(data) > length else 9
        if length > 4 or more > 8 or len(data) < length + more:
            return
        size = int.from_bytes(data[length : length + more], "big") & ((1 << 7 * more) - 1)
        first = start + length + more
        stop = end if size == (1 << 7 * more) - 1 else first + size  # all ones: not known
        yield number, first, min(stop, end)
        start = stop


def _films(file: Any) -> list[list[tuple[int, int, int]]]:
    """The elements of each track of pictures of Matroska."""
    end = os.fstat(file.fileno()).st_size
    segment = next(((a, b) for n, a, b in _elements(file, 0, end) if n == _SEGMENT), (0, 0))
    tracks = next(((a, b) for n, a, b in _elements(file, *segment) if n == _TRACKS), (0, 0))
    films = []
    for name, start, stop in _elements(file, *tracks):
        fields = list(_elements(file, start, stop)) if name == _TRACK else []
        if any(n == _KIND and _contents(file, a, b) == _IS_VIDEO for n, a, b in fields):
            films.append(fields)
    return films


def _pixel_crop(file: Any, number: int) -> Crop:
    about = next(((a, b) for n, a, b in _films(file)[number] if n == _VIDEO), (0, 0))
    found = {_CROPS[n]: _contents(file, a, b) for n, a, b in _elements(file, *about) if n in _CROPS}
    return Crop(**{edge: int.from_bytes(data, "big") for edge, data in found.items()})


def _of_mapping(file: Any, number: int) -> bytes | None:
    """What a mapping of additional blocks says of the Dolby Vision of a track of Matroska."""
    for name, start, stop in _films(file)[number]:
        fields = {n: _contents(file, a, b) for n, a, b in _elements(file, start, stop)} if name == _MAPPING else {}
        if fields.get(_MAPPING_TYPE, b"").rjust(4, b"\0") in _DOLBY_VISION:
            return fields.get(_MAPPING_DATA)
    return None


def _contents(file: Any, start: int, end: int) -> bytes:
    file.seek(start)
    return bytes(file.read(min(end - start, 8)))

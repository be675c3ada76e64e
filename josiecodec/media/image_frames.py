"""The frames of animated PNG and GIF put together here: Pillow (13) blends half-transparent pixels of PNG as if alpha
were a colour, draws the first frame on the picture for other programs, and fills what GIF wants cleared with a colour.

PNG, third edition, 11.3.6 (`fcTL`: dispose and blend); GIF 89a, with what is restored to the background transparent,
as in browsers.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import IO, Any

import numpy as np

from .image_numbers import scale_hidden

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_KEEP, _CLEAR, _BACK = 0, 1, 2  # what becomes of a frame before the next: as of PNG
_GIF_DISPOSALS = {2: _CLEAR, 3: _BACK}
_OVER = 1
MAX_FRAMES = 100_000


@dataclass(frozen=True)
class _Frame:
    """A frame as it is stored: its place, how long it is shown in seconds, and where its bytes are."""

    left: int
    top: int
    width: int
    height: int
    seconds: float = 0.0
    dispose: int = _KEEP
    over: bool = True
    parts: tuple[tuple[int, int], ...] = ()  # ranges of the file
    palette: tuple[int, int] = (0, 0)  # the same; of GIF
    hidden: int | None = None  # the index that is transparent
    interlaced: bool = False


def has_frames(image: Any) -> bool:
    """Whether an open animation is put together here."""
    return image.format in ("PNG", "GIF")


def frames(image: Any, file: IO[bytes]) -> Iterator[tuple[float, np.ndarray]]:
    """(seconds, uint8 [H, W, 4]) of an animated PNG or GIF, in order; colours are not multiplied by alpha.

    Args:
        image: of Pillow, as it was opened.
        file: of it.

    Raises:
        ValueError: if it is damaged.
    """
    width, height = image.size
    png = image.format == "PNG"
    header, found = _png_frames(file) if png else (b"", _gif_frames(file))
    canvas = np.zeros((height, width, 4), np.uint8)
    for number, frame in enumerate(found):
        if png and (frame.left + frame.width > width or frame.top + frame.height > height):
            raise ValueError("a frame of it lies outside")
        pixels = _png_pixels(file, header, frame) if png else _gif_pixels(file, frame)
        rows = slice(frame.top, min(frame.top + frame.height, height))
        place = rows, slice(frame.left, min(frame.left + frame.width, width))
        before = canvas[place].copy()
        pixels = pixels[: before.shape[0], : before.shape[1]]
        canvas[place] = _blended(pixels, before) if frame.over else pixels
        yield frame.seconds, canvas.copy()
        if frame.dispose == _CLEAR or (frame.dispose == _BACK and png and not number):
            canvas[place] = 0
        elif frame.dispose == _BACK:
            canvas[place] = before


def _blended(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """One picture [H, W, 4] over another."""
    a, b = above[..., 3:] / np.float32(255), below[..., 3:] / np.float32(255)
    alpha = a + b * (1 - a)
    colors = (above[..., :3] * a + below[..., :3] * (b * (1 - a))) / np.maximum(alpha, np.float32(1e-6))
    return np.rint(np.concatenate([colors, alpha * 255], -1)).astype(np.uint8)


def _png_frames(file: IO[bytes]) -> tuple[bytes, list[_Frame]]:
    """What all frames have of a header, behind the size; and the frames."""
    file.seek(len(_SIGNATURE))
    header = b""
    found: list[_Frame] = []
    current: _Frame | None = None
    parts: list[tuple[int, int]] = []
    at = len(_SIGNATURE)
    while len(found) < MAX_FRAMES:
        file.seek(at)
        head = file.read(8)
        size, name = int.from_bytes(head[:4], "big"), head[4:]
        if len(head) < 8 or name == b"IEND":
            break
        if name == b"IHDR":
            header = file.read(13)[8:]
        elif name in (b"PLTE", b"tRNS"):
            header += _chunk(name, file.read(size))
        elif name == b"fcTL":
            if current is not None:
                found.append(replace(current, parts=tuple(parts)))
            parts = []
            width, height, left, top, number, by, dispose, blend = struct.unpack(">4x4I2H2B", file.read(26))
            seconds = number / (by or 100)
            current = _Frame(left, top, width, height, seconds, dispose, blend == _OVER)
        elif current is not None and name in (b"IDAT", b"fdAT"):
            skipped = 4 * (name == b"fdAT")
            parts.append((at + 8 + skipped, size - skipped))
        at += 12 + size
    return header, found if current is None else [*found, replace(current, parts=tuple(parts))]


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def _png_pixels(file: IO[bytes], header: bytes, frame: _Frame) -> np.ndarray:
    start = struct.pack(">II", frame.width, frame.height) + header[:5]
    data = (
        _SIGNATURE
        + _chunk(b"IHDR", start)
        + header[5:]
        + _chunk(b"IDAT", _bytes_of(file, frame))
        + _chunk(b"IEND", b"")
    )
    image = _opened(data)
    scale_hidden(image, data)
    if image.mode.startswith("I"):
        grey = (np.asarray(image).astype(np.uint32) + 128) // 257
        hidden = image.info.get("transparency")
        alpha = np.full(grey.shape, 255) if hidden is None else np.where(np.asarray(image) == hidden, 0, 255)
        return np.stack([grey, grey, grey, alpha], -1).astype(np.uint8)
    return np.array(image.convert("RGBA"))


def _gif_frames(file: IO[bytes]) -> list[_Frame]:
    file.seek(0)
    head = file.read(13)
    count = 3 << ((head[10] & 7) + 1) if head[10] & 0x80 else 0
    common = 13, count
    found: list[_Frame] = []
    file.seek(13 + count)
    seconds, dispose, hidden = 0.0, _KEEP, None
    while len(found) < MAX_FRAMES:
        kind = file.read(1)
        if kind == b"\x21":
            label, data = file.read(1), _blocks(file)
            start, size = data[0] if data else (0, 0)
            if label == b"\xf9" and size >= 4:
                file.seek(start)
                flags, delay, index = struct.unpack("<BHB", file.read(4))
                seconds, dispose = delay / 100, _GIF_DISPOSALS.get(flags >> 2 & 7, _KEEP)
                hidden = index if flags & 1 else None
                file.seek(start + size + 1)
        elif kind == b"\x2c":
            left, top, width, height, flags = struct.unpack("<4HB", file.read(9))
            palette = common
            if flags & 0x80:
                palette = file.tell(), 3 << ((flags & 7) + 1)
                file.seek(sum(palette))
            depth = file.tell()
            file.seek(depth + 1)
            parts = ((depth, 1), *_blocks(file))
            shape = _Frame(left, top, width, height, seconds, dispose, True)
            found.append(replace(shape, parts=parts, palette=palette, hidden=hidden, interlaced=bool(flags & 0x40)))
            seconds, dispose, hidden = 0.0, _KEEP, None
        else:
            break
    return found


def _blocks(file: IO[bytes]) -> tuple[tuple[int, int], ...]:
    """Ranges of the data of sub-blocks; the file stands behind the last one, empty, then."""
    found: list[tuple[int, int]] = []
    while size := int.from_bytes(file.read(1), "little"):
        found.append((file.tell(), size))
        file.seek(size, 1)
    return tuple(found)


def _gif_pixels(file: IO[bytes], frame: _Frame) -> np.ndarray:
    file.seek(frame.palette[0])
    palette = np.frombuffer(file.read(frame.palette[1]).ljust(768, b"\0")[:768], np.uint8).reshape(256, 3)
    grey = bytes(value for value in range(256) for _ in range(3))  # indexes come as they are then
    data = b"GIF89a" + struct.pack("<HHBBB", frame.width, frame.height, 0xF7, 0, 0) + grey
    data += b"\x2c" + struct.pack("<4HB", 0, 0, frame.width, frame.height, 0x40 * frame.interlaced)
    first, *blocks = frame.parts
    file.seek(first[0])
    data += file.read(1)
    for start, size in blocks:
        file.seek(start)
        data += bytes([size]) + file.read(size)
    index = np.asarray(_opened(data + b"\0;").convert("L"))
    opaque = np.full(index.shape, 255, np.uint8) if frame.hidden is None else np.where(index == frame.hidden, 0, 255)
    return np.concatenate([palette[index], opaque[..., None].astype(np.uint8)], -1)


def _bytes_of(file: IO[bytes], frame: _Frame) -> bytes:
    found = []
    for start, size in frame.parts:
        file.seek(start)
        found.append(file.read(size))
    return b"".join(found)


def _opened(data: bytes) -> Any:
    from PIL import Image

    image = Image.open(io.BytesIO(data))
    image.load()
    return image

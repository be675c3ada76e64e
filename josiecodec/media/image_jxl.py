"""JPEG XL as it is meant, where its plugin for Pillow gives something else.

The plugin (pillow-jxl-plugin 1.3) gives the last picture of an animation as if it were the only one, leaves the
orientation of EXIF in place although the pixels are upright, and takes greys of 16 bits with alpha for 8.
Headers: ISO/IEC 18181-1, D.1 to D.3; boxes: 18181-2, 9.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import IO, Any

import numpy as np

from ..errors import MediaError

ORIENTATION = 0x0112  # of EXIF
MAX_BOXES = 1000  # looked at
_START, _SIZE_BITS = b"\xff\x0a", (9, 13, 18, 30)
_HEADER = 64  # bytes that hold what is read here


def mend(image: Any, file: IO[bytes], name: str) -> Any:
    """An open JPEG XL as its file means it.

    Args:
        image: of Pillow, decoded.
        file: that it was opened from; its place stays.
        name: for messages.

    Raises:
        MediaError: if it is an animation.
    """
    place = file.tell()
    try:
        animated = _is_animated(_codestream(file))
    finally:
        file.seek(place)
    if animated:
        raise MediaError(
            f"{name}: an animated JPEG XL, of which only the last picture can be decoded; save it as a video, or as an "
            "animated PNG or WebP"
        )
    if not getattr(image, "jpeg", False):  # pixels of a JPEG that was packed lie as in that
        image.getexif().pop(ORIENTATION, None)
        image.info.pop("exif", None)
    data = getattr(image, "_data", b"")
    if image.mode == "LA" and len(data) == 4 * image.width * image.height:
        return _grey_with_alpha(image, np.frombuffer(data, np.uint16).reshape(image.height, image.width, 2))
    return image


def _grey_with_alpha(image: Any, values: np.ndarray) -> Any:
    from PIL import Image

    out = Image.fromarray(np.rint(values / np.float32(257)).astype(np.uint8), "LA")
    out.info, out.format = dict(image.info), image.format
    return out


def _codestream(file: IO[bytes]) -> bytes:
    """The beginning of the codestream: of the file itself, or in the first of its boxes that holds a part of it."""
    at = 0
    for _ in range(MAX_BOXES):
        file.seek(at)
        head = file.read(16)
        if not at and head.startswith(_START):
            file.seek(0)
            return file.read(_HEADER)
        size, kind, begin = int.from_bytes(head[:4], "big"), head[4:8], 8
        if size == 1:
            size, begin = int.from_bytes(head[8:16], "big"), 16
        if kind in (b"jxlc", b"jxlp"):
            file.seek(at + begin + 4 * (kind == b"jxlp"))
            return file.read(_HEADER)
        if size < 8:
            return b""
        at += size
    return b""


@dataclass
class _Bits:
    """Bits of a header, the lowest of a byte first; zeros behind its end."""

    number: int

    def take(self, count: int) -> int:
        """A number of so many bits."""
        taken = self.number & ((1 << count) - 1)
        self.number >>= count
        return taken

    def size(self) -> None:
        """Pass over a SizeHeader."""
        small = self.take(1)
        self.take(5 if small else _SIZE_BITS[self.take(2)])
        if not self.take(3):
            self.take(5 if small else _SIZE_BITS[self.take(2)])

    def preview(self) -> None:
        """Pass over a PreviewHeader."""
        bits = (0, 0, 5, 9) if self.take(1) else (6, 8, 10, 12)
        self.take(bits[self.take(2)])
        if not self.take(3):
            self.take(bits[self.take(2)])


def _is_animated(start: bytes) -> bool:
    if not start.startswith(_START):
        return False
    bits = _Bits(int.from_bytes(start[2:], "little"))
    bits.size()
    if bits.take(1) or not bits.take(1):  # all as usual, or at least no further fields
        return False
    bits.take(3)  # orientation
    if bits.take(1):
        bits.size()
    if bits.take(1):
        bits.preview()
    return bool(bits.take(1))

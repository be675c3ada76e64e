"""TIFFs that Pillow opens without a word, but not as what they are."""

from __future__ import annotations

import io
from typing import IO, Any

from ..errors import MediaError

_BITS, _PHOTOMETRIC, _PLANES, _PALETTE = 258, 262, 284, 320
_EXTRA, _NOT_SAID = 338, 0
_SUBFILE_TYPE, _SUB_IFDS, _DNG_VERSION = 254, 330, 50706
_SEPARATE, _PALETTE_COLOR = 2, 3
_OLD_SUBFILE_TYPE, _OLD_REDUCED = 255, 2
_REDUCED, _MASK = 1, 4  # bits of the type of a page
_ORDERS = {b"II": "little", b"MM": "big"}
_BIG = 43  # version of BigTIFF
MAX_PAGES, _MAX_TAGS = 10_000, 4096


def full_pages(file: IO[bytes], head: bytes) -> tuple[IO[bytes], int]:
    """A TIFF with its first page of full size in front, and how many such pages it has: thumbnails and masks are none.

    Args:
        file: of the picture; a copy of it in memory comes back where a thumbnail is first, else itself.
        head: its first bytes.
    """
    order: Any = _ORDERS.get(head[:2])
    version = int.from_bytes(head[2:4], order or "little")
    if order is None or version not in (42, _BIG) or head[8:10] == b"CR":
        return file, 1
    wide = 8 if version == _BIG else 4
    start = slice(wide, 2 * wide)
    seen: set[int] = set()
    full: list[int] = []
    at = int.from_bytes(head[start], order)
    while at and at not in seen and len(seen) < MAX_PAGES:
        seen.add(at)
        kind, raw, following = _page(file, at, order, wide)
        if raw and len(seen) == 1:
            return file, 1
        if not kind & (_REDUCED | _MASK):
            full.append(at)
        at = following
    file.seek(0)
    if not full or full[0] == int.from_bytes(head[start], order):
        return file, max(len(full), 1)
    data = bytearray(file.read())
    file.seek(0)
    data[start] = full[0].to_bytes(wide, order)
    return io.BytesIO(bytes(data)), len(full)


def _page(file: IO[bytes], at: int, order: Any, wide: int) -> tuple[int, bool, int]:
    """Type of a page, whether it is the preview of a raw file, and where the next one is."""
    file.seek(at)
    count = int.from_bytes(file.read(wide if wide == 8 else 2), order)
    if count > _MAX_TAGS:
        return 0, False, 0
    size = 4 + 2 * wide
    data, kind, raw = file.read(size * count), 0, False
    for place in range(0, len(data) - size + 1, size):
        tag, form = (int.from_bytes(data[place + n : place + n + 2], order) for n in (0, 2))
        number = int.from_bytes(data[place + 4 + wide : place + 4 + wide + (2 if form == 3 else 4)], order)
        if tag == _SUBFILE_TYPE:
            kind |= number
        elif tag == _OLD_SUBFILE_TYPE and number == _OLD_REDUCED:
            kind |= _REDUCED
        raw = raw or tag in (_SUB_IFDS, _DNG_VERSION)
    return kind, raw and bool(kind & _REDUCED), int.from_bytes(file.read(wide), order)


def check_tiff(image: Any, head: bytes, name: str) -> None:
    """Refuse an open TIFF that is not the picture it looks like; mend its palette if its values are of eight bits.

    Args:
        image: of Pillow, not loaded yet.
        head: first bytes of the file.
        name: for messages.

    Raises:
        MediaError: if it is a raw file of a camera (DNG, CR2, NEF, ARW ...), whose first picture is a preview.
    """
    tags = image.tag_v2
    preview = tags.get(_SUBFILE_TYPE) == 1 and _SUB_IFDS in tags
    if head[8:10] == b"CR" or _DNG_VERSION in tags or preview:
        raise MediaError(
            f"{name}: a raw file of a camera, in which only a small preview is a picture; develop it first, to a TIFF "
            "or JPEG"
        )
    palette = tags.get(_PALETTE)
    if tags.get(_PHOTOMETRIC) == _PALETTE_COLOR and isinstance(palette, tuple) and 0 < max(palette) < 256:
        image.putpalette(_interleaved(palette))  # 16 bits by the standard, eight by old programs; as libtiff guesses


def has_further_channels(image: Any) -> bool:
    """Whether a TIFF has channels that are neither colours nor alpha by what it says."""
    extra = image.tag_v2.get(_EXTRA, ()) if image.format == "TIFF" and hasattr(image, "tag_v2") else ()
    return _NOT_SAID in (extra if isinstance(extra, tuple) else (extra,))


def check_planes(image: Any) -> None:
    """Refuse a picture with more than 8 bits a value in a plane for each channel: Pillow takes each byte for a value.

    Raises:
        ValueError: if it is such a one.
    """
    if image.format == "TIFF" and image.tag_v2.get(_PLANES) == _SEPARATE and max(image.tag_v2.get(_BITS, (8,))) > 8:
        raise ValueError("more than 8 bits in separate planes; save it with interleaved channels")


def _interleaved(palette: tuple[int, ...]) -> bytes:
    third = len(palette) // 3
    channels = (palette[:third], palette[third : 2 * third], palette[2 * third : 3 * third])
    return bytes(value for colour in zip(*channels) for value in colour)

"""TIFFs that Pillow opens without a word, but not as what they are."""

from __future__ import annotations

from typing import Any

from ..errors import MediaError

_BITS, _PHOTOMETRIC, _PLANES, _PALETTE = 258, 262, 284, 320
_EXTRA, _NOT_SAID = 338, 0
_SUBFILE_TYPE, _SUB_IFDS, _DNG_VERSION = 254, 330, 50706
_SEPARATE, _PALETTE_COLOR = 2, 3


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

"""TIFFs of more than eight bits that Pillow does not open and FFmpeg does."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING

import numpy as np

from .image_deep import decoded, eight_bits
from .image_values import float_values

if TYPE_CHECKING:
    from PIL import Image

_FLOAT_FORMS = ("rgbf32le", "rgbf32be", "gbrpf32le", "gbrpf32be")
_TIFF_STARTS = (b"II*\0", b"MM\0*")
_BITS, _PHOTOMETRIC, _SAMPLES, _TILE_WIDTH, _FORM, _PROFILE = 258, 262, 277, 322, 339, 34675  # tags of TIFF
_GREY, _RGB, _SIGNED, _FLOATS = 1, 2, 2, 3
_COMPRESSION = 259
_PACKINGS = {34887: "LERC", 50001: "WebP", 50002: "JPEG XL", 52546: "JPEG XL"}
_PACKINGS |= dict.fromkeys((33003, 33004, 33005, 34712), "JPEG 2000")


def deep_picture(file: IO[bytes], head: bytes, name: str) -> Image.Image | None:
    """A picture that Pillow does not open; None if it is none of these.

    Args:
        file: of the picture.
        head: its first bytes.
        name: for messages.

    Raises:
        ValueError: if it is one whose numbers cannot be read.
    """
    return _tiff(file, head, name) if head.startswith(_TIFF_STARTS) else None


def _tiff(file: IO[bytes], head: bytes, name: str) -> Image.Image | None:
    """A TIFF of floating-point RGB, or of greys of 16 bits with alpha, rounded to eight bits."""
    from PIL import Image, TiffImagePlugin

    tags = TiffImagePlugin.ImageFileDirectory_v2(head[:8])
    file.seek(tags.next)
    tags.load(file)
    bits, forms = {tag: set(np.atleast_1d(tags.get(tag, 1)).tolist()) for tag in (_BITS, _FORM)}.values()
    if forms != {_FLOATS} and max(bits) <= 16:
        with_alpha = bits == {16} and tags.get(_SAMPLES) == 2 and tags.get(_PHOTOMETRIC) == _GREY
        values = decoded(file, ("ya16le", "ya16be")) if with_alpha and _TILE_WIDTH not in tags else None
        packed = _PACKINGS.get(int(tags.get(_COMPRESSION, 1)))
        if values is None and (packed or forms == {_SIGNED}):
            raise ValueError(f"a TIFF of {packed or 'signed colours'}; save it with unsigned ones, packed with Deflate")
        return None if values is None else eight_bits(values, _described("TIFF", tags.get(_PROFILE), tags.get(274, 1)))
    plain = forms == {_FLOATS} and bits == {32} and tags.get(_PHOTOMETRIC) == _RGB and _TILE_WIDTH not in tags
    values = decoded(file, _FLOAT_FORMS) if plain else None
    if values is None:
        kind = "floating-point" if forms == {_FLOATS} else "integer"
        raise ValueError(
            f"{kind} values of {max(bits)} bits, in a form that is not known; save it with integers of 16 bits"
        )
    out = Image.fromarray(np.rint(255 * np.clip(float_values(values, name), 0, 1)).astype(np.uint8))
    about = _described("TIFF", tags.get(_PROFILE), tags.get(274, 1))
    out.info, out.format, out._exif = about.info, about.format, about.getexif()
    return out


def _described(kind: str, profile: bytes | None, orientation: int = 1) -> Image.Image:
    """A picture of nothing, with what is known of another one."""
    from PIL import Image

    out = Image.new("RGB", (1, 1))
    out.format = kind
    if profile:
        out.info["icc_profile"] = profile
    out.getexif()[274] = orientation
    return out

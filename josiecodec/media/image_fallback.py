"""Pictures of more than eight bits that Pillow does not open and FFmpeg does: some TIFFs, and files of Photoshop."""

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
_GREY, _RGB, _FLOATS = 1, 2, 3
_PSD_FORMS = ("gray16be", "gbrp16be", "gbrap16be", "ya16be")
_PSD_GREY, _PSD_RGB, _PSD_PROFILE = 1, 3, 1039
_MAX_RESOURCES = 10_000


def deep_picture(file: IO[bytes], head: bytes, name: str, most: int) -> Image.Image | None:
    """A picture that Pillow does not open; None if it is none of these.

    Args:
        file: of the picture.
        head: its first bytes.
        name: for messages.
        most: pixels that it may have.

    Raises:
        ValueError: if it is one whose numbers cannot be read.
    """
    if head.startswith(_TIFF_STARTS):
        return _tiff(file, head, name)
    return _photoshop(file, head, most) if head.startswith(b"8BPS") else None


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


def _photoshop(file: IO[bytes], head: bytes, most: int) -> Image.Image | None:
    """A file of Photoshop with 16 bits: the picture of all layers together."""
    from PIL import Image

    version, depth, mode = (int.from_bytes(head[at : at + 2], "big") for at in (4, 22, 24))
    height, width = (int.from_bytes(head[at : at + 4], "big") for at in (14, 18))
    values = None
    if height * width > most:
        raise ValueError(f"{width} x {height} pixels are too many")
    if version == 1 and depth == 16 and mode in (_PSD_GREY, _PSD_RGB):
        profile = _photoshop_profile(file)
        values = decoded(file, _PSD_FORMS)
    if values is None:
        raise ValueError("a file of Photoshop of a kind that is not known; save it as TIFF or PNG")
    about = _described("PSD", profile)
    if values.ndim == 2:
        out = Image.fromarray(values.astype(np.uint16))
        out.info, out.format = about.info, about.format
        return out
    return eight_bits(values, about)


def _photoshop_profile(file: IO[bytes]) -> bytes | None:
    """The ICC profile among the resources of a file of Photoshop (its specification, "Image Resources Section")."""
    file.seek(26)
    at = 30 + int.from_bytes(file.read(4), "big")
    file.seek(at)
    end = at + 4 + int.from_bytes(file.read(4), "big")
    at += 4
    for _ in range(_MAX_RESOURCES):
        file.seek(at)
        begin = file.read(7)
        if at >= end or begin[:4] != b"8BIM":
            return None
        at += 6 + (begin[6] + 2) // 2 * 2
        file.seek(at)
        size = int.from_bytes(file.read(4), "big")
        if int.from_bytes(begin[4:6], "big") == _PSD_PROFILE:
            return file.read(min(size, end - at)) or None
        at += 4 + size + size % 2
    return None

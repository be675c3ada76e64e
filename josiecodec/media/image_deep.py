"""Colour pictures of more bits than eight: Pillow cuts 16 down, half a level too dark, and opens no others."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Any

import numpy as np

from .image_tiff import check_planes
from .image_values import float_values

if TYPE_CHECKING:
    from PIL import Image

_PNG_DEPTH, _PNG_KIND = 24, 25  # bytes of its header
_FORMS = ("rgb48be", "rgb48le", "rgba64be", "rgba64le", "gbrp16be", "gbrp16le", "gbrap16be", "gbrap16le", "ya16be")
_WITHOUT_ARRAY = {"ya16be": "rgba64be"}  # forms that PyAV has no arrays of, and what holds the same
_FLOAT_FORMS = ("rgbf32le", "rgbf32be", "gbrpf32le", "gbrpf32be")
_COLORED = (2, 4, 6)  # kinds of PNG with more than one channel
_BITS, _PHOTOMETRIC, _TILE_WIDTH, _EXTRA, _FORM, _PROFILE = 258, 262, 322, 338, 339, 34675  # tags of TIFF
_RGB, _PREMULTIPLIED, _FLOATS = 2, 1, 3
_TIFF_STARTS = (b"II*\0", b"MM\0*")


def rounded(image: Image.Image) -> Image.Image:
    """The same picture, with values of 16 bits rounded, if it has such and FFmpeg can read it too."""
    file = getattr(image, "fp", None)
    if file is None or not _is_deep_color(image, file):
        return image
    found = None
    if image.format != "TIFF" or _TILE_WIDTH not in image.tag_v2:  # type: ignore[attr-defined]  # FFmpeg: black
        found = _by_ffmpeg(image, file)
    if found is None:
        check_planes(image)
    return found or image


def _by_ffmpeg(image: Image.Image, file: Any) -> Image.Image | None:
    from PIL import Image

    values = _decoded(file, _FORMS)
    if values is None or values.shape[:2] != (image.height, image.width):
        return None
    tags = getattr(image, "tag_v2", None) or {}
    scaled = values / np.float32(257)
    if values.shape[2] == 4 and _PREMULTIPLIED in np.atleast_1d(tags.get(_EXTRA, ())):
        opacity = np.maximum(values[..., 3:], 1) / np.float32(65535)
        scaled[..., :3] = np.minimum(scaled[..., :3] / opacity, 255)
    hidden = image.info.get("transparency")
    if isinstance(hidden, tuple) and values.shape[2] == 3:  # a colour of 16 bits that means transparent
        opaque = np.where((values == np.array(hidden)).all(-1), 0.0, 255.0)
        scaled = np.concatenate([scaled, opaque[..., None]], -1)
    out = Image.fromarray(np.rint(scaled).astype(np.uint8))
    out.info, out.format = {k: v for k, v in image.info.items() if k != "transparency"}, image.format
    out._exif = image.getexif()
    return out


def float_tiff(file: IO[bytes], head: bytes, name: str) -> Image.Image | None:
    """A TIFF of floating-point RGB, rounded to eight bits; None if it is none.

    Args:
        file: a TIFF that Pillow does not open.
        head: its first bytes.
        name: for messages.

    Raises:
        ValueError: if it is one whose numbers cannot be read.
    """
    from PIL import Image, TiffImagePlugin

    if not head.startswith(_TIFF_STARTS):
        return None
    tags = TiffImagePlugin.ImageFileDirectory_v2(head[:8])
    file.seek(tags.next)
    tags.load(file)
    bits, forms = {tag: set(np.atleast_1d(tags.get(tag, 1)).tolist()) for tag in (_BITS, _FORM)}.values()
    if forms != {_FLOATS} and max(bits) <= 16:
        return None
    plain = forms == {_FLOATS} and bits == {32} and tags.get(_PHOTOMETRIC) == _RGB and _TILE_WIDTH not in tags
    values = _decoded(file, _FLOAT_FORMS) if plain else None
    if values is None:
        kind = "floating-point" if forms == {_FLOATS} else "integer"
        raise ValueError(
            f"{kind} values of {max(bits)} bits, in a form that is not known; save it with integers of 16 bits"
        )
    out = Image.fromarray(np.rint(255 * np.clip(float_values(values, name), 0, 1)).astype(np.uint8))
    out.format = "TIFF"
    if _PROFILE in tags:
        out.info["icc_profile"] = tags[_PROFILE]
    out.getexif()[274] = tags.get(274, 1)
    return out


def _decoded(file: Any, forms: tuple[str, ...]) -> np.ndarray | None:
    """[H, W, C] by FFmpeg, if it is of one of some pixel formats."""
    import av

    file.seek(0)
    try:
        container: Any
        with av.open(file) as container:
            frame = next(container.decode(video=0))
            if frame.format.name not in forms:
                return None
            form = _WITHOUT_ARRAY.get(frame.format.name)
            return (frame.reformat(format=form) if form else frame).to_ndarray()
    except (av.FFmpegError, ValueError, StopIteration, IndexError):
        return None
    finally:
        file.seek(0)


def _is_deep_color(image: Image.Image, file: IO[bytes]) -> bool:
    if image.format == "PNG":
        file.seek(0)
        head = file.read(_PNG_KIND + 1)
        return len(head) > _PNG_KIND and head[_PNG_DEPTH] == 16 and head[_PNG_KIND] in _COLORED
    if image.format == "TIFF":
        tags = image.tag_v2  # type: ignore[attr-defined]
        bits = tags.get(_BITS, ())
        deep = isinstance(bits, tuple) and len(bits) in (3, 4) and set(bits) == {16}
        return deep and tags.get(_PHOTOMETRIC) == _RGB
    return False

"""Colour pictures of more bits than eight: Pillow cuts 16 and 10 down, half a level too dark, and opens no others."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Any

import numpy as np

from .color_math import BT709, SRGB, is_srgb, to_srgb
from .image_color import NARROW, NUMBERS, SAME, in_full_range
from .image_hdr import hdr_still
from .image_profile import matrix_numbers
from .image_tiff import check_planes

if TYPE_CHECKING:
    from PIL import Image

_PNG_DEPTH, _PNG_KIND = 24, 25  # bytes of its header
_FORMS = ("rgb48be", "rgb48le", "rgba64be", "rgba64le", "gbrp16be", "gbrp16le", "gbrap16be", "gbrap16le", "ya16be")
_WITHOUT_ARRAY = {
    "ya16be": "rgba64be",
    "ya16le": "rgba64le",
}  # forms that PyAV has no arrays of, and what holds the same
_COLORED = (2, 4, 6)  # kinds of PNG with more than one channel
_BITS, _PHOTOMETRIC, _MAX_SAMPLE, _TILE_WIDTH = 258, 262, 281, 322  # tags of TIFF
_EXTRA = 338
_RGB, _NOT_SAID, _PREMULTIPLIED = 2, 0, 1
_ROWS = 256  # converted together


def rounded(image: Image.Image) -> Image.Image:
    """The same picture, with values of more than 8 bits rounded, if it has such and they can be read.

    Where its colours are not sRGB, they are converted before that, as far as numbers say how.
    """
    file = getattr(image, "fp", None)
    if image.format in ("AVIF", "HEIF"):
        return hdr_still(image, file) or image
    if file is None or not _is_deep_color(image, file):
        return image
    found = None
    if image.format != "TIFF" or _TILE_WIDTH not in image.tag_v2:  # type: ignore[attr-defined]  # FFmpeg: black
        found = _by_ffmpeg(image, file)
    if found is None:
        check_planes(image)
    return found or image


def _by_ffmpeg(image: Image.Image, file: Any) -> Image.Image | None:
    values = decoded(file, _FORMS)
    if values is None or values.shape[:2] != (image.height, image.width):
        return None
    return eight_bits(_mended(values, image), image)


def _mended(values: np.ndarray, image: Image.Image) -> np.ndarray:
    """Values of 16 bits [H, W, C] with what FFmpeg does not know of them: what is alpha, and what is white."""
    tags = getattr(image, "tag_v2", None) or {}
    extra, stated = np.atleast_1d(tags.get(_EXTRA, ())), np.atleast_1d(tags.get(_MAX_SAMPLE, 65535))
    if values.shape[2] == 4 and _PREMULTIPLIED in extra:
        opacity = np.maximum(values[..., 3:], 1) / np.float32(65535)
        colors = np.minimum(np.rint(values[..., :3] / opacity), 65535).astype(np.uint16)
        values = np.concatenate([colors, values[..., 3:]], -1)
    elif values.shape[2] == 4 and _NOT_SAID in extra:  # infrared, say
        values = values[..., :3]
    white = int(stated.max())
    if max(255, int(values[..., :3].max(initial=0))) <= white < 65535:  # 12 bits may lie in 16
        values = np.concatenate([np.rint(values[..., :3] * (65535 / white)).astype(np.uint16), values[..., 3:]], -1)
    hidden = image.info.get("transparency")
    if isinstance(hidden, tuple) and values.shape[2] == 3:  # a colour of 16 bits that means transparent
        opaque = np.where((values == np.array(hidden)).all(-1), 0, 65535).astype(np.uint16)
        values = np.concatenate([values, opaque[..., None]], -1)
    if image.info.get(NARROW):
        values = np.concatenate([in_full_range(values[..., :3]), values[..., 3:]], -1)
    return values


def eight_bits(values: np.ndarray, image: Image.Image) -> Image.Image:
    """Values of 16 bits [H, W, 3 or 4] as a picture of 8, with what else is known of another one; in sRGB if it is
    known by numbers what they mean."""
    from PIL import Image

    profile = image.info.get("icc_profile")
    numbers = matrix_numbers(profile) if profile else image.info.get(NUMBERS)
    if numbers is not None and (is_srgb(*numbers) or _changes_little(numbers)):
        numbers = None
    pixels = np.empty(values.shape, np.uint8)
    for top in range(0, len(values), _ROWS):
        part = values[top : top + _ROWS]
        pixels[top : top + _ROWS] = np.rint(part / np.float32(257))
        if numbers is not None:
            pixels[top : top + _ROWS, :, :3] = to_srgb(part[..., :3].astype(np.uint16), *numbers)
    out = Image.fromarray(pixels)
    out.info, out.format = {k: v for k, v in image.info.items() if k not in ("transparency", NARROW)}, image.format
    if numbers is not None:
        out.info.pop("icc_profile", None)
        out.info[NUMBERS] = BT709, SRGB
    out._exif = image.getexif()
    return out


def _changes_little(numbers: Any) -> bool:
    """Whether colours by some numbers are those of sRGB, but for rounding."""
    steps = np.linspace(0, 65535, 9).round().astype(np.uint16)
    grid = np.stack(np.meshgrid(steps, steps, steps), -1)
    return bool(np.abs(to_srgb(grid, *numbers).astype(int) - grid // 257).max() <= SAME)


def decoded(file: Any, forms: tuple[str, ...]) -> np.ndarray | None:
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

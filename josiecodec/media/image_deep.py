"""Colour pictures of 16 bits a value rounded to eight: Pillow cuts off the lower eight, half a level too dark."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Any

import numpy as np

from .image_tiff import check_planes

if TYPE_CHECKING:
    from PIL import Image

_PNG_DEPTH, _PNG_KIND = 24, 25  # bytes of its header
_FORMS = ("rgb48be", "rgb48le", "rgba64be", "rgba64le", "gbrp16be", "gbrp16le", "gbrap16be", "gbrap16le")
_COLORED = (2, 4, 6)  # kinds of PNG with more than one channel
_BITS, _PHOTOMETRIC = 258, 262  # tags of TIFF
_RGB = 2


def rounded(image: Image.Image) -> Image.Image:
    """The same picture, with values of 16 bits rounded, if it has such and FFmpeg can read it too."""
    file = getattr(image, "fp", None)
    if file is None or not _is_deep_color(image, file):
        return image
    found = _by_ffmpeg(image, file)
    if found is None:
        check_planes(image)
    return found or image


def _by_ffmpeg(image: Image.Image, file: Any) -> Image.Image | None:
    import av
    from PIL import Image

    file.seek(0)
    try:
        container: Any
        with av.open(file) as container:
            frame = next(container.decode(video=0))
            if frame.format.name not in _FORMS:
                return None
            values = frame.to_ndarray()
    except (av.FFmpegError, ValueError, StopIteration, IndexError):
        return None
    finally:
        file.seek(0)
    if values.shape[:2] != (image.height, image.width):
        return None
    out = Image.fromarray(np.rint(values / np.float32(257)).astype(np.uint8))
    out.info, out.format = dict(image.info), image.format
    out._exif = image.getexif()
    return out


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

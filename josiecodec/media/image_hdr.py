"""Stills of HDR in AVIF and HEIF, from all of their bits: Pillow gives eight, too few for the curve of PQ."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .color_math import BT709, HDR_TRANSFERS, SRGB, to_srgb
from .image_color import NUMBERS
from .video_color import colors_of, to_rgb

if TYPE_CHECKING:
    from PIL import Image

_ROWS = 256  # converted together


def hdr_still(image: Image.Image, file: Any) -> Image.Image | None:
    """An AVIF or HEIF of HDR in sRGB, from all of its bits; None of any other, and where they cannot be had."""
    from PIL import Image

    numbers = image.info.get(NUMBERS)
    if file is None or not numbers or numbers[1] not in HDR_TRANSFERS or image.mode not in ("RGB", "RGBA"):
        return None
    rgb = (_avif_by_ffmpeg if image.format == "AVIF" else _heif_deep)(image, file, numbers)
    if rgb is None:
        return None
    out = Image.fromarray(rgb)
    if image.mode == "RGBA":
        out.putalpha(image.getchannel("A"))
    out.info, out.format = dict(image.info) | {NUMBERS: (BT709, SRGB)}, image.format
    out.info.pop("icc_profile", None)
    out._exif = image.getexif()
    return out


def _avif_by_ffmpeg(image: Image.Image, file: Any, numbers: Any) -> np.ndarray | None:
    import av

    file.seek(0)
    try:
        container: Any
        with av.open(file) as container:
            frame = next(container.decode(video=0))
            colors = colors_of(frame)
            whole = (frame.width, frame.height) == image.size and (colors.primaries, colors.transfer) == numbers
            return to_rgb(frame, (frame.height, frame.width), colors)[0] if whole else None
    except (av.FFmpegError, ValueError, StopIteration, IndexError):
        return None
    finally:
        file.seek(0)


def _heif_deep(image: Image.Image, file: Any, numbers: Any) -> np.ndarray | None:
    import pillow_heif

    file.seek(0)
    try:
        deep = pillow_heif.open_heif(file, convert_hdr_to_8bit=False)
        bits, values = int(deep.info.get("bit_depth", 8)), np.asarray(deep)
        if bits <= 8 or values.dtype != np.uint16 or values.shape[:2] != (image.height, image.width):
            return None
        top = ((1 << bits) - 1) << (16 - bits)
        out = np.empty((*values.shape[:2], 3), np.uint8)
        for first in range(0, len(values), _ROWS):
            part = values[first : first + _ROWS, :, :3] * np.float32(65535 / top)
            out[first : first + _ROWS] = to_srgb(np.minimum(np.rint(part), 65535).astype(np.uint16), *numbers)
        return out
    except (ValueError, TypeError, OSError, RuntimeError):
        return None
    finally:
        file.seek(0)

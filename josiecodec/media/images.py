"""Reading and writing image files through Pillow."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ..atomic import replacing
from ..errors import MediaError

if TYPE_CHECKING:
    from PIL import Image

IMAGE_SUFFIXES = frozenset([".png", ".jpg", ".jpeg", ".webp", ".avif", ".bmp", ".tif", ".tiff", ".gif", ".ppm", ".jp2"])
WRITABLE = (".png", ".jpg", ".jpeg", ".webp", ".avif", ".bmp", ".tif", ".tiff", ".ppm")
MAX_PIXELS = 1 << 28


def load_image(source: str | Path | IO[bytes]) -> Tensor:
    """Read an image as RGB [3, H, W], float32 in [0, 1].

    It is turned upright by its EXIF orientation; 16-bit grey keeps its precision; transparency is put on white,
    with a warning.

    Raises:
        MediaError: if it cannot be read, or has more than 2^28 pixels.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    name = str(source) if isinstance(source, (str, Path)) else getattr(source, "name", "image")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # large images are judged below
            limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
            try:
                image: Image.Image = Image.open(source)
            finally:
                Image.MAX_IMAGE_PIXELS = limit
            if image.width * image.height > MAX_PIXELS:
                raise MediaError(f"{name}: {image.width} x {image.height} pixels are too many")
            image = ImageOps.exif_transpose(image)
            if image.mode.startswith("I;16") or image.mode == "I":
                grey = torch.from_numpy(np.asarray(image).astype(np.float32) / 65535).clamp(0, 1)
                return grey.expand(3, -1, -1).contiguous()
            image = image.convert("RGBA" if "A" in image.mode or "transparency" in image.info else "RGB")
    except FileNotFoundError:
        raise MediaError(f"{name}: no such file") from None
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, EOFError) as error:
        text = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise MediaError(f"{name}: not an image that can be read ({text})") from None
    if image.mode == "RGBA":
        image = _on_white(image, name)
    pixels = np.asarray(image.convert("RGB"))
    del image
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1).float().div_(255)


def _on_white(image: Image.Image, name: str) -> Image.Image:
    from PIL import Image

    if np.asarray(image.getchannel("A")).min(initial=255) < 255:
        warnings.warn(f"{name}: transparency is put on white", stacklevel=3)
    white = Image.new("RGBA", image.size, "white")
    white.alpha_composite(image)
    return white


def to_bytes_rgb(x: Tensor) -> np.ndarray:
    """[3, H, W] in [0, 1] -> uint8 [H, W, 3]."""
    return (x.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).cpu().contiguous().numpy()


def save_image(x: Tensor, path: str | Path) -> None:
    """Write [3, H, W] in [0, 1] as an image; the suffix says in what format. Whole or not at all.

    Raises:
        MediaError: if the format is unknown or the file cannot be written.
    """
    from PIL import Image

    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in WRITABLE:
        raise MediaError(f"{path}: images cannot be written as {suffix or 'a file without a suffix'!r}")
    options: dict[str, Any] = {"quality": 95} if suffix in (".jpg", ".jpeg", ".webp", ".avif") else {}
    try:
        with replacing(path, error=MediaError) as file:
            Image.fromarray(to_bytes_rgb(x)).save(file, Image.registered_extensions()[suffix], **options)
    except (ValueError, KeyError) as error:
        raise MediaError(f"{path}: cannot be written ({error})") from None

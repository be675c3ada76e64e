"""Reading and writing image files through Pillow, as NumPy arrays; `images.py` has them as tensors."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from ..atomic import replacing
from ..errors import MediaError
from .image_color import grey_in_srgb, in_srgb
from .image_deep import rounded
from .image_open import frame_count, is_animation, name_of, opened
from .image_tiff import has_further_channels
from .image_values import grey_values, hidden_values, is_deep

if TYPE_CHECKING:
    from PIL import Image

WRITABLE = (".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".avif", ".bmp", ".tif", ".tiff", ".ppm")
_GAIN_MAPS = (b"ns.adobe.com/hdr-gain-map", b"ns.apple.com/HDRGainMap", b"ns.apple.com/pixeldatainfo")  # in XMP
_ISO_GAIN_MAP = b"urn:iso:std:iso:ts:21496:-1"  # begin of a segment, in JPEGs without XMP
_LOSSY = {"quality": 95}
_ROWS = 256  # of pixels that are turned into bytes together
_WITH_ALPHA = ("PNG", "WEBP", "AVIF", "TIFF")
_WITH_GREY = ("PNG", "JPEG", "TIFF", "BMP")  # that have files of greys; a .ppm is of colours by its name


@dataclass(frozen=True)
class Pixels:
    """A picture as it is in its file.

    Attributes:
        rgb: float32 [3, H, W] in [0, 1], sRGB, not multiplied by alpha; or bytes, if `load_pixels` is asked for them.
        alpha: uint8 [H, W], 255 where it is opaque; None if it is so everywhere.
        grey: whether its three colours are the same in every pixel that is seen.
    """

    rgb: np.ndarray
    alpha: np.ndarray | None = None
    grey: bool = False

    def on_white(self) -> np.ndarray:
        """Its colours [3, H, W] on white."""
        if self.alpha is None:
            return self.rgb
        opacity = self.alpha.astype(np.float32) / np.float32(255)
        return as_floats(self.rgb) * opacity + (1 - opacity)


def as_floats(x: np.ndarray) -> np.ndarray:
    """Pictures in [0, 1], which stay, or bytes, of which large ones are kept for less memory, as floats."""
    return x.astype(np.float32) / np.float32(255) if x.dtype == np.uint8 else x


def load_pixels(source: str | Path | IO[bytes], as_bytes: bool = False) -> Pixels:
    """Read an image with its alpha, see `images.load_picture`.

    Args:
        source: path of the image, or a binary file.
        as_bytes: leave values of eight bits as they are, in a quarter of the memory.

    Raises:
        MediaError: if it cannot be read, or has more than 2^28 pixels.
    """
    from PIL import ImageOps

    name = name_of(source)
    with opened(source) as image:
        count = frame_count(image)
        if image.format in ("JPEG", "MPO") and _has_gain_map(image):
            warnings.warn(f"{name}: read as an SDR picture, without the gain map for HDR displays", stacklevel=2)
        elif count > 1 and not (image.format == "MPO" and _only_thumbnails(image)):
            what = "an animation, the first" if is_animation(image) else "the first"
            warnings.warn(f"{name}: {what} of {count} pictures", stacklevel=2)
        if has_further_channels(image):
            warnings.warn(
                f"{name}: channels that are neither colours nor alpha (infrared, say) are left out", stacklevel=2
            )
        if is_deep(image):
            rgb = _upright(grey_in_srgb(grey_values(image, name), image, name), image)
            hidden = hidden_values(image)
            opacity = None if hidden is None else _upright((~hidden).astype(np.uint8)[None] * np.uint8(255), image)[0]
            three = np.array(np.broadcast_to(rgb, (3, *rgb.shape[1:])))
            return Pixels(three, None if opacity is None else np.ascontiguousarray(opacity), len(rgb) == 1)
        pixels = np.array(in_srgb(ImageOps.exif_transpose(rounded(image)), name))
    opacity = None
    if pixels.shape[2] == 4:
        opacity, pixels = np.ascontiguousarray(pixels[..., 3]), pixels[..., :3]
        opacity = None if bool((opacity == 255).all()) else opacity
    rgb = pixels.transpose(2, 0, 1)
    return Pixels(rgb if as_bytes else as_floats(rgb), opacity, _is_grey(pixels, opacity))


def _is_grey(pixels: np.ndarray, alpha: np.ndarray | None) -> bool:
    """Whether colours [H, W, 3] are greys where they are seen."""
    same = (pixels[..., 0] == pixels[..., 1]) & (pixels[..., 1] == pixels[..., 2])
    return bool(same.all()) or (alpha is not None and bool((same | (alpha == 0)).all()))


def flat_rgb(image: Image.Image, name: str, quiet: bool = False) -> np.ndarray:
    """A picture of eight bits as uint8 [H, W, 3] in sRGB, on white where it is transparent (with a warning)."""
    from PIL import Image

    rgb = in_srgb(image, name)
    if rgb.mode == "RGBA":
        if not quiet and np.asarray(rgb.getchannel("A")).min(initial=255) < 255:
            warnings.warn(f"{name}: transparency is put on white", stacklevel=3)
        white = Image.new("RGBA", rgb.size, "white")
        white.alpha_composite(rgb)
        rgb = white.convert("RGB")
    return np.array(rgb)


def _upright(picture: np.ndarray, image: Image.Image) -> np.ndarray:
    """[C, H, W] turned and mirrored by the EXIF orientation."""
    orientation = int(image.getexif().get(0x0112, 1))
    if orientation in (5, 6, 7, 8):
        picture = picture.transpose(0, 2, 1)
    if orientation in (2, 3, 6, 7):
        picture = picture[..., ::-1]
    if orientation in (3, 4, 7, 8):
        picture = picture[:, ::-1]
    return picture


def _only_thumbnails(image: Any) -> bool:
    """Whether what a multi-picture JPEG holds besides its first picture are small versions of it."""
    entries = (getattr(image, "mpinfo", None) or {}).get(0xB002, [])
    return all("Thumbnail" in str(entry["Attribute"]["MPType"]) for entry in entries[1:])


def _has_gain_map(image: Any) -> bool:
    """Whether the second picture of a JPEG is a gain map (ISO 21496-1, Ultra HDR, Apple's), as phones write it."""
    about = image.info.get("xmp", b"")
    segments = getattr(image, "applist", [])
    found = isinstance(about, bytes) and any(name in about for name in _GAIN_MAPS)
    found = found or any(name == "APP2" and data.startswith(_ISO_GAIN_MAP) for name, data in segments)
    return found and frame_count(image) <= 2  # Pillow does not count that of Ultra HDR


def rgb_bytes(x: np.ndarray) -> np.ndarray:
    """[3, H, W] in [0, 1], or bytes -> uint8 [H, W, 3]."""
    out = np.empty((*x.shape[1:], 3), np.uint8)
    for first in range(0, len(out), _ROWS):  # a picture may be large: no further copy of it
        rows = x[:, first : first + _ROWS]
        values = rows if rows.dtype == np.uint8 else np.rint(rows.clip(0, 1) * np.float32(255)).astype(np.uint8)
        out[first : first + _ROWS] = values.transpose(1, 2, 0)
    return out


def save_pixels(picture: Pixels, path: str | Path) -> None:
    """Write a picture as an image, see `images.save_picture`.

    Raises:
        MediaError: if the format is unknown or the file cannot be written.
    """
    from PIL import Image

    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in WRITABLE:
        raise MediaError(f"{path}: images cannot be written as {suffix or 'a file without a suffix'!r}")
    kind = Image.registered_extensions()[suffix]
    options: dict[str, Any] = dict(_LOSSY) if kind in ("JPEG", "WEBP", "AVIF") else {}
    rgb, alpha = picture.rgb, picture.alpha
    if alpha is not None and kind not in _WITH_ALPHA:
        warnings.warn(f"{path}: transparency is put on white, which {kind} cannot keep", stacklevel=2)
        rgb, alpha = picture.on_white(), None
    pixels = rgb_bytes(rgb)
    out = Image.fromarray(pixels)
    if picture.grey and kind in _WITH_GREY:
        out = Image.fromarray(np.ascontiguousarray(pixels[..., 1]))
    if alpha is not None:
        out.putalpha(Image.fromarray(alpha))
    try:
        with replacing(path, error=MediaError) as file:
            _save(out, file, kind, options)
    except (ValueError, KeyError) as error:
        raise MediaError(f"{path}: cannot be written ({error})") from None


def _save(image: Image.Image, file: IO[bytes], kind: str, options: dict[str, Any]) -> None:
    """Write a picture; alpha of AVIF without loss, where its encoder is libaom, as it is in Pillow's own builds."""
    if kind == "AVIF" and image.mode in ("LA", "RGBA"):
        try:
            image.save(file, kind, **options, advanced={"alpha:lossless": "1"})
            return
        except (ValueError, OSError):  # another encoder, to which this means nothing
            file.seek(0)
            file.truncate()
    image.save(file, kind, **options)

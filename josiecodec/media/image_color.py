"""Colours of pictures to sRGB: by their ICC profile with LittleCMS, else by the numbers that files carry."""

from __future__ import annotations

import io
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from .color_math import Points, is_srgb, to_srgb
from .image_numbers import numbers_of

if TYPE_CHECKING:
    from PIL import Image

NUMBERS = "josiecodec_numbers"  # where in `info` what `image_numbers.numbers_of` found is kept
NARROW = "josiecodec_narrow"  # where in `info` it is kept that black is 16 and white 235
SAME = 1  # levels by which a profile may differ from sRGB and still be sRGB, whose values stay as they are
_SPACES = {"RGB ": "RGB", "GRAY": "L", "CMYK": "CMYK", "Lab ": "LAB"}


def in_srgb(image: Image.Image, name: str) -> Image.Image:
    """A picture as RGB or RGBA in sRGB.

    Its ICC profile counts first, then other numbers of its file (see `image_numbers`: Display P3, PQ, HLG, gamma,
    Adobe RGB); without both it is taken for sRGB. A profile that cannot be used is ignored with a warning.
    """
    profile, (primaries, transfer) = image.info.get("icc_profile"), image.info.get(NUMBERS) or numbers_of(image)
    alpha = "A" in image.mode or "a" in image.mode or "transparency" in image.info
    if image.info.get(NARROW):
        image = _full_range(image.convert("RGBA" if alpha else "RGB"))
    if image.mode in ("P", "PA", "LA", "La", "RGBa", "1"):
        image = image.convert("RGBA" if alpha else "L" if image.mode == "1" else "RGB")
    if image.mode == "LAB" and not profile:
        return _convert(image, _lab(), name) or image.convert("L").convert("RGB")
    if profile:
        converted = _convert(image, profile, name)
        if converted is not None:
            return converted
    rgb = image.convert("RGBA" if alpha else "RGB")
    if not profile and not is_srgb(primaries, transfer):
        return _by_numbers(rgb, primaries, transfer)
    return rgb


def in_full_range(values: np.ndarray) -> np.ndarray:
    """Values of the narrow range of video, uint8 or uint16 of any shape, spread so that black is 0 and white the
    highest number."""
    full = np.iinfo(values.dtype).max
    unit = (full + 1) // 256  # 16 and 235 of 8 bits; zeros follow in more
    spread = (values.astype(np.float32) - 16 * unit) * np.float32(full / (219 * unit))
    out: np.ndarray = np.rint(spread).clip(0, full).astype(values.dtype)
    return out


def _full_range(image: Image.Image) -> Image.Image:
    from PIL import Image

    values = np.array(image)
    values[..., :3] = in_full_range(values[..., :3])
    out = Image.fromarray(values)
    out.info = {key: value for key, value in image.info.items() if key not in (NARROW, "transparency")}
    return out


def grey_in_srgb(grey: np.ndarray, image: Image.Image, name: str) -> np.ndarray:
    """Fine greys in sRGB, by the profile or the numbers of their file.

    Args:
        grey: float32 [H, W] in [0, 1].
        image: what they were read from.
        name: for messages.

    Returns:
        float32 [1, H, W] if they stay greys, else [3, H, W].
    """
    from PIL import Image

    primaries, transfer = image.info.get(NUMBERS) or numbers_of(image)
    if image.info.get("icc_profile"):
        ramp = Image.fromarray(np.arange(256, dtype=np.uint8)[None])
        ramp.info = {"icc_profile": image.info["icc_profile"]}
        curves = np.asarray(in_srgb(ramp, name))[0].astype(np.float32) / 255
        if np.abs(curves[:, 0] * 255 - np.arange(256)).max() > SAME:
            steps = np.linspace(0, 1, 256, dtype=np.float32)
            return np.stack([np.interp(grey, steps, curve) for curve in curves.T]).astype(np.float32)
    elif not is_srgb(primaries, transfer):
        values = np.rint(grey * 65535).astype(np.uint16)
        rgb = to_srgb(np.repeat(values[..., None], 3, -1), primaries, transfer)
        return np.ascontiguousarray(rgb.transpose(2, 0, 1), np.float32) / 255
    return grey[None]


def _convert(image: Image.Image, profile: Any, name: str) -> Image.Image | None:
    """RGB or RGBA by a profile; None if it cannot be used, or changes nothing."""
    from PIL import ImageCms

    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile)) if isinstance(profile, bytes) else profile
        space = _SPACES.get(source.profile.xcolor_space)
        alpha = image.getchannel("A") if image.mode == "RGBA" else None
        colors = image.convert("RGB") if image.mode in ("RGBA", "RGBX", "YCbCr", "HSV") else image
        if space == "L" and colors.mode == "RGB":  # a grey picture whose palette or alpha made it RGB
            colors = colors.convert("L")
        elif space == "RGB" and colors.mode == "L":  # a grey picture with the profile of its camera
            colors = colors.convert("RGB")
        if space != colors.mode:
            raise ImageCms.PyCMSError(f"it is for {source.profile.xcolor_space.strip()}, the picture is {colors.mode}")
        transform = ImageCms.buildTransform(
            source,
            ImageCms.createProfile("sRGB"),
            colors.mode,
            "RGB",
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
            ImageCms.Flags.BLACKPOINTCOMPENSATION | ImageCms.Flags.HIGHRESPRECALC,
        )
        if colors.mode == "RGB" and _is_identity(transform):
            return None
        out = ImageCms.applyTransform(colors, transform)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError, AttributeError) as error:
        warnings.warn(f"{name}: its colour profile cannot be used, taken for sRGB ({error})", stacklevel=5)
        return None
    if out is None:  # never, as it is not done in place
        return None
    if alpha is not None:
        out.putalpha(alpha)
    return out


def _is_identity(transform: Any) -> bool:
    """Whether a transform changes no colour by more than a rounding error."""
    from PIL import Image, ImageCms

    steps = np.linspace(0, 255, 9).round().astype(np.uint8)
    grid = np.stack(np.meshgrid(steps, steps, steps), -1).reshape(27, 27, 3)
    out = ImageCms.applyTransform(Image.fromarray(grid), transform)
    return out is not None and bool(np.abs(np.asarray(out).astype(int) - grid).max() <= SAME)


def _lab() -> Any:
    from PIL import ImageCms

    return ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))


def nclx_numbers(head: bytes) -> tuple[int, int] | None:
    """Primaries and transfer function in the `colr` box of an AVIF or HEIF file, from its beginning; None without."""
    found = head.find(b"colrnclx")
    if found < 0 or len(head) < found + 12:
        return None
    return int.from_bytes(head[found + 8 : found + 10], "big"), int.from_bytes(head[found + 10 : found + 12], "big")


def _by_numbers(image: Image.Image, primaries: int | Points, transfer: int | float) -> Image.Image:
    from PIL import Image

    alpha = image.getchannel("A") if image.mode == "RGBA" else None
    out = Image.fromarray(to_srgb(np.asarray(image.convert("RGB")), primaries, transfer))
    if alpha is not None:
        out.putalpha(alpha)
    return out

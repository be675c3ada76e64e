"""Pictures with more than eight bits a value: what is black and white in them."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np

from .image_color import NARROW, in_full_range

if TYPE_CHECKING:
    from PIL import Image

# numbers of TIFF tags
_BITS, _PHOTOMETRIC, _SAMPLE_FORMAT, _MAX_SAMPLE = 258, 262, 339, 281
_WHITE_IS_ZERO = 0
_SIGNED = 2
DEEP_MODES = ("I", "F", "I;16", "I;16B", "I;16L", "I;16N")


def is_deep(image: Image.Image) -> bool:
    """Whether a picture has values that Pillow would cut to eight bits, or takes for others."""
    return image.mode in DEEP_MODES or _is_signed_byte(image)


def _is_signed_byte(image: Image.Image) -> bool:
    tags = getattr(image, "tag_v2", None) or {}
    return image.mode == "L" and image.format == "TIFF" and _first(tags, _SAMPLE_FORMAT, 1) == _SIGNED


def grey_values(image: Image.Image, name: str) -> np.ndarray:
    """A picture of one deep channel as float32 [H, W] in [0, 1].

    16 bits are [0, 65535], 12 bits [0, 4095], and floating-point numbers [0, 1]. Numbers that can mean anything (32
    bits, signed, floating-point numbers beyond 1) are scaled by the largest full scale that they need, with a warning.
    """
    values = np.asarray(image)
    tags = getattr(image, "tag_v2", None) or {}
    tiff = image.format == "TIFF"
    if image.mode == "L":
        grey = _from_integers(values.view(np.int8).astype(np.float64), 8, True, name)
    elif image.mode == "F":
        grey = float_values(values, name)
    elif image.mode != "I":
        values = in_full_range(values) if image.info.get(NARROW) and values.dtype == np.uint16 else values
        bits = _first(tags, _BITS, 16) if tiff else 16
        full = (1 << bits) - 1 if 8 < bits <= 16 else 65535
        stated = _first(tags, _MAX_SAMPLE, full) if tiff else full  # 12 bits may lie in 16
        grey = values.astype(np.float32) / (stated if max(255, values.max(initial=0)) <= stated < full else full)
    elif not tiff:  # of PNG and PGM, which Pillow scales to 16 bits
        grey = values.astype(np.float32) / 65535
    else:
        signed = _first(tags, _SAMPLE_FORMAT, 1) == _SIGNED
        bits = _first(tags, _BITS, 32)
        if not signed and bits == 32:
            values = values.view(np.uint32) if values.dtype == np.int32 else values
        grey = _from_integers(values.astype(np.float64), bits, signed, name)
    if tiff and _first(tags, _PHOTOMETRIC, 1) == _WHITE_IS_ZERO:
        grey = 1 - grey
    return np.clip(grey, 0, 1).astype(np.float32)


def hidden_values(image: Image.Image) -> np.ndarray | None:
    """Where a picture of one deep channel is transparent, bool [H, W]: one value of PNG means that; None if nowhere."""
    hidden = image.info.get("transparency")
    if image.format != "PNG" or not isinstance(hidden, int):
        return None
    found: np.ndarray = np.asarray(image) == hidden
    return found if found.any() else None


def _from_integers(values: np.ndarray, bits: int, signed: bool, name: str) -> np.ndarray:
    low, high = float(values.min(initial=0)), float(values.max(initial=0))
    if low < 0:  # heights, densities: no number of them is black or white by definition
        warnings.warn(f"{name}: values from {low:.0f} to {high:.0f} are taken for black to white", stacklevel=4)
        return (values - low) / (high - low)
    if bits <= 16:
        return values / ((1 << (bits - signed)) - 1)
    scales = [255.0, 65535.0, float((1 << (bits - signed)) - 1)]
    full = next(scale for scale in scales if high <= scale)
    if full == scales[-1] and high < full / 256:  # so dark that the numbers must mean something else
        full = high
    warnings.warn(f"{name}: {bits}-bit values, {full:.0f} is taken for white", stacklevel=4)
    return values / full


def float_values(values: np.ndarray, name: str) -> np.ndarray:
    """Floating-point numbers scaled so that black is 0 and white 1, with a warning if these are not theirs."""
    values = np.nan_to_num(values.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    low, high = float(values.min(initial=0)), float(values.max(initial=0))
    if low >= 0 and high <= 1:
        return values
    if low < 0:
        warnings.warn(f"{name}: values from {low:g} to {high:g} are taken for black to white", stacklevel=4)
        return (values - low) / (high - low)
    full = next((scale for scale in (255.0, 65535.0) if high <= scale), high) if high > 2 else 1.0
    what = f"{full:g} is taken for white" if full > 1 else "what is above 1 is cut off"
    warnings.warn(f"{name}: values up to {high:g}, {what}", stacklevel=4)
    return values / full


def _first(tags: object, number: int, default: int) -> int:
    value = tags.get(number, default) if hasattr(tags, "get") else default
    return int(value[0] if isinstance(value, tuple) else value)

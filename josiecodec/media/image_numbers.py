"""What the values of a picture without an ICC profile mean, by what else its file says.

PNG: `cICP`, then `sRGB`, then `gAMA` and `cHRM` (PNG, third edition, 4.3); AVIF and HEIF: the `colr` box; JPEG: the
mark of Adobe RGB that cameras set (DCF 2.0), which have no profile for it.
"""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Any

from .color_math import BT709, SRGB, UNSPECIFIED, Points, chromaticities

if TYPE_CHECKING:
    from PIL import Image

ADOBE_RGB: Points = ((0.64, 0.33), (0.21, 0.71), (0.15, 0.06), (0.3127, 0.329))
ADOBE_GAMMA = 563 / 256
NEAR_GAMMA, NEAR_POINT = 0.05, 0.003  # by which gamma and primaries may be off and still be those of sRGB
_INTEROP, _INDEX = 0xA005, 1
_MAX_CHUNKS = 1000
_DEPTH, _KIND, _GREY = 24, 25, 0  # bytes of the header of PNG, and what the second is of greys
Numbers = tuple[int | Points, int | float]


def png_numbers(file: IO[bytes]) -> tuple[int, int, bool] | None:
    """Primaries and transfer function in the `cICP` chunk of a PNG, by H.273, and whether its values are in the narrow
    range of video (16 to 235 of 8 bits); None without.

    The place in the file stays. A matrix other than RGB is against the standard, and such a chunk is not used.
    """
    place = file.tell()
    try:
        file.seek(8)
        for _ in range(_MAX_CHUNKS):
            head = file.read(8)
            size, kind = int.from_bytes(head[:4], "big"), head[4:]
            if kind == b"cICP":
                data = file.read(4)
                return (data[0], data[1], data[3] == 0) if len(data) == 4 and data[2] == 0 else None
            if len(head) < 8 or kind in (b"IDAT", b"IEND"):
                return None
            file.seek(size + 4, 1)
        return None
    finally:
        file.seek(place)


def scale_hidden(image: Image.Image, head: bytes) -> None:
    """Mend the grey of a PNG of two or four bits that means transparent, which Pillow leaves in steps of these.

    Args:
        image: of Pillow, not converted yet.
        head: first bytes of the file.
    """
    hidden, depth = image.info.get("transparency"), head[_DEPTH]
    if head[_KIND] == _GREY and depth in (2, 4) and isinstance(hidden, int):
        image.info["transparency"] = hidden * 255 // ((1 << depth) - 1)


def numbers_of(image: Image.Image) -> Numbers:
    """Primaries (by H.273, or as points) and transfer function (by H.273, or a gamma), as far as they are known.

    Of a picture as it was opened: copies do not know their format any more.
    """
    info: dict[Any, Any] = image.info
    nclx = info.get("nclx_profile")
    if isinstance(nclx, dict):
        return int(nclx.get("color_primaries", UNSPECIFIED)), int(nclx.get("transfer_characteristics", UNSPECIFIED))
    if image.format == "PNG" and "srgb" not in info:
        return _points(info.get("chromaticity")), _gamma(info.get("gamma"))
    if image.format in ("JPEG", "MPO") and _is_adobe_rgb(image):
        return ADOBE_RGB, ADOBE_GAMMA
    return UNSPECIFIED, UNSPECIFIED


def _points(values: Any) -> int | Points:
    """What PNG has: white, red, green, blue."""
    if not isinstance(values, tuple) or len(values) != 8 or not all(0 < v < 1 for v in values):
        return UNSPECIFIED
    white, red, green, blue = zip(values[::2], values[1::2])
    points: Points = (red, green, blue, white)
    usual = chromaticities(BT709)
    off = max(abs(a - b) for one, other in zip(points, usual) for a, b in zip(one, other))
    area = (green[0] - red[0]) * (blue[1] - red[1]) - (blue[0] - red[0]) * (green[1] - red[1])
    return BT709 if off < NEAR_POINT or abs(area) < 1e-3 else points


def _gamma(value: Any) -> int | float:
    """PNG stores the exponent of encoding."""
    if not isinstance(value, (int, float)) or not 0.1 < value < 10:
        return UNSPECIFIED
    return SRGB if abs(value * 2.2 - 1) < NEAR_GAMMA else 1 / value


def _is_adobe_rgb(image: Image.Image) -> bool:
    exif = image.getexif()
    try:
        return bool(exif) and str(exif.get_ifd(_INTEROP).get(_INDEX, "")).startswith("R03")
    except KeyError:  # Pillow 11 where there is no such part of EXIF
        return False

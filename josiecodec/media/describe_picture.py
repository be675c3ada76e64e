"""What is in a picture, and what will be done with it."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from .image_open import frame_count, opened
from .pixels import load_pixels


def describe_picture(path: str | Path) -> dict[str, Any]:
    """A picture: format, size and mode as they are stored, size as it is read, profile, number of pictures.

    Raises:
        MediaError: if it cannot be read.
    """
    with opened(path) as image:
        profile = image.info.get("icc_profile")
        found = {
            "format": image.format,
            "width": image.width,
            "height": image.height,
            "mode": image.mode,
            "pictures": frame_count(image),
            "profile": _profile_name(profile) if profile else None,
            "orientation": int(image.getexif().get(0x0112, 1)),
        }
    read = load_pixels(path, as_bytes=True)
    if read.alpha is not None:
        warnings.warn(f"{path}: transparency is put on white", stacklevel=2)
    return found | {"read_width": read.rgb.shape[2], "read_height": read.rgb.shape[1]}


def _profile_name(profile: bytes) -> str:
    import io

    from PIL import ImageCms

    try:
        return ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(profile))).strip()
    except (ImageCms.PyCMSError, OSError, ValueError):
        return "unreadable"


def picture_lines(found: dict[str, Any]) -> list[str]:
    stored = [str(found["format"]), f"{found['width']} x {found['height']}", str(found["mode"])]
    if found["profile"]:
        stored.append(f"colour profile {found['profile']!r}")
    if found["pictures"] > 1:
        stored.append(f"{found['pictures']} pictures")
    treated = [f"{found['read_width']} x {found['read_height']}, sRGB"]
    if found["orientation"] != 1:
        treated.append("turned upright")
    return [f"  image: {', '.join(stored)}", f"    as it is read: {', '.join(treated)}"]

"""What the metadata of a clip of pictures say of its pictures."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from ..errors import MediaError


def picture_info(meta: dict[str, Any]) -> tuple[tuple[int, int], int, Fraction]:
    """Height and width, number of pictures, and pictures per second of a clip, from its metadata.

    Raises:
        MediaError: if they are missing.
    """
    try:
        height, width = (int(n) for n in meta["size"])
        return (height, width), int(meta["pictures"]), Fraction(*map(int, meta["rate"]))
    except (KeyError, TypeError, ValueError, ArithmeticError):
        raise MediaError(f"clip {meta.get('id')!r}: its size and number of pictures are not known") from None

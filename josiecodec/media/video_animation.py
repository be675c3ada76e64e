"""Animated GIF, PNG, WebP and AVIF as the pictures of a video."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np

from .image_frames import frames, has_frames
from .image_open import frame_count, opened
from .pixels import flat_rgb

MIN_DURATION, USUAL_DURATION = 0.011, 0.1  # seconds: what says less is shown so long, as browsers do


def animation_frames(path: str | Path) -> Iterator[tuple[float, float, np.ndarray]]:
    """(time, duration, uint8 [H, W, 3]) of the pictures, in order; transparency is put on white, with one warning.

    Raises:
        MediaError: if the file cannot be read.
    """
    name, time, warned = str(path), 0.0, False
    with opened(path) as image, open(path, "rb") as file:
        for duration, picture in _put_together(image, file) if has_frames(image) else _by_pillow(image):
            duration = duration if duration >= MIN_DURATION else USUAL_DURATION
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                pixels = flat_rgb(picture, name)
            for warning in caught if not warned else ():
                warnings.warn(warning.message, stacklevel=2)
                warned = True
            yield time, duration, pixels
            time += duration


def _by_pillow(image: Any) -> Iterator[tuple[float, Any]]:
    for number in range(frame_count(image)):
        image.seek(number)
        image.load()
        yield float(image.info.get("duration") or 0) / 1000, image


def _put_together(image: Any, file: IO[bytes]) -> Iterator[tuple[float, Any]]:
    from PIL import Image

    about = {key: value for key, value in image.info.items() if key != "transparency"}
    for duration, pixels in frames(image, file):
        picture = Image.fromarray(pixels)
        picture.info, picture.format = about, image.format
        yield duration, picture

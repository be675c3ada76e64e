"""Reading of images and videos, as it runs in processes of its own: a decoder that dies takes no more than its file."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from fractions import Fraction

import numpy as np

from ..media.images import load_image
from ..media.kinds import kind_of
from ..media.video_reader import VideoReader


def read_image(path: str) -> np.ndarray | None:
    """An image as float32 [3, H, W] in [0, 1]; None of a video.

    Raises:
        MediaError: if it cannot be read.
    """
    return load_image(path).numpy() if kind_of(path) == "image" else None


def read_video(path: str, start: float, duration: float | None) -> Iterator[Fraction | np.ndarray]:
    """Pictures per second of a part of a video, in seconds, and then its pictures, uint8 [H, W, 3].

    Raises:
        MediaError: if it cannot be read.
    """
    with VideoReader(path) as reader:
        yield reader.rate
        first = round(start * reader.rate)
        last = None if duration is None else first + max(round(duration * reader.rate), 1)
        yield from itertools.islice(reader.bytes(), first, last)

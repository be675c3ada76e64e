"""The recordings that a dataset of tokens was made from: their samples, and their description for Lhotse."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import CodecError
from ..media.apart import shared_pool
from ..media.audio_open import SampleReader, clip_samples
from .compare import requested_item

MOST_SECONDS = 600.0  # of a clip that are read to say how good it is


def clip_wave(meta: dict[str, Any], folder: Path, sample_rate: int) -> np.ndarray:
    """Samples [T] of a clip from the file below `folder`, of the first minutes if it is long.

    Raises:
        CodecError: if it cannot be read.
    """
    item = requested_item(meta, folder)
    duration = min(item.duration or float(meta.get("duration") or MOST_SECONDS), MOST_SECONDS)
    part = (item.start, duration, item.channel, item.audio_track)
    try:
        wave = shared_pool().call(clip_samples, item.path, sample_rate, *part, 2 * MOST_SECONDS * sample_rate)
    except OSError as error:
        raise CodecError(f"{item.path}: {error}") from None
    if wave is None:
        raise CodecError(f"{item.path}: longer than it says")
    return np.asarray(wave)


def recording_of(source: str, folder: Path) -> dict[str, Any]:
    """A `Recording` of Lhotse of the file below `folder`, as a dictionary.

    Raises:
        CodecError: if it cannot be read, or does not say how long it is.
    """
    path = os.path.abspath(folder / source)
    try:
        with SampleReader(path) as reader:
            rate, length, channels = reader.sample_rate, reader.length, list(range(reader.channels))
    except OSError as error:
        raise CodecError(f"{path}: {error}") from None
    if not length:
        raise CodecError(f"{path}: does not say how long it is")
    sources = [{"type": "file", "channels": channels, "source": path}]
    about = {"sampling_rate": rate, "num_samples": length, "duration": length / rate, "channel_ids": channels}
    return {"id": source, "sources": sources, **about}

"""Left and right of a stereo recording."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import soxr

from .audio_frames import Sound
from .audio_mix import finite, warn_of_silenced
from .audio_open import SampleReader


def stereo_blocks(reader: SampleReader, sample_rate: int) -> Iterator[np.ndarray]:
    """The samples of a file of two channels at another rate, as float32 [2, n]; once only.

    Where it has another number of channels on the way, both are the mix to mono. Samples that are not finite count as
    silence, with a warning.

    Raises:
        MediaError: if the file is too damaged.
    """
    resampler = None
    if reader.sample_rate != sample_rate:
        resampler = soxr.ResampleStream(reader.sample_rate, sample_rate, 2, dtype="float32")
    silenced = 0
    for sound in reader.sounds():
        samples, wrong = finite(sound.samples)
        silenced += wrong
        block = _two(Sound(samples, sound.weights))
        yield (block if resampler is None else resampler.resample_chunk(block)).T
    if resampler is not None:
        yield resampler.resample_chunk(np.zeros((0, 2), np.float32), last=True).T
    warn_of_silenced(reader.name, silenced)


def _two(sound: Sound) -> np.ndarray:
    samples = sound.samples
    return samples if samples.shape[1] == 2 else np.repeat((samples @ sound.weights)[:, None], 2, 1)

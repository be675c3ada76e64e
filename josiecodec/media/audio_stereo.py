"""Left and right of a stereo recording."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import soxr
import torch
from torch import Tensor

from .audio_frames import Sound
from .audio_reader import AudioReader


def stereo_blocks(reader: AudioReader, sample_rate: int) -> Iterator[Tensor]:
    """The samples of a file of two channels at another rate, as float32 tensors [2, n]; once only.

    Where it has another number of channels on the way, both are the mix to mono. Samples that are not finite count as
    silence.

    Raises:
        MediaError: if the file is too damaged.
    """
    resampler = None
    if reader.sample_rate != sample_rate:
        resampler = soxr.ResampleStream(reader.sample_rate, sample_rate, 2, dtype="float32")
    for sound in reader.sounds():
        block = _two(sound)
        yield torch.from_numpy(block if resampler is None else resampler.resample_chunk(block)).t()
    if resampler is not None:
        yield torch.from_numpy(resampler.resample_chunk(np.zeros((0, 2), np.float32), last=True)).t()


def _two(sound: Sound) -> np.ndarray:
    samples = np.nan_to_num(sound.samples, nan=0.0, posinf=0.0, neginf=0.0)
    return samples if samples.shape[1] == 2 else np.repeat((samples @ sound.weights)[:, None], 2, 1)

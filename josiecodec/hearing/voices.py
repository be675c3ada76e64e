"""A voice from a waveform of any rate, by the speaker encoder that came with the package."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ..errors import CodecError
from ..media.audio_reader import resample
from .mel import SAMPLE_RATE
from .speaker import SHORTEST
from .store import speaker_encoder

if TYPE_CHECKING:
    from torch import Tensor

SILENT = 1e-4  # root mean square below which there is nobody, -80 dB of full scale


def speaker_embedding(waveform: Tensor | np.ndarray, sample_rate: int = 24000) -> Any:
    """Who speaks in a recording: 256 numbers of length 1, so that `a @ b` says how alike two voices are.

    Pieces of three seconds of one voice have about 0.5, of two voices about 0; docs/hearing.md has the figures.

    Args:
        waveform: mono, [T], [1, T] or [1, 1, T], floating-point, at least half a second.
        sample_rate: of it, in Hz.

    Returns:
        float32 [256], a tensor, or an array if the waveform is one.

    Raises:
        CodecError: if it is no mono waveform, too short, silent, or not finite.
    """
    wave = torch.as_tensor(np.ascontiguousarray(waveform) if isinstance(waveform, np.ndarray) else waveform)
    if not wave.ndim or wave.numel() != wave.shape[-1] or not wave.is_floating_point():
        raise CodecError(f"a voice is found in a mono waveform of floating-point numbers, not {list(wave.shape)}")
    if not 1000 <= sample_rate <= 1_000_000:
        raise CodecError(f"a sample rate of {sample_rate} Hz is none of a voice")
    wave = wave.detach().reshape(-1).float().cpu()
    if len(wave) < SHORTEST * sample_rate:
        raise CodecError(f"a voice needs {SHORTEST} s at least, not {len(wave) / sample_rate:.2f} s")
    if not bool(wave.isfinite().all()):
        raise CodecError("the waveform holds numbers that are not finite")
    if float(wave.square().mean()) < SILENT**2:
        raise CodecError("there is nobody to be heard: the recording is silent")
    found = speaker_encoder().embed(resample(wave[None], sample_rate, SAMPLE_RATE)[0])
    return found.numpy() if isinstance(waveform, np.ndarray) else found

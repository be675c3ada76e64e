"""Objective quality of decoded audio against the original.

PESQ and STOI come from the packages `pesq` and `pystoi` (extra `metrics`); both work at 16 kHz or below. All functions
take waveforms [T] of equal length in [-1, 1].
"""

from __future__ import annotations

import warnings
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from ..errors import CodecError
from ..media.audio_reader import resample
from ..nn.spectra import mel_filterbank


def pesq(decoded: Tensor, original: Tensor, sample_rate: int, mode: Literal["wb", "nb"] = "wb") -> float:
    """ITU-T P.862 (nb) or P.862.2 (wb) score, about 1 to 4.6; nan if no utterance is detected.

    Raises:
        CodecError: if the package is not installed.
    """
    try:
        import pesq as package
    except ImportError as error:
        raise CodecError("PESQ needs the extra 'metrics' (package pesq)") from error
    rate = 16000 if mode == "wb" else 8000
    x, y = (resample(w[None], sample_rate, rate)[0].numpy() for w in (original, decoded))
    if not np.any(x) or not np.any(y):
        return float("nan")
    try:
        return float(package.pesq(rate, x, y, mode))
    except package.PesqError:
        return float("nan")


def stoi(decoded: Tensor, original: Tensor, sample_rate: int) -> float:
    """Short-time objective intelligibility (Taal et al. 2011), about 0 to 1; nan for silence.

    Raises:
        CodecError: if the package is not installed.
    """
    try:
        from pystoi import stoi as score
    except ImportError as error:
        raise CodecError("STOI needs the extra 'metrics' (package pystoi)") from error
    if not bool(original.any()):
        return float("nan")
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        try:
            return float(score(original.numpy(), decoded.numpy(), sample_rate))
        except (RuntimeWarning, ValueError):  # too short, or almost silent
            return float("nan")


def si_sdr(decoded: Tensor, original: Tensor) -> float:
    """Scale-invariant signal-to-distortion ratio in dB (Le Roux et al. 2019, arXiv 1811.02508)."""
    x, y = original.double() - original.double().mean(), decoded.double() - decoded.double().mean()
    energy = x.square().sum()
    if energy == 0:
        return float("nan")
    target = (x @ y) / energy * x
    noise = (y - target).square().sum().clamp_min(1e-20)
    return float(10 * torch.log10(target.square().sum().clamp_min(1e-20) / noise))


def mel_distance(decoded: Tensor, original: Tensor, sample_rate: int) -> float:
    """Mean absolute difference of natural-log mel spectra (80 bands, windows of 1024, hop 256)."""
    window = torch.hann_window(1024) * (2 / 1024) ** 0.5
    mel = mel_filterbank(513, 80, sample_rate)
    logs = []
    for wave in (decoded, original):
        spectrum = torch.stft(wave, 1024, 256, window=window, center=True, pad_mode="constant", return_complex=True)
        logs.append((spectrum.abs().t() @ mel).clamp_min(1e-4).log())
    return float((logs[0] - logs[1]).abs().mean())


def score(decoded: Tensor, original: Tensor, sample_rate: int) -> dict[str, float]:
    """All of these metrics for one recording."""
    return {
        "pesq_wb": pesq(decoded, original, sample_rate),
        "pesq_nb": pesq(decoded, original, sample_rate, "nb"),
        "stoi": stoi(decoded, original, sample_rate),
        "si_sdr": si_sdr(decoded, original),
        "mel": mel_distance(decoded, original, sample_rate),
    }

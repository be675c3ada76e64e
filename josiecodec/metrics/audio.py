"""Objective quality of decoded audio against the original.

PESQ and STOI come from the packages `pesq` and `pystoi` (extra `metrics`); both work at 16 kHz or below. All functions
take waveforms [T] of equal length in [-1, 1].

An output of which nothing is to be heard, for an original of which something is, gets the worst value of each scale:
left out, the worst of all files would better the mean.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from functools import partial
from typing import Literal

import torch
from torch import Tensor

from ..errors import CodecError
from ..media.audio_reader import resample
from ..nn.spectra import mel_filterbank

SILENT = 1e-6  # peak about the mean below which nothing is heard, nor kept by a file of 16 bits
LOWEST_SI_SDR, HIGHEST_SI_SDR = -100.0, 200.0  # dB
# Scores of the raw -0.5 at which the measure ends, by the mappings of P.862.2 and P.862.1.
LOWEST_PESQ = {
    "wb": 0.999 + 4 / (1 + math.exp(0.5 * 1.3669 + 3.8224)),
    "nb": 0.999 + 4 / (1 + math.exp(0.5 * 1.4945 + 4.6607)),
}


def _check(decoded: Tensor, original: Tensor) -> None:
    if decoded.shape != original.shape or decoded.dim() != 1:
        raise CodecError(f"waveforms {list(decoded.shape)} and {list(original.shape)} cannot be compared")
    if not bool(torch.isfinite(decoded).all() and torch.isfinite(original).all()):
        raise CodecError("waveforms with samples that are no finite numbers cannot be compared")


def silent(wave: Tensor) -> bool:
    """Whether nothing is to be heard of a waveform [T]: no samples, or hardly any change between them."""
    return not wave.numel() or float((wave - wave.mean()).abs().max()) < SILENT


def pesq(decoded: Tensor, original: Tensor, sample_rate: int, mode: Literal["wb", "nb"] = "wb") -> float:
    """ITU-T P.862 (nb) or P.862.2 (wb) score, about 1 to 4.6; nan if no utterance is detected in the original.

    Raises:
        CodecError: if the package is not installed, or on shapes that differ or samples that are not finite.
    """
    _check(decoded, original)
    if silent(original):
        return float("nan")
    if silent(decoded):
        return LOWEST_PESQ[mode]
    try:
        import pesq as package
    except ImportError as error:
        raise CodecError("PESQ needs the extra 'metrics' (package pesq)") from error
    rate = 16000 if mode == "wb" else 8000
    x, y = (resample(w[None], sample_rate, rate)[0].numpy() for w in (original, decoded))
    try:
        return float(package.pesq(rate, x, y, mode))
    except package.PesqError:
        return float("nan")


def stoi(decoded: Tensor, original: Tensor, sample_rate: int, extended: bool = False) -> float:
    """Short-time objective intelligibility (Taal et al. 2011), 0 to 1; nan for originals that are silent or too short.

    Steady noise in place of speech still has 0.4 to 0.6, as envelopes that hardly change go with any. `extended` is
    ESTOI (Jensen and Taal 2016), which is about 0 there.

    Raises:
        CodecError: as `pesq`.
    """
    _check(decoded, original)
    try:
        from pystoi import stoi as score
    except ImportError as error:
        raise CodecError("STOI needs the extra 'metrics' (package pystoi)") from error
    if silent(original):
        return float("nan")
    if silent(decoded):
        return 0.0
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        try:
            return float(score(original.numpy(), decoded.numpy(), sample_rate, extended=extended))
        except (RuntimeWarning, ValueError):  # too short
            return float("nan")


def si_sdr(decoded: Tensor, original: Tensor) -> float:
    """Scale-invariant signal-to-distortion ratio in dB (Le Roux et al. 2019, arXiv 1811.02508), -100 to 200.

    nan for silent originals.

    Raises:
        CodecError: on shapes that differ or samples that are not finite.
    """
    _check(decoded, original)
    if silent(original):
        return float("nan")
    if silent(decoded):
        return LOWEST_SI_SDR
    x, y = original.double() - original.double().mean(), decoded.double() - decoded.double().mean()
    target = (x @ y) / x.square().sum() * x
    wanted, noise = target.square().sum(), (y - target).square().sum()
    if not float(wanted):
        return LOWEST_SI_SDR
    ratio = 10 * torch.log10(wanted / noise.clamp_min(float(wanted) * 1e-20))
    return float(ratio.clamp(LOWEST_SI_SDR, HIGHEST_SI_SDR))


def mel_distance(decoded: Tensor, original: Tensor, sample_rate: int) -> float:
    """Mean absolute difference of natural-log mel spectra (80 bands, windows of 1024, hop 256).

    Raises:
        CodecError: on shapes that differ or samples that are not finite.
    """
    _check(decoded, original)
    window = torch.hann_window(1024) * (2 / 1024) ** 0.5
    mel = mel_filterbank(513, 80, sample_rate)
    logs = []
    for wave in (decoded, original):
        spectrum = torch.stft(wave, 1024, 256, window=window, center=True, pad_mode="constant", return_complex=True)
        logs.append((spectrum.abs().t() @ mel).clamp_min(1e-4).log())
    return float((logs[0] - logs[1]).abs().mean())


MEASURES: dict[str, Callable[[Tensor, Tensor, int], float]] = {
    "pesq_wb": pesq,
    "pesq_nb": partial(pesq, mode="nb"),
    "stoi": stoi,
    "estoi": partial(stoi, extended=True),
    "si_sdr": lambda decoded, original, sample_rate: si_sdr(decoded, original),
    "mel": mel_distance,
}


def score(decoded: Tensor, original: Tensor, sample_rate: int) -> dict[str, float]:
    """All of these metrics for one recording."""
    return {name: measure(decoded, original, sample_rate) for name, measure in MEASURES.items()}

"""Objective quality of decoded images and videos against the originals: RGB in [0, 1], in floating point.

Integer input is refused: differences of uint8 wrap around, and figures from them look plausible and are wrong.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..errors import CodecError

MIN_SIDE = 176  # for which MS-SSIM with five scales of windows of 11 is defined


def mse(decoded: Tensor, original: Tensor) -> float:
    """Mean squared error of images or videos of any shape.

    Raises:
        CodecError: if they are not floating point or differ in shape.
    """
    _check(decoded, original)
    return float((decoded.double() - original.double()).square().mean())


def _check(decoded: Tensor, original: Tensor) -> None:
    for x in (decoded, original):
        if not x.is_floating_point():
            raise CodecError(f"pictures must be floating point in [0, 1], not {x.dtype}")
    if decoded.shape != original.shape:
        raise CodecError(f"pictures of shapes {list(decoded.shape)} and {list(original.shape)} cannot be compared")


def to_psnr(error: float) -> float:
    """PSNR in dB of a mean squared error, for a peak of 1; infinite for 0."""
    return -10 * math.log10(error) if error > 0 else math.inf


def psnr(decoded: Tensor, original: Tensor) -> float:
    """Peak signal-to-noise ratio over all channels (PSNR-RGB) in decibels.

    Raises:
        CodecError: as `mse`.
    """
    return to_psnr(mse(decoded, original))


def frame_difference_psnr(decoded: Tensor, original: Tensor) -> float:
    """PSNR of the differences of successive pictures of videos [3, T, H, W]: low where still parts flicker.

    The peak is 1, as in `psnr`; nan for videos of fewer than two pictures.

    Raises:
        CodecError: as `mse`.
    """
    _check(decoded, original)
    if decoded.shape[1] < 2:
        return math.nan
    return psnr(decoded.double().diff(dim=1), original.double().diff(dim=1))


def ms_ssim(decoded: Tensor, original: Tensor) -> float:
    """Multi-scale structural similarity (Wang et al. 2003) of images [3, H, W]; nan if a side is below `MIN_SIDE`.

    Raises:
        CodecError: if the package torchmetrics is not installed, or as `mse`.
    """
    _check(decoded, original)
    if min(decoded.shape[-2:]) < MIN_SIDE:
        return math.nan
    return float(ms_ssim_batch(decoded.unsqueeze(0), original.unsqueeze(0)))


def ms_ssim_batch(decoded: Tensor, original: Tensor) -> Tensor:
    """Mean `ms_ssim` of images [B, 3, H, W] as a scalar tensor with gradients.

    Raises:
        CodecError: if the package torchmetrics is not installed.
    """
    try:
        from torchmetrics.functional.image import multiscale_structural_similarity_index_measure
    except ImportError as error:
        raise CodecError("MS-SSIM needs the extra 'metrics' (package torchmetrics)") from error
    value = multiscale_structural_similarity_index_measure(decoded, original, data_range=1.0)
    return value if isinstance(value, Tensor) else torch.stack(list(value)).mean()

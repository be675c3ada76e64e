"""How good decoded pictures are, beside the originals. All take RGB [..., 3, H, W] in [0, 1], in floating point.

Pictures as bytes are refused: a difference of uint8 wraps around, and figures from it look fine and are wrong.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..errors import CodecError

SMALLEST = 161  # side for which MS-SSIM with five scales is defined


def mse(decoded: Tensor, original: Tensor) -> float:
    """Mean squared error.

    Raises:
        CodecError: if the pictures are not floating point or differ in shape.
    """
    for x in (decoded, original):
        if not x.is_floating_point():
            raise CodecError(f"pictures must be floating point in [0, 1], not {x.dtype}")
    if decoded.shape != original.shape:
        raise CodecError(f"pictures of shapes {list(decoded.shape)} and {list(original.shape)} cannot be compared")
    return float((decoded.double() - original.double()).square().mean())


def to_psnr(error: float) -> float:
    """Decibels of a mean squared error; infinite for 0."""
    return -10 * math.log10(error) if error > 0 else math.inf


def psnr(decoded: Tensor, original: Tensor) -> float:
    """Peak signal-to-noise ratio over all channels (PSNR-RGB) in decibels.

    Raises:
        CodecError: as `mse`.
    """
    return to_psnr(mse(decoded, original))


def frame_difference_psnr(decoded: Tensor, original: Tensor) -> float:
    """PSNR of what changes from picture to picture of videos [3, T, H, W]: low where still parts flicker.

    The peak is 1, as in `psnr`; nan for videos of less than two pictures.

    Raises:
        CodecError: as `mse`.
    """
    mse(decoded[:, :1], original[:, :1])
    if decoded.shape[1] < 2:
        return math.nan
    return psnr(decoded.double().diff(dim=1), original.double().diff(dim=1))


def ms_ssim(decoded: Tensor, original: Tensor) -> float:
    """Multi-scale structural similarity (Wang et al. 2003) of pictures [3, H, W]; nan if a side is below 161.

    Raises:
        CodecError: if the package torchmetrics is not installed, or as `mse`.
    """
    mse(decoded, original)
    if min(decoded.shape[-2:]) < SMALLEST:
        return math.nan
    return float(ms_ssim_batch(decoded.unsqueeze(0), original.unsqueeze(0)))


def ms_ssim_batch(decoded: Tensor, original: Tensor) -> Tensor:
    """The mean of `ms_ssim` of pictures [B, 3, H, W], as a tensor that gradients flow through.

    Raises:
        CodecError: if the package torchmetrics is not installed.
    """
    try:
        from torchmetrics.functional.image import multiscale_structural_similarity_index_measure
    except ImportError as error:
        raise CodecError("MS-SSIM needs the extra 'metrics' (package torchmetrics)") from error
    value = multiscale_structural_similarity_index_measure(decoded, original, data_range=1.0)
    return value if isinstance(value, Tensor) else torch.stack(list(value)).mean()

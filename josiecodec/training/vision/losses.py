"""What a vision codec is trained to minimise: all terms, weighted and named."""

from __future__ import annotations

from torch import Tensor

from ...metrics.vision import ms_ssim_batch
from .config import LossConfig


def losses(weights: LossConfig, decoded: Tensor, groups: Tensor, vq: Tensor) -> dict[str, Tensor]:
    """All terms of one batch.

    Args:
        weights: of the terms.
        decoded: frame groups [B, G, 6, H, W], see `josiecodec.vision.grouping`.
        groups: what they should be.
        vq: the commitment and codebook losses.

    Returns:
        the terms by name, unweighted; `psnr` in dB, for the log; and `loss`, their weighted sum.
    """
    error = (decoded.float() - groups).square()
    mean, half = error[:, :, :3].mean((1, 2, 3, 4)), error[:, :, 3:].mean((1, 2, 3, 4))
    item = mean + weights.difference * half
    terms = {"log_mse": (item + 1e-5).log().mean(), "mse": item.mean(), "vq": vq}
    total = weights.log_mse * terms["log_mse"] + weights.mse * terms["mse"] + weights.vq * terms["vq"]
    if weights.ms_ssim:
        shown = decoded[:, :, :3].float().flatten(0, 1).clamp(0, 1)
        terms["ms_ssim"] = ms_ssim_batch(shown, groups[:, :, :3].flatten(0, 1))
        total = total + weights.ms_ssim * (1 - terms["ms_ssim"])
    return {**terms, "psnr": -10 * mean.mean().detach().log10(), "loss": total}

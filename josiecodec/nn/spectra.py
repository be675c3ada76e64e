"""Short-time spectra for losses, laid out so that their gradient is cheap."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


class _RealFFT(torch.autograd.Function):
    """`torch.fft.rfft` over an even last axis with a gradient of one inverse real transform.

    (The built-in gradient runs a complex transform of twice the size.)
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.size = x.shape[-1]
        return torch.fft.rfft(x)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        # irfft counts every bin but the first and the last twice and divides by the size.
        grad = grad * (ctx.size / 2)
        grad[..., 0] *= 2
        grad[..., -1] *= 2
        return torch.fft.irfft(grad, ctx.size)


def real_fft(x: Tensor) -> Tensor:
    """Spectrum of real frames: [..., n] (n even) -> complex [..., n / 2 + 1]."""
    return _RealFFT.apply(x)


def fourier_matrix(size: int) -> Tensor:
    """Real Fourier transform of `size` samples (even) as a matrix [size + 2, size]: real, then imaginary parts."""
    turns = torch.arange(size // 2 + 1)[:, None] * torch.arange(size) % size  # whole numbers, so that nothing is lost
    angles = turns.double() * (2 * math.pi / size)
    return torch.cat([angles.cos(), -angles.sin()]).float()


def overlapping_frames(x: Tensor, window: int, overlap: int = 4) -> Tensor:
    """Cut [B, T] into frames of `window` samples, `overlap` of them over every sample.

    Returns [B, overlap, n, window]; frame (i, j) starts at sample (j + i / overlap) * window. The order
    in time does not matter to a loss, and a few plain views have a gradient of a few additions, where
    a sliding view (`unfold`) would scatter sample by sample.
    """
    hop = window // overlap
    x = F.pad(x, (window // 2, window // 2))
    count = (x.shape[-1] - (overlap - 1) * hop) // window
    views = [x[:, i * hop : i * hop + count * window].reshape(len(x), count, window) for i in range(overlap)]
    return torch.stack(views, 1)


def mel_filterbank(bins: int, mels: int, sample_rate: int) -> Tensor:
    """Triangular filters, equally spaced on the HTK mel scale, [bins, mels], each of peak 1.

    Filters narrower than a bin are widened to two bins, so that none is empty.
    """
    top = 2595 * torch.log10(torch.tensor(1 + sample_rate / 2 / 700))
    edges = 700 * (10 ** (torch.linspace(0, float(top), mels + 2) / 2595) - 1)
    freqs = torch.linspace(0, sample_rate / 2, bins)
    width = sample_rate / 2 / (bins - 1)
    left = (edges[1:-1] - edges[:-2]).clamp_min(width)
    right = (edges[2:] - edges[1:-1]).clamp_min(width)
    offset = freqs[:, None] - edges[None, 1:-1]
    return torch.minimum(1 + offset / left, 1 - offset / right).clamp_min(0)

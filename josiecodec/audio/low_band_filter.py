"""A network behind the codes of a waveform layer: short spectra of the decoded low band, cleaned with the base's help.

What codes leave between harmonics is noise that masking does not cover, and what they did not reach the base has. So a
causal network hears both and draws complex gains for both, in every bin of compressed spectra:

    spectrum' = spectrum (1 + a) + base's c         in magnitudes to the power of 0.4

Arithmetic is real throughout, and powers are taken by way of logarithms, so that streams are exact (`variance.py`).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from ..nn.convnext import ConvNeXtBlock
from ..nn.linear import RowStableLinear, stable_linear
from ..nn.spectra import fourier_matrix
from ..nn.streaming import State, Streaming, run, with_past
from .layer_configs import LowBandFilterConfig
from .spectral import InverseSpectrum
from .variance import COMPRESSION

FEATURES = 6
EPSILON, FLOOR = 1e-10, 1e-8  # of squared magnitudes: of spectra, and of compressed ones
ABOVE, FADE, TAPER = 75.0, 50.0, 150.0  # Hz that are heard above the cutoff, up to where it is changed, fading over


class LowBandFilter(Streaming):
    """Low bands, decoded and of the base, [B, n] -> what to add to the decoded one, [B, n], late by `config.delay`.

    n must be a whole number of hops.

    Args:
        config: see there.
        sample_rate: of the low band.
        cutoff: Hz up to which the layer codes.
    """

    matrix: Tensor
    back: Tensor
    taper: Tensor
    advance: Tensor
    scale: Tensor

    def __init__(self, config: LowBandFilterConfig, sample_rate: float, cutoff: float):
        super().__init__()
        size, width = config.window, config.width
        self.config = config
        self.bins = bins = min(int((cutoff + ABOVE) * size / sample_rate), size // 2)
        real, imag = fourier_matrix(size).chunk(2)
        window = torch.hann_window(size) * (2 / size)
        self.register_buffer("matrix", torch.cat([real[:bins], imag[:bins]]) * window, False)
        twice = torch.full((bins, 1), 2.0)  # the bins that stand for their mirror images, too
        twice[0] = 1.0
        # `InverseSpectrum` scales by the root of half the window again.
        back = torch.cat([real[:bins] * twice, imag[:bins] * twice]) / size * (2 / size) ** 0.5
        self.register_buffer("back", back.t().contiguous(), False)
        self.synthesis = InverseSpectrum(config.hop, size)
        frequency = torch.arange(bins) * (sample_rate / size)
        self.register_buffer("taper", ((cutoff + FADE - frequency) / TAPER).clamp(0, 1), False)
        turn = 2 * math.pi * torch.arange(bins, dtype=torch.float64) * config.hop / size
        self.register_buffer("advance", torch.stack([turn.cos(), -turn.sin()]).float(), False)
        self.register_buffer("scale", torch.full((bins,), 8.0))  # about 1 / the usual compressed magnitude
        self.input_proj = RowStableLinear(FEATURES * bins, width)
        self.level_proj = RowStableLinear(2, width)
        self.blocks = nn.Sequential(
            *[ConvNeXtBlock(width, config.expansion, config.kernel) for _ in range(config.blocks)]
        )
        self.norm = nn.LayerNorm(width)
        self.output_proj = RowStableLinear(width, 4 * bins)
        nn.init.zeros_(self.output_proj.weight)
        nn.init.zeros_(self.output_proj.bias)

    def forward(self, decoded: Tensor, base: Tensor, levels: float | Tensor, state: State | None = None) -> Tensor:
        """See the class.

        `levels` is the share of all levels that were used: one number, [B], or [B, n / hop] of each window; the number
        0 to fade out.
        """
        count = len(decoded)
        both = with_past(self, torch.cat([decoded, base]), self.config.delay, 1, state)
        frames = both.unfold(1, self.config.window, self.config.hop)
        real, imag = stable_linear(frames, self.matrix, None).chunk(2, -1)
        magnitude = (real.square() + imag.square() + EPSILON).sqrt()
        size = (COMPRESSION * magnitude.log()).exp()
        unit_real, unit_imag = real / magnitude, imag / magnitude
        sizes, base_size = size[:count], size[count:]
        u, v = (unit_real[:count], unit_imag[:count]), (unit_real[count:], unit_imag[count:])
        less = torch.minimum(sizes, base_size)
        before = with_past(self.norm, torch.cat(u, -1), 1, 1, state)[:, :-1].chunk(2, -1)
        turned = _times(u, (before[0], -before[1]))
        turned = _times(turned, (self.advance[0], self.advance[1]))
        agreement = _times(u, (v[0], -v[1]))
        parts = (sizes, base_size, agreement[0] * less, agreement[1] * less, turned[0] * sizes, turned[1] * sizes)
        features = torch.cat([part * self.scale for part in parts], -1)
        share = torch.as_tensor(levels, dtype=features.dtype, device=features.device)
        share = share.unsqueeze(-1) if share.dim() == 2 else share.reshape(-1, 1, 1)
        told = self.level_proj(torch.cat([share, share.square()], -1))
        hidden = run(self.blocks, self.input_proj(features.to(self.input_proj.weight.dtype)) + told, state)
        gains = self.output_proj(self.norm(hidden)).float().chunk(4, -1)
        compressed = _times((u[0] * sizes, u[1] * sizes), (1 + gains[0], gains[1]))
        more = _times((v[0] * base_size, v[1] * base_size), (gains[2], gains[3]))
        drawn = compressed[0] + more[0], compressed[1] + more[1]
        energy = drawn[0].square() + drawn[1].square() + FLOOR
        expand = (0.5 * (1 / COMPRESSION - 1) * energy.log()).exp()
        change = [(part * expand - own[:count]) * self.taper for part, own in zip(drawn, (real, imag), strict=True)]
        # Scaled down by the analysis window's 2 / size.
        frames = stable_linear(torch.cat(change, -1) * (0.5 * self.config.window), self.back, None)
        # Where nothing was coded there is nothing to clean: the base stays as it is.
        frames = frames * (share > 0)
        return self.synthesis.overlap_add(frames, state)[:, 0]


def _times(x: tuple[Tensor, Tensor], y: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """Product of complex numbers in parts."""
    return x[0] * y[0] - x[1] * y[1], x[0] * y[1] + x[1] * y[0]


class Delay(Streaming):
    """[B, n] -> the same later by so many samples."""

    def __init__(self, samples: int):
        super().__init__()
        self.samples = samples

    def forward(self, x: Tensor, state: State | None = None) -> Tensor:
        return with_past(self, x, self.samples, 1, state)[:, : x.shape[1]]

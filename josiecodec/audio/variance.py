"""How large each coefficient of a waveform's low band is likely to be, told from its decoded base alone."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from ..nn.convnext import ConvNeXtBlock
from ..nn.linear import RowStableLinear, stable_linear
from ..nn.spectra import fourier_matrix
from ..nn.streaming import State, Streaming, run, with_past

FLOOR = 1e-8  # of powers: that of a sine of full scale is about half a hop
SHORT = 4  # short spectra in each hop
COMPRESSION = 0.4  # power to which their magnitudes are raised


class VarianceNetwork(Streaming):
    """Low band of a base [B, n * hop] -> natural logarithms of variances of MDCT coefficients, [B, n, coefficients].

    What the base's own power says, smoothed over three coefficients, plus what a causal ConvNeXt network adds to it: it
    hears that power and four short spectra of each hop, whose windows end with it.

    Args:
        hop: samples between two transforms; their windows are two hops long and end with their hop.
        coefficients: of each transform, an even number.
        width, blocks, expansion, kernel: of the network.
    """

    long: Tensor
    short: Tensor

    def __init__(self, hop: int, coefficients: int, width: int, blocks: int, expansion: int, kernel: int):
        super().__init__()
        self.hop, self.coefficients = hop, coefficients
        self.bins = min(coefficients // 2 + 4, hop // 2 + 1)  # of the short spectra, up to a little above the last one
        sine = torch.sin(math.pi / (2 * hop) * (torch.arange(2 * hop) + 0.5)) / hop**0.5
        self.register_buffer("long", _spectrum(sine, coefficients + 1), False)
        self.register_buffer("short", _spectrum(torch.hann_window(hop) * (2 / hop), self.bins), False)
        self.input_proj = RowStableLinear(coefficients + SHORT * self.bins, width)
        self.blocks = nn.Sequential(*[ConvNeXtBlock(width, expansion, kernel) for _ in range(blocks)])
        self.norm = nn.LayerNorm(width)
        self.output_proj = RowStableLinear(width, coefficients)
        nn.init.zeros_(self.output_proj.weight)
        nn.init.zeros_(self.output_proj.bias)

    def forward(self, base: Tensor, state: State | None = None) -> Tensor:
        features, log_power = self.hear(base, state)
        return log_power + self.told(features)

    def hear(self, base: Tensor, state: State | None = None) -> tuple[Tensor, Tensor]:
        """Features of the network [B, n, width], and the logarithm of the base's smoothed power."""
        base = with_past(self, base, self.hop, 1, state)
        power = _power(base.unfold(1, 2 * self.hop, self.hop), self.long)
        power = 0.5 * (power[..., :-1] + power[..., 1:])
        step = self.hop // SHORT
        short = base[:, step:].unfold(1, self.hop, step)  # the last one of each hop ends with it
        short = compressed_magnitude((_power(short, self.short) + 1e-10).sqrt()).reshape(*power.shape[:2], -1)
        # Scaled to about unit variance for speech.
        features = torch.cat([(power + FLOOR).log() * 0.2 + 2, short * 8 - 1], -1)
        features = run(self.blocks, self.input_proj(features.to(self.input_proj.weight.dtype)), state)
        around = torch.cat([power[..., :1], power, power[..., -1:]], -1)
        return features, ((around[..., :-2] + power + around[..., 2:]) / 3 + FLOOR).log()

    def told(self, features: Tensor) -> Tensor:
        """What the network adds to the logarithm of the power."""
        return self.output_proj(self.norm(features)).float()


def compressed_magnitude(x: Tensor) -> Tensor:
    """Positive numbers to the power of `COMPRESSION`.

    By way of logarithms: other than `pow`, these do not treat the last few numbers of a tensor in another way than all
    others, so that it does not matter where a stream was cut.
    """
    return (COMPRESSION * x.log()).exp()


def _spectrum(window: Tensor, bins: int) -> Tensor:
    """Matrix of the first bins of a windowed Fourier transform, [2 * bins, size]: real, then imaginary parts."""
    real, imag = fourier_matrix(len(window)).chunk(2)
    return torch.cat([real[:bins], imag[:bins]]) * window


def _power(frames: Tensor, matrix: Tensor) -> Tensor:
    """Squared magnitudes of the bins: [B, n, size] -> [B, n, bins]."""
    real, imag = stable_linear(frames, matrix, None).chunk(2, -1)
    return real.square() + imag.square()

"""From decoded coefficients of a waveform layer, and those of its base, to coefficients of the low band."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..errors import ConfigError
from ..nn.convnext import ConvNeXtBlock
from ..nn.linear import RowStableLinear
from ..nn.streaming import State, Streaming, run
from .variance import COMPRESSION, check_width, compressed_magnitude

FEATURES, PARTS = 6, 3
ALL_BASE, RAMP = 0.8, 0.15  # shares not coded from which on the base is used, and over which, as it is


@dataclass(frozen=True)
class CoefficientNetworkConfig:
    """Settings of the network of a `CoefficientDecoder`: a causal ConvNeXt of so many blocks at the frame rate."""

    width: int = 448
    blocks: int = 4
    expansion: int = 2
    kernel: int = 4

    def __post_init__(self) -> None:
        if min(self.width, self.expansion, self.kernel) < 1 or self.blocks < 0:
            raise ConfigError("waveform.network: sizes must be positive")
        check_width("waveform.network", self.width * self.expansion)


@dataclass
class Decoded:
    """What is known of a stretch of coefficients, all [B, n, K].

    Attributes:
        coded: what the codes add up to.
        base: the base's own.
        power: the base's power, scaled as squared coefficients.
        log_variance: natural logarithm of the variances that were told from the base.
        uncoded: share of these that no code takes off, 0..1.
        levels: share of all levels that were used, 0..1.
    """

    coded: Tensor
    base: Tensor
    power: Tensor
    log_variance: Tensor
    uncoded: Tensor
    levels: float | Tensor


class CoefficientDecoder(Streaming):
    """Puts the base's coefficients where nothing was coded, and lets a network better the outcome.

    A coefficient that was coded in part lacks energy, which the base gives: `fill` times its own, as far as it was not
    coded; all of its own where nothing was. The network has for every coefficient a gain on what was coded, one on the
    base's, and a small free part, all zero before training.

    Args:
        coefficients: K.
        hops: of a frame.
        fill: initial values of the parameter.
        config: of the network; None for none.
    """

    def __init__(self, coefficients: int, hops: int, fill: float, config: CoefficientNetworkConfig | None):
        super().__init__()
        self.hops = hops
        self.fill = nn.Parameter(torch.full((coefficients,), fill))
        self.network = config is not None
        if config is not None:
            self.input_proj = RowStableLinear(hops * FEATURES * coefficients, config.width)
            self.level_proj = RowStableLinear(2, config.width)
            self.blocks = nn.Sequential(
                *[ConvNeXtBlock(config.width, config.expansion, config.kernel) for _ in range(config.blocks)]
            )
            self.norm = nn.LayerNorm(config.width)
            self.output_proj = RowStableLinear(config.width, hops * PARTS * coefficients)
            nn.init.zeros_(self.output_proj.weight)
            nn.init.zeros_(self.output_proj.bias)

    def filled(self, x: Decoded) -> Tensor:
        """What was coded, and the base where it was not."""
        gain = self.fill + (1 - self.fill) * ((x.uncoded - ALL_BASE) / RAMP).clamp(0, 1)
        return x.coded + gain * x.base * x.uncoded.sqrt()

    def forward(self, x: Decoded, state: State | None = None) -> Tensor:
        """Coefficients [B, n, K]; n must be a whole number of frames."""
        filled = self.filled(x)
        if not self.network:
            return filled
        features = (
            _compressed(x.coded),
            _compressed(x.base),
            compressed_magnitude(x.coded.abs() + 1e-5),
            compressed_magnitude((x.power + 1e-9).sqrt()),
            (0.5 * COMPRESSION * x.log_variance).exp(),
            x.uncoded * 0.25,
        )
        batch, steps, size = x.coded.shape
        frames = (torch.cat(features, -1) * 4).reshape(batch, steps // self.hops, -1)
        levels = torch.as_tensor(x.levels, dtype=frames.dtype, device=frames.device).reshape(-1, 1)
        told = self.level_proj(torch.cat([levels, levels.square()], -1)).unsqueeze(1)
        hidden = run(self.blocks, self.input_proj(frames) + told, state)
        parts = self.output_proj(self.norm(hidden)).float().reshape(batch, steps, PARTS * size)
        coded, base, free = parts.chunk(PARTS, -1)
        return filled + coded * x.coded + base * x.base + free * 0.3 * (0.5 * x.log_variance).exp()


def _compressed(x: Tensor) -> Tensor:
    return x.sign() * compressed_magnitude(x.abs() + 1e-5)

"""Where the bits of each level of a waveform layer go, from the variances of coefficients alone.

Level after level takes `bits` off the weighted variances that are left, where they are largest (reverse water-filling).
Weights fall with frequency by a schedule: the first levels code the lowest band well rather than all of it badly.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..quantization.shaped_rvq import shapes_of, water_levels
from .layer_configs import SLOPE, BandStep

MAX_LOG_VARIANCE = 40.0


@dataclass
class BitPlan:
    """How the coefficients of N frames are coded, as both sides know it from the base.

    Attributes:
        weights: [N, D] of each level, by which squared errors count.
        left: [L + 1, N, D], variance that is left after 0, 1, ... levels.
    """

    weights: list[Tensor]
    left: Tensor

    def shapes(self) -> Tensor:
        """[L, N, D], see `shaped_rvq.py`."""
        return shapes_of(self.left)


@dataclass
class ShapedVectors:
    """What a layer codes of N frames, and what both sides know of it.

    Attributes:
        target: the numbers to code, [N, D].
        log_variance: natural logarithms of their variances, [N, D].
        frequency: of each number in Hz, [N, D] or [D].
    """

    target: Tensor
    log_variance: Tensor
    frequency: Tensor


def _emphasis(step: BandStep, frequency: Tensor) -> Tensor:
    """Natural logarithm of the weights of squared errors at frequencies in Hz."""
    return -step.drop * math.log(10) / 10 * ((frequency - step.edge) / SLOPE).clamp(0, 1)


def plan_bits(
    log_variance: Tensor, levels: int, schedule: Sequence[BandStep], frequency: Tensor, tilt: Tensor, bits: float
) -> BitPlan:
    """Plan the first levels for vectors of known variances.

    Args:
        log_variance: natural logarithms [N, D].
        levels: how many are used; what a level codes does not depend on it.
        schedule: see `BandStep`.
        frequency: Hz of each number, [D] or [N, D].
        tilt: natural logarithms of weights that count at all levels, [D] or [N, D].
        bits: that a level takes off a vector.
    """
    first = log_variance.nan_to_num(-MAX_LOG_VARIANCE).clamp(-MAX_LOG_VARIANCE, MAX_LOG_VARIANCE)
    rest, begin = first, 0
    weights: list[Tensor] = []
    left = [first.exp().unsqueeze(0)]
    for step in schedule:
        count = min(step.until, levels) - begin
        if count <= 0:
            break
        log_weight = (_emphasis(step, frequency) + tilt).expand_as(first)
        after = torch.minimum(rest + log_weight, water_levels(rest + log_weight, count, bits)) - log_weight
        weights += [log_weight.exp()] * count
        left.append(after.exp())
        rest, begin = after[-1], begin + count
    return BitPlan(weights, torch.cat(left))

"""What changes in the course of a run, as functions of how far it has come."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..audio.config import DescentConfig, QuantizationConfig


def learning_rate(config: DescentConfig, progress: float, steps_since_change: int) -> float:
    """Cosine over the run's progress (0..1), with a linear rise after the start or a change of plan."""
    cosine = config.final + (1 - config.final) * 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))
    return config.lr * cosine * min(1.0, (steps_since_change + 1) / max(config.warmup, 1))


def ramp(progress: float, start: float, length: float = 0.03) -> float:
    """0 before `start`, then rising to 1."""
    return min(max((progress - start) / length, 0.0), 1.0) if progress >= start else 0.0


def bypass_share(config: QuantizationConfig, progress: float) -> float:
    """Share of the items that skip the codebooks."""
    done = min(progress / 0.5, 1.0)
    return config.bypass_start + (config.bypass_end - config.bypass_start) * done


def draw_levels(config: QuantizationConfig, items: int, default: int, most: int, generator: torch.Generator) -> Tensor:
    """Levels for each item of a batch [items]; the semantic level is always among them."""
    kind = torch.rand(items, generator=generator)
    fewer = torch.randint(1, max(default, 2), (items,), generator=generator)
    more = torch.randint(min(default + 1, most), most + 1, (items,), generator=generator)
    levels = torch.full((items,), default)
    levels = torch.where(kind < config.fewer, fewer, levels)
    return torch.where(kind > 1 - config.more, more, levels)

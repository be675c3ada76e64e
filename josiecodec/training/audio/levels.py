"""How many levels items of a batch have in training, and which of them skip the codebooks."""

from __future__ import annotations

import torch
from torch import Tensor

from .config import QuantizationConfig


def bypass_share(config: QuantizationConfig, progress: float) -> float:
    """Share of the items that skip the codebooks."""
    done = min(progress / 0.5, 1.0)
    return config.bypass_start + (config.bypass_end - config.bypass_start) * done


def draw_levels(
    config: QuantizationConfig, items: int, default: int, max_levels: int, generator: torch.Generator
) -> Tensor:
    """Levels for each item of a batch [items]; the semantic level is always among them."""
    kind = torch.rand(items, generator=generator)
    fewer = torch.randint(1, max(default, 2), (items,), generator=generator)
    more = torch.randint(min(default + 1, max_levels), max_levels + 1, (items,), generator=generator)
    levels = torch.full((items,), default)
    levels = torch.where(kind < config.fewer, fewer, levels)
    return torch.where(kind > 1 - config.more, more, levels)

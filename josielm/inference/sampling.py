"""Drawing an id from logits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from josiecodec.errors import ConfigError


@dataclass(frozen=True)
class Draw:
    """How one stream is drawn.

    Attributes:
        temperature: 0 takes the likeliest; 1 draws as the model says.
        top_k: draw among so many of the likeliest; 0 for all.
    """

    temperature: float = 0.8
    top_k: int = 250

    def __post_init__(self) -> None:
        if self.temperature < 0 or self.top_k < 0:
            raise ConfigError("temperature and top-k must not be negative")


@dataclass(frozen=True)
class Sampling:
    """How text, the semantic level and the acoustic levels are drawn."""

    text: Draw = Draw(0.7, 25)
    semantic: Draw = Draw()
    acoustic: Draw = Draw()

    def level(self, level: int) -> Draw:
        """How codes of a level are drawn."""
        return self.acoustic if level else self.semantic


def draw(logits: Tensor, how: Draw, generators: Sequence[torch.Generator]) -> Tensor:
    """An id for each row of logits [B, V]; every row has its own generator, so it does not matter what is beside it."""
    if how.temperature == 0:
        return logits.argmax(-1)
    logits = logits.float() / how.temperature
    if 0 < how.top_k < logits.shape[-1]:
        threshold = logits.topk(how.top_k, -1).values[:, -1:]
        logits = logits.masked_fill(logits < threshold, float("-inf"))
    # the likeliest after noise of the Gumbel kind is a fair draw
    noise = torch.stack([torch.empty(logits.shape[-1]).exponential_(generator=g) for g in generators])
    return (logits.softmax(-1) / noise.to(logits.device).clamp_min(1e-20)).argmax(-1)

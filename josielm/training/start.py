"""Where a model starts: from what is known before it has learnt anything.

Codes are not equally frequent, and codes whose vectors in the codec lie close together sound alike. A model of
millions of parameters takes long to find that out from a few hours of sound.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ..model.language_model import LM
from ..model.tables import LevelTables


@torch.no_grad()
def start_from_counts(model: LM, logs: Tensor) -> None:
    """Let the heads begin as the frequencies of the codes, [K, codebook_size] (logarithms)."""
    for head, row in zip(_heads(model), logs):
        if head.bias is not None:
            head.bias.copy_(row)
        head.weight.mul_(0.1)


@torch.no_grad()
def start_from_vectors(model: LM, vectors: list[Tensor], seed: int = 0) -> None:
    """Let tables and heads begin as random images of the codec's own code vectors.

    Args:
        model: its tables keep their size, heads are made small.
        vectors: of each level, [codebook_size, any width].
        seed: of the images.
    """
    random = torch.Generator().manual_seed(seed)
    known = [(v - v.mean(0)) / v.std().clamp_min(1e-9) for v in vectors]
    tables = [model.code_tables, *([] if model.depth.tied else [model.depth.code_tables])]
    for group in [*tables, *([model.user_tables] if model.user_tables is not None else [])]:
        _fill_tables(group, known, random)
    for head, v in zip(_heads(model), known):
        width = model.config.depth.dim if head is not getattr(model, "semantic_projection", None) else None
        image = torch.randn(v.shape[1], width or model.config.temporal.dim, generator=random)
        head.weight[:, : image.shape[1]] = 0.05 * v @ image * v.shape[1] ** -0.5


def code_vectors(codec: Any, n_q: int) -> list[Tensor]:
    """The vectors that a `Jodio` stands codes of its first `n_q` levels for."""
    levels = [codec.quantizer.acoustic_rvq.level(k) for k in range(n_q - 1)]
    return [
        codec.quantizer.semantic_vq.codebook.weight,
        *(quantizer.codebook.weight * scale for quantizer, scale in levels),
    ]


def _heads(model: LM) -> list[nn.Linear]:
    first: Any = model.semantic_projection if model.config.semantic == "split" else model.depth.semantic_projection
    rest: Any = list(model.depth.acoustic_projections)
    return [first, *rest]


def _fill_tables(tables: LevelTables, known: list[Tensor], random: torch.Generator) -> None:
    for level, table in enumerate(tables.tables):
        assert isinstance(table.weight, Tensor)  # an embedding
        rows, width = known[level].shape
        image = torch.randn(width, table.weight.shape[1], generator=random) * width**-0.5
        table.weight[:rows] = known[level] @ image * table.weight[:rows].std().item()  # the model may be elsewhere

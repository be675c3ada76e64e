"""How well a model predicts: nats per code of each level, beside what the codes cost without it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from math import nan

import torch
from torch import Tensor

from ..data.batches import Item, Pieces, collate
from ..data.missing import without
from ..data.modalities import Modality
from ..model.language_model import LM
from .baselines import Floors
from .losses import Losses, losses


@torch.no_grad()
def negative_log_likelihood(
    model: LM,
    pieces: Pieces,
    max_frames: int | None = None,
    batch: int = 16,
    bf16: bool = False,
    lacking: Sequence[Modality] = (),
) -> dict[str, float]:
    """Nats per id of each stream, over every clip from its first frame to its last.

    Args:
        model: what is judged.
        pieces: the data; a model starts afresh with every piece.
        max_frames: to judge, whole pieces at even distances; None for all.
        batch: pieces at a time.
        bf16: as in training.
        lacking: modalities that are left out.
    """
    training = model.training
    model.eval()
    device = next(model.parameters()).device
    total: Losses | None = None
    for items in _batches(_some(pieces, max_frames), batch):
        inputs = collate(items, pieces.ids).to(device)
        if lacking:
            gone: dict[Modality, Tensor] = {name: torch.ones(len(items), dtype=torch.bool) for name in lacking}
            inputs = without(inputs, gone, pieces.ids, model.config.vision)
        model.check(inputs)
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            part = losses(model, inputs)
        total = part if total is None else Losses(total.sums + part.sums, total.counts + part.counts)
    model.train(training)
    return {} if total is None else total.means()


@dataclass(frozen=True)
class Row:
    """A level: what the model needs for a code and what the floors need, in nats."""

    level: int
    model: float
    unigram: float
    bigram: float
    stacked: float


def table(nll: dict[str, float], floors: Floors) -> list[Row]:
    """The figures of each level side by side; nan where too few frames were measured for a level that is delayed."""
    return [
        Row(k, nll.get(f"level_{k}", nan), floors.unigram[k], floors.bigram[k], floors.stacked[k])
        for k in range(len(floors.unigram))
    ]


def _some(pieces: Pieces, max_frames: int | None) -> Iterator[Item]:
    if max_frames is None:
        return pieces.sequence()
    count = sum(1 for _ in pieces.sequence())
    every = max(-(-count * pieces.frames // max_frames), 1)
    return islice(pieces.sequence(), 0, None, every)


def _batches(items: Iterator[Item], size: int) -> Iterator[list[Item]]:
    while part := list(islice(items, size)):
        yield part

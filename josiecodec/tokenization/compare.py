"""Whether a dataset is what its model makes of its sources: some clips are encoded again."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..coding.jodio import Jodio
from ..coding.jovio import Jovio
from ..datasets.dataset import TokenDataset
from ..errors import CodecError, FormatError, ModelError
from .manifest import Item, seconds
from .plan import Settings, read_plan
from .tokenize import encode_items


@dataclass(frozen=True)
class Comparison:
    """What came of encoding a clip again.

    Attributes:
        id: of the clip.
        same: share of its codes that are the same, or None if it could not be read.
        problem: what is wrong, or "".
    """

    id: str
    same: float | None
    problem: str = ""


def compare(
    codec: Jodio | Jovio, dataset: TokenDataset, folder: str | Path, samples: int, seed: int = 0
) -> list[Comparison]:
    """Encode `samples` clips, chosen by `seed`, again from their sources below `folder`.

    Raises:
        ModelError: if another model made the dataset.
        FormatError: if the dataset is damaged.
    """
    if dataset.info.fingerprint != codec.fingerprint:
        raise ModelError(f"the dataset was made by {dataset.info.codec}, not by this {codec.config.name}")
    chosen = sorted(random.Random(seed).sample(range(len(dataset)), min(samples, len(dataset))))
    adaptive = bool((read_plan(dataset.folder) or {}).get("adaptive", False))
    settings = Settings(dataset.info.n_q, adaptive)
    items = [_item(dataset.meta(i), Path(folder)) for i in chosen]
    found = []
    for i, (item, encoded) in zip(chosen, encode_items(codec, items, settings)):
        if isinstance(encoded, CodecError):
            found.append(Comparison(item.id, None, str(encoded)))
        else:
            found.append(_compared(item.id, dataset[i].signed, encoded[0]))
    return found


def _item(meta: dict[str, Any], folder: Path) -> Item:
    """The clip as it was asked for."""
    source = str(meta.get("source"))
    try:
        start, duration = meta.get("part", (0.0, None))
        start, duration = seconds(start, "start") or 0.0, seconds(duration, "duration")
    except (TypeError, ValueError):
        raise FormatError(f"clip {meta.get('id')!r}: its part is not [start, duration]") from None
    return Item(str(meta.get("id")), source, str(folder / source), start, duration, meta.get("channel"))


def _compared(name: str, there: np.ndarray, again: np.ndarray) -> Comparison:
    if there.shape != again.shape:
        return Comparison(name, 0.0, f"{len(there)} frames there, {len(again)} when encoded again")
    same = float((there == again).mean())
    return Comparison(name, same, "" if same == 1 else f"{1 - same:.2%} of the codes differ")

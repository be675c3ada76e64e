"""Check of a dataset against its sources: some clips are encoded again."""

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
    """A clip that was encoded again.

    Attributes:
        id: of the clip.
        equal: fraction of its codes that are equal, or None if its source could not be read.
        problem: what is wrong, or "".
    """

    id: str
    equal: float | None
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
    items = [requested_item(dataset.meta(i), Path(folder)) for i in chosen]
    results = []
    for i, (item, encoded) in zip(chosen, encode_items(codec, items, settings)):
        if isinstance(encoded, CodecError):
            results.append(Comparison(item.id, None, str(encoded)))
        else:
            results.append(_compared(item.id, dataset[i].signed, encoded[0]))
    return results


def requested_item(meta: dict[str, Any], folder: Path) -> Item:
    """The clip as it was requested."""
    source = str(meta.get("source"))
    try:
        start, duration = meta.get("part", (0.0, None))
        start, duration = seconds(start, "start") or 0.0, seconds(duration, "duration")
    except (TypeError, ValueError):
        raise FormatError(f"clip {meta.get('id')!r}: its part is not [start, duration]") from None
    channel, track = meta.get("channel"), meta.get("audio_track")
    return Item(str(meta.get("id")), source, str(folder / source), start, duration, channel, audio_track=track)


def _compared(name: str, stored: np.ndarray, encoded: np.ndarray) -> Comparison:
    if stored.shape != encoded.shape:
        return Comparison(name, 0.0, f"{len(stored)} frames stored, {len(encoded)} when encoded again")
    equal = float((stored == encoded).mean())
    return Comparison(name, equal, "" if equal == 1 else f"{1 - equal:.2%} of the codes differ")

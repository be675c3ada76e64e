"""Clips that belong together: two speakers of a dialogue, pictures beside sound, turns of a conversation.

Clips say so by the same `group` in their metadata, their `channel` (0, "left" or "model" is the side that the model
takes, anything else the other one), their `start` in seconds, and in turns by their `role` and the number of their
`turn`. What is not there may be under `extra`, where `josiecodec tokenize` keeps what it does not know.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from josiecodec.datasets.dataset import TokenDataset

OWN = (None, "", 0, "0", "left", "model")


def meta_value(meta: dict[str, Any], key: str) -> Any:
    """A value of a clip's metadata, from their top level or from `extra`; None if there is none."""
    extra = meta.get("extra")
    return meta.get(key, extra.get(key) if isinstance(extra, dict) else None)


def by_group(dataset: TokenDataset) -> dict[str, list[tuple[int, dict[str, Any]]]]:
    """The clips of every group with their metadata, in the order of their turns, then of their start."""
    groups: dict[str, list[tuple[int, dict[str, Any]]]] = defaultdict(list)
    for clip in range(len(dataset)):
        meta = dataset.meta(clip)
        if meta_value(meta, "group") is not None:
            groups[str(meta_value(meta, "group"))].append((clip, meta))
    for members in groups.values():
        members.sort(key=lambda member: (_number(member[1], "turn"), _start(member[1]), member[0]))
    return dict(groups)


def partners(dataset: TokenDataset, frame_rate: float) -> tuple[dict[int, tuple[int, int]], set[int]]:
    """Who answers whom.

    Returns:
        for clips of the model's side the clip of the other side that overlaps with it most, and by how many frames
        that begins later; and all clips of the other side.
    """
    partners: dict[int, tuple[int, int]] = {}
    others: set[int] = set()
    for members in by_group(dataset).values():
        theirs = [m for m in members if meta_value(m[1], "channel") not in OWN]
        others |= {clip for clip, _ in theirs}
        for clip, meta in members:
            if clip in others or not theirs:
                continue
            begin, length = _start(meta), int(dataset.lengths[clip]) / frame_rate

            def shared(other: tuple[int, dict[str, Any]], begin: float = begin, length: float = length) -> float:
                first, last = _start(other[1]), _start(other[1]) + int(dataset.lengths[other[0]]) / frame_rate
                return min(last, begin + length) - max(first, begin)

            best = max(theirs, key=shared)
            if shared(best) > 0:
                partners[clip] = (best[0], round((_start(best[1]) - begin) * frame_rate))
    return partners, others


def _start(meta: dict[str, Any]) -> float:
    return _number(meta, "start")


def _number(meta: dict[str, Any], key: str) -> float:
    value = meta_value(meta, key)
    return float(value) if isinstance(value, (int, float)) else 0.0

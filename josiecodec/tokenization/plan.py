"""Which clips go into which shard: decided once, before any work, so that it can be shared out and resumed."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..atomic import write_bytes
from ..errors import CodecError, ConfigError
from .manifest import Item, find_items

PLAN_FILE = "plan.json"
SHARD_CLIPS = 1000
SHARD_BYTES = 1 << 27  # of media files: three quarters of an hour of 16-bit sound at 24 kHz, some hours of Opus
VERSION = 1


@dataclass(frozen=True)
class Settings:
    """How clips are tokenized.

    Attributes:
        n_q: levels to store.
        adaptive: patches of pictures take as many levels as pay, `n_q` at most; else all take `n_q`.
        batch_seconds: of sound that goes through the model together. Longer recordings go alone, piece by piece.
        workers: threads that read files ahead.
    """

    n_q: int
    adaptive: bool = False
    batch_seconds: float = 120.0
    workers: int = 2

    def __post_init__(self) -> None:
        if not self.batch_seconds > 0 or self.workers < 1:
            raise ConfigError("batch_seconds and workers must be positive")


@dataclass(frozen=True)
class Plan:
    """The clips of all shards, in order.

    Attributes:
        kind: "audio" or "visual".
        shards: clips of each.
        shard_clips: how many a shard has at most.
    """

    kind: str
    shards: tuple[tuple[Item, ...], ...]
    shard_clips: int = SHARD_CLIPS

    @property
    def clips(self) -> int:
        """Clips of all shards."""
        return sum(map(len, self.shards))

    def share(self, part: int = 1, parts: int = 1) -> list[int]:
        """Numbers of the shards that worker `part` of 1..`parts` has to make.

        Raises:
            CodecError: if there is no such worker.
        """
        if not 1 <= part <= parts:
            raise CodecError(f"there is no part {part} of {parts}")
        return list(range(part - 1, len(self.shards), parts))

    def summary(self, settings: Settings) -> dict[str, Any]:
        """What `plan.json` holds; equal for equal clips and settings."""
        digest = hashlib.sha256()
        for item in (i for shard in self.shards for i in shard):
            digest.update(json.dumps({**asdict(item), "path": ""}, sort_keys=True).encode() + b"\n")
        return {
            "version": VERSION,
            "kind": self.kind,
            "adaptive": settings.adaptive and self.kind == "visual",
            "shard_clips": self.shard_clips,
            "clips": self.clips,
            "shards": len(self.shards),
            "bytes": sum(i.size for shard in self.shards for i in shard),
            "sha256": digest.hexdigest(),
        }


def make_plan(source: str | Path, kind: str | None = None, shard_clips: int = SHARD_CLIPS) -> Plan:
    """Share the clips of `source` (see `find_items`) out to shards.

    Raises:
        CodecError: as `find_items`.
    """
    if shard_clips < 1:
        raise ConfigError(f"a shard holds at least one clip, not {shard_clips}")
    kind, items = find_items(source, kind)
    shards: list[list[Item]] = []
    room = 0
    for item in items:
        if not shards or len(shards[-1]) >= shard_clips or item.weight > room:
            shards.append([])
            room = SHARD_BYTES
        shards[-1].append(item)
        room -= item.weight
    return Plan(kind, tuple(map(tuple, shards)), shard_clips)


def keep_plan(plan: Plan, settings: Settings, folder: Path) -> None:
    """Store a plan with its dataset, or make sure that it is the one that the dataset was begun with.

    Raises:
        CodecError: if it is another.
    """
    ours = plan.summary(settings)
    path = folder / PLAN_FILE
    if not path.exists():
        write_bytes(path, (json.dumps(ours, indent=1) + "\n").encode(), durable=True)
    theirs = read_plan(folder)
    if theirs == ours:
        return
    changed = next(key for key in {**ours, **(theirs or {})} if (theirs or {}).get(key) != ours.get(key))
    if changed == "sha256":
        raise CodecError(f"{folder}: begun from other files: one at least was changed since, or has other details")
    raise CodecError(
        f"{folder}: begun from other input: {changed} {(theirs or {}).get(changed)} then, {ours.get(changed)} now; "
        "take another folder, or the input as it was"
    )


def read_plan(folder: str | Path) -> dict[str, Any] | None:
    """What `plan.json` of a dataset holds; None if it has none.

    Raises:
        CodecError: if it is damaged.
    """
    path = Path(folder) / PLAN_FILE
    if not path.exists():
        return None
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise CodecError(f"{path}: damaged")
    return found

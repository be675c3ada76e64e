"""Assignment of clips to shards, made before any work, so that workers can share it and resume it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from ..atomic import write_bytes
from ..errors import CodecError, ConfigError
from ..settings import Rate
from .manifest import Item, find_items

PLAN_FILE = "plan.json"
SHARD_CLIPS = 1000
SHARD_BYTES = 1 << 27  # of media files: 45 minutes of 16-bit audio at 24 kHz, some hours of Opus
VERSION = 1


@dataclass(frozen=True)
class Settings:
    """How clips are tokenized.

    Attributes:
        n_q: levels to store.
        adaptive: of vision: level counts by rate-distortion at the model's default lambda, `n_q` at most; else all
            patches take `n_q`.
        motion: of vision: videos with motion, one sequence of tokens each; `n_q` is 1 then.
        rate: of videos with motion, what they may take, as of a file.
        batch_seconds: of audio per batch. Longer recordings are encoded alone, as a stream.
        workers: threads that read files ahead.
    """

    n_q: int
    adaptive: bool = False
    batch_seconds: float = 120.0
    workers: int = 2
    motion: bool = False
    rate: Rate = field(default_factory=Rate)

    def __post_init__(self) -> None:
        if self.motion and (self.n_q != 1 or self.adaptive or self.rate.n_q is not None):
            raise ConfigError("videos with motion are sequences of single tokens: no levels can be asked for")
        if not self.motion and self.rate != Rate():
            raise ConfigError("rates are for videos with motion")
        if not self.batch_seconds > 0 or self.workers < 1:
            raise ConfigError("batch_seconds and workers must be positive")


@dataclass(frozen=True)
class Plan:
    """The clips of all shards, in order.

    Attributes:
        kind: "audio" or "vision".
        shards: clips of each.
        shard_clips: maximum per shard.
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
        digest = hashlib.sha256()  # over the fields of `Item`: to rename one makes datasets that were begun unusable
        for item in (i for shard in self.shards for i in shard):
            fields = {**asdict(item), "path": ""}
            if item.audio_track is None:
                del fields["audio_track"]  # which is younger than datasets that were begun
            digest.update(json.dumps(fields, sort_keys=True).encode() + b"\n")
        given = {name: value for name, value in asdict(settings.rate).items() if value is not None}
        motion = {"motion": given} if settings.motion else {}
        return {
            "version": VERSION,
            "kind": self.kind,
            "adaptive": settings.adaptive and self.kind == "vision",
            **motion,
            "shard_clips": self.shard_clips,
            "clips": self.clips,
            "shards": len(self.shards),
            "bytes": sum(i.size for shard in self.shards for i in shard),
            "sha256": digest.hexdigest(),
        }


def make_plan(
    source: str | Path, kind: str | None = None, shard_clips: int = SHARD_CLIPS, audio_track: int | None = None
) -> Plan:
    """Assign the clips of `source` (see `find_items`) to shards.

    Args:
        source: folder, pattern, file or manifest.
        kind: "audio" or "vision"; None for audio if there is any.
        shard_clips: clips per shard, at most.
        audio_track: number of the track of all files that name none themselves, from 1 on.

    Raises:
        CodecError: as `find_items`.
    """
    if shard_clips < 1:
        raise ConfigError(f"shard_clips must be at least 1, not {shard_clips}")
    kind, items = find_items(source, kind)
    shards: list[list[Item]] = []
    room = 0
    for item in items:
        if audio_track is not None and item.audio_track is None:
            item = replace(item, audio_track=audio_track)
        if not shards or len(shards[-1]) >= shard_clips or item.weight > room:
            shards.append([])
            room = SHARD_BYTES
        shards[-1].append(item)
        room -= item.weight
    return Plan(kind, tuple(map(tuple, shards)), shard_clips)


def store_plan(plan: Plan, settings: Settings, folder: Path) -> None:
    """Store a plan with its dataset, or check that it is the one that the dataset was begun with.

    Raises:
        CodecError: if it differs.
    """
    ours = plan.summary(settings)
    path = folder / PLAN_FILE
    if not path.exists():
        write_bytes(path, (json.dumps(ours, indent=1) + "\n").encode(), durable=True)
    stored = read_plan(folder) or {}
    if stored == ours:
        return
    changed = next(key for key in {**ours, **stored} if stored.get(key) != ours.get(key))
    if changed == "sha256":
        raise CodecError(f"{folder}: begun from other files: at least one was changed since, or has other metadata")
    raise CodecError(
        f"{folder}: begun from other input: {changed} {stored.get(changed)} then, {ours.get(changed)} now; "
        "use another folder, or the same input as before"
    )


def read_plan(folder: str | Path) -> dict[str, Any] | None:
    """What `plan.json` of a dataset holds, see `Plan.summary`; None if it has none.

    Raises:
        CodecError: if it is damaged.
    """
    path = Path(folder) / PLAN_FILE
    if not path.exists():
        return None
    try:
        plan = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        plan = None
    if not isinstance(plan, dict):
        raise CodecError(f"{path}: damaged")
    if plan.get("kind") == "visual":  # as earlier versions wrote
        plan["kind"] = "vision"
    return plan

"""Statistics of a dataset of tokens, and checks that it is intact."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import CodecError, FormatError
from .dataset import TokenDataset, done_shards, read_info

ROWS_AT_ONCE = 1 << 20
MAX_SECONDS = 1e12  # of a clip; what is longer is damage
MAX_GAIN = 63  # decibels, of a clip


@dataclass(frozen=True)
class Contents:
    """What a dataset holds.

    Attributes:
        clips, shards: how many.
        rows: frames or patches.
        seconds: of audio and video, as the metadata say.
        counts: int64 [levels, codebook_size], how often each code occurs.
    """

    clips: int
    shards: int
    rows: int
    seconds: float
    counts: np.ndarray

    @property
    def usage(self) -> list[float]:
        """Fraction of each level's codes that occur at all."""
        return [float((c > 0).mean()) for c in self.counts]

    @property
    def entropy(self) -> list[float]:
        """Entropy of each level in bits per code, from the frequencies of its codes."""
        probabilities = [c[c > 0] / max(c.sum(), 1) for c in self.counts]
        return [float(-(p * np.log2(p)).sum()) + 0.0 for p in probabilities]


def contents(dataset: TokenDataset) -> Contents:
    """Read all codes and metadata of a dataset and count.

    Raises:
        FormatError: if it is damaged.
    """
    size = dataset.info.codebook_size
    counts = np.zeros((dataset.n_q, size), np.int64)
    for codes, levels in dataset.blocks(ROWS_AT_ONCE):
        for k in range(dataset.n_q):
            column = codes[:, k] if levels is None else codes[levels > k, k]
            counts[k] += _counted(column, size, dataset.folder)
    seconds = sum(clip_seconds(dataset.meta(i)) or 0.0 for i in range(len(dataset)))
    return Contents(len(dataset), len(dataset.shards), int(dataset.lengths.sum()), seconds, counts)


def _counted(codes: np.ndarray, size: int, folder: Path) -> np.ndarray:
    counts = np.bincount(codes, minlength=size)
    if len(counts) > size:
        raise FormatError(f"{folder}: a code {len(counts) - 1} among codes of 0..{size - 1}")
    return counts


def clip_seconds(meta: dict[str, Any]) -> float | None:
    """Duration of a clip by its metadata; None if they have none.

    Raises:
        FormatError: if no clip can have that duration.
    """
    value = meta.get("duration")
    if not isinstance(value, (int, float)):
        return None
    if not 0 <= value < MAX_SECONDS:
        raise FormatError(f"clip {meta.get('id')!r}: its duration {value} is no number of seconds")
    return float(value)


def clip_gain(meta: dict[str, Any]) -> int:
    """Decibels by which a clip was amplified before it was coded, by its metadata; decoders undo it.

    Raises:
        FormatError: if no clip can be amplified so.
    """
    value = meta.get("gain_db", 0)
    if type(value) is not int or abs(value) > MAX_GAIN:
        raise FormatError(
            f"clip {meta.get('id')!r}: its gain {value!r} is no whole number of decibels up to {MAX_GAIN}"
        )
    return value


def problems(folder: str | Path, expected: int | None = None) -> Iterator[str]:
    """What is wrong with a dataset, shard by shard; nothing if it is intact.

    Checked are checksums, shapes, ranges of codes, metadata, and that every clip has an id of its own.

    Args:
        folder: of the dataset.
        expected: shards that it should have; None if that is not known.

    Raises:
        FormatError: if it is no dataset at all.
    """
    folder = Path(folder)
    read_info(folder)
    shards = done_shards(folder)
    if expected is not None and len(shards) < expected:
        yield f"{expected - len(shards)} of {expected} shards are not done yet"
    names: set[bytes] = set()
    for index in shards:
        try:
            _check_sums(folder, index)
            _check_shard(TokenDataset(folder, shards=[index]), names)
        except (CodecError, OSError) as error:
            yield f"shard {index:05d}: {error}"


def _check_sums(folder: Path, index: int) -> None:
    path = folder / f"{index:05d}.sha256"
    try:
        lines = path.read_text(encoding="ascii").splitlines()
        sums = {name: digest for digest, name in (line.split("  ", 1) for line in lines)}
    except (OSError, ValueError):
        raise FormatError(f"{path}: no checksums in it") from None
    for suffix in ("safetensors", "jsonl"):
        with open(folder / f"{index:05d}.{suffix}", "rb") as file:
            if sums.get(f"{index:05d}.{suffix}") != hashlib.file_digest(file, "sha256").hexdigest():
                raise FormatError(f"{index:05d}.{suffix}: not the bytes that were written")


def _check_shard(shard: TokenDataset, names: set[bytes]) -> None:
    """Metadata and codes of one shard; `names` are hashes of the ids so far."""
    size, n_q = shard.info.codebook_size, shard.info.n_q
    for codes, levels in shard.blocks(ROWS_AT_ONCE):
        if int(codes.max(initial=0)) >= size:
            raise FormatError(f"a code {int(codes.max())} among codes of 0..{size - 1}")
        if levels is not None and (
            int(levels.max(initial=0)) > n_q or bool(codes[np.arange(n_q) >= levels[:, None]].any())
        ):
            raise FormatError("levels and codes of patches contradict each other")
    for i, length in enumerate(shard.lengths.tolist()):
        meta = shard.meta(i)
        clip_seconds(meta)
        clip_gain(meta)
        if meta.get("n_frames") != length:
            raise FormatError(f"clip {meta.get('id')!r} has {length} frames, not {meta.get('n_frames')}")
        name = hashlib.sha256(json.dumps(meta.get("id")).encode()).digest()[:16]
        if name in names:
            raise FormatError(f"there is another clip {meta.get('id')!r}")
        names.add(name)

"""Tokenization: shard after shard, each either complete or ignored by readers."""

from __future__ import annotations

import json
import os
import re
import socket
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from ..atomic import write_bytes
from ..coding.jodio import Jodio
from ..coding.jovio import Jovio
from ..datasets.dataset import DatasetInfo, ShardWriter
from ..errors import CodecError
from .audio import Encoded, encode_audio
from .manifest import Item, printable
from .plan import Plan, Settings, store_plan
from .vision import encode_vision

ERRORS_FILE = "errors.jsonl"
_SHARD_ERRORS = re.compile(r"\d{5,}\.errors\.jsonl")


@dataclass(frozen=True)
class Report:
    """Outcome of a shard.

    Attributes:
        shard: its number.
        clips: that it holds.
        bad: files that were left out.
        seconds: of audio or video.
        worker: host and process that made it.
    """

    shard: int
    clips: int
    bad: int
    seconds: float
    worker: str = ""


Progress = Callable[[Report], None]


def dataset_info(codec: Jodio | Jovio, n_q: int) -> DatasetInfo:
    """The `dataset.json` of codes of `n_q` levels made by a model."""
    is_audio = isinstance(codec, Jodio)
    rate = Fraction(codec.sample_rate, codec.frame_size) if isinstance(codec, Jodio) else Fraction(0)
    return DatasetInfo(
        codec=codec.config.name,
        fingerprint=codec.fingerprint,
        kind="audio" if is_audio else "vision",
        n_q=codec.levels(n_q),
        codebook_size=codec.codebook_size,
        sample_rate=codec.sample_rate if isinstance(codec, Jodio) else None,
        frame_rate=(rate.numerator, rate.denominator),
        semantic_levels=1 if is_audio else 0,
    )


def begin(codec: Jodio | Jovio, plan: Plan, folder: str | Path, settings: Settings) -> ShardWriter:
    """Make the folder of a dataset, or resume the one that was begun there.

    Raises:
        ModelError: if the folder holds tokens of another model.
        CodecError: if it was begun from other input, or the model is for another kind of media.
    """
    info = dataset_info(codec, settings.n_q)
    if info.kind != plan.kind:
        raise CodecError(f"{info.codec} is a model for {info.kind}, not for {plan.kind}")
    writer = ShardWriter(folder, info)
    store_plan(plan, settings, writer.folder)
    return writer


def tokenize(
    codec: Jodio | Jovio,
    plan: Plan,
    folder: str | Path,
    settings: Settings,
    part: int = 1,
    parts: int = 1,
    on_clip: Callable[[float], None] | None = None,
) -> list[Report]:
    """Tokenize the shards of worker `part` of `parts` that are not complete yet.

    It can be killed at any moment and called again. Files that cannot be read are listed in `errors.jsonl`.

    Args:
        codec: the model.
        plan: which clips go into which shard.
        folder: of the dataset.
        settings: how clips are encoded.
        part, parts: number of this worker, 1..parts, and how many there are.
        on_clip: is called with the seconds of each clip that is done, 0 for a bad one.

    Returns:
        the outcome of each shard that was made now.

    Raises:
        CodecError: as `begin`, or if something cannot be written.
    """
    writer = begin(codec, plan, folder, settings)
    todo = [index for index in plan.share(part, parts) if not writer.done(index)]
    reports = [tokenize_shard(codec, plan.shards[index], index, writer, settings, on_clip) for index in todo]
    collect_errors(writer.folder)
    return reports


def tokenize_shard(
    codec: Jodio | Jovio,
    items: Iterable[Item],
    index: int,
    writer: ShardWriter,
    settings: Settings,
    on_clip: Callable[[float], None] | None = None,
    encoded_items: Iterable[tuple[Item, Encoded | CodecError]] | None = None,
) -> Report:
    """Make shard `index` from `items`, or from what was encoded of them already."""
    bad: list[dict[str, Any]] = []
    seconds: list[float] = []

    def clips() -> Iterator[tuple[np.ndarray, dict[str, Any]]]:
        for item, encoded in encode_items(codec, items, settings) if encoded_items is None else encoded_items:
            if isinstance(encoded, CodecError):
                reason = printable(str(encoded).removeprefix(f"{item.path}: "))
                bad.append({"id": item.id, "source": item.source, "error": reason})
            else:
                seconds.append(encoded[1]["duration"])
                yield encoded[0], item.meta(encoded[1])
            if on_clip is not None:
                on_clip(0.0 if isinstance(encoded, CodecError) else seconds[-1])
        _store_errors(writer.folder, index, bad)  # before the shard is complete, so that none is without its errors

    writer.write(index, clips())
    return Report(index, len(seconds), len(bad), sum(seconds), f"{socket.gethostname()}:{os.getpid()}")


def encode_items(
    codec: Jodio | Jovio, items: Iterable[Item], settings: Settings
) -> Iterator[tuple[Item, Encoded | CodecError]]:
    """Codes and metadata of clips, in order; or the error of a file."""
    if isinstance(codec, Jodio):
        return encode_audio(codec, items, settings)
    return encode_vision(codec, items, settings)


def _store_errors(folder: Path, index: int, bad: list[dict[str, Any]]) -> None:
    path = folder / f"{index:05d}.errors.jsonl"
    if bad:
        lines = (json.dumps(one, ensure_ascii=False) + "\n" for one in bad)
        write_bytes(path, "".join(lines).encode(), durable=True)
    else:
        path.unlink(missing_ok=True)  # of a run that was killed


def collect_errors(folder: Path) -> int:
    """Collect the bad files of all shards in `errors.jsonl`. Returns how many there are."""
    while True:
        files = _error_files(folder)
        text = b"".join(path.read_bytes() for path in files)
        if text:
            write_bytes(folder / ERRORS_FILE, text, durable=True)
        else:
            (folder / ERRORS_FILE).unlink(missing_ok=True)
        if _error_files(folder) == files:  # else another worker has finished meanwhile
            return text.count(b"\n")


def _error_files(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if _SHARD_ERRORS.fullmatch(p.name))

"""A whole comparison: codecs x files."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from ..errors import CodecError
from . import scores
from .codecs import mark
from .items import Item
from .produce import produce
from .table import Rows


def compare(
    names: list[str],
    kinds: tuple[str, ...],
    items: list[Item],
    folder: Path,
    device: str = "cpu",
    threads: int = 1,
    workers: int = 1,
    words: bool = False,
    progress: Callable[[int], None] = lambda done: None,
    say: Callable[[str], None] = print,
) -> list[dict[str, Any]]:
    """Run every codec over every item.

    Args:
        names: of codecs, with at most one setting each, see `codecs`.
        kinds: of files; ("sound",) or ("picture", "video").
        items: the files.
        folder: where everything is put, and what is there already is not done again.
        device, threads: for the codecs.
        workers: processes that compute scores.
        words: compare what a recogniser hears.
        progress: receives the number of rows that came in.
        say: receives notes for a person.

    Returns:
        the rows, codec by codec.

    Raises:
        CodecError: if none of the codecs can be used.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows = Rows(folder / "rows.jsonl")
    used = []
    with ProcessPoolExecutor(workers, get_context("spawn"), scores.start) as pool:
        for name in names:
            keys = {item.name: f"{mark(name)} {item.stamp()}" for item in items}
            todo = [item for item in items if not _done(rows.rows.get((name, item.name)), keys[item.name], words)]
            progress(len(items) - len(todo))
            if not todo:
                used.append(name)
                continue
            try:
                _run(name, kinds, todo, keys, folder, device, threads, words, pool, rows, progress)
            except CodecError as error:
                say(f"left out: {error}")
                progress(len(todo))
                continue
            used.append(name)
    if not used:
        raise CodecError("none of the codecs can be used here")
    wanted = {item.name for item in items}
    return [row for name in used for (codec, file), row in rows.rows.items() if codec == name and file in wanted]


def _run(
    name: str,
    kinds: tuple[str, ...],
    items: list[Item],
    keys: dict[str, str],
    folder: Path,
    device: str,
    threads: int,
    words: bool,
    pool: ProcessPoolExecutor,
    rows: Rows,
    progress: Callable[[int], None],
) -> None:
    """One codec over the items. Scores come when all are made: what computes them would disturb the times."""
    base = folder / "files" / _safe(name)
    made = list(produce(name, kinds, [(item, base / _safe(item.name)) for item in items], device, threads))
    progress(len(items) - len(made))
    waiting = [(item, pool.submit(scores.score, item, row, words)) for item, row in made]
    for item, future in waiting:
        try:
            found = future.result()
        except BrokenProcessPool:
            raise CodecError(f"{name}: a process that scores died (out of memory?)") from None
        except Exception as error:  # what a codec made cannot be compared: one bad file does not end the rest
            found = {"error": str(error) or type(error).__name__}
        about = {"codec": name, "file": item.name, "label": item.label, "key": keys[item.name], "words": words}
        rows.add(about | found)
        progress(1)


def _done(row: dict[str, Any] | None, key: str, words: bool) -> bool:
    """Whether a row is of this very file and model, and has what is asked for; what failed is tried again."""
    return row is not None and "error" not in row and row.get("key") == key and (row["words"] or not words)


def _safe(name: str) -> str:
    """A name that can be a file's, and is no other's."""
    plain = re.sub(r"[^\w.@+-]+", "_", name)
    return plain if plain == name else f"{plain}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"

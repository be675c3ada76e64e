"""A comparison: codecs x files."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from ..errors import CodecError
from . import scores
from .codecs import version_key
from .items import Item
from .provenance import made_by
from .round_trip import round_trip
from .table import Rows


def compare(
    names: list[str],
    kinds: tuple[str, ...],
    items: list[Item],
    folder: Path,
    device: str = "cpu",
    threads: int = 1,
    workers: int = 1,
    wer: bool = False,
    whisper: str = "",
    judges: tuple[str, ...] = (),
    progress: Callable[[float], None] = lambda done: None,
    report: Callable[[str], None] = print,
) -> list[dict[str, Any]]:
    """Run every codec over every item.

    Args:
        names: of codecs, with at most one setting each, see `codecs`.
        kinds: of media; ("audio",) or ("image", "video").
        items: the files.
        folder: of encoded and decoded files and rows; rows that it holds already are not made again.
        device, threads: for the codecs.
        workers: processes that compute scores.
        wer, whisper, judges: further scores, see `scores.Asked`.
        progress: is called with the number of new rows; a file that is decoded, but not scored, counts half.
        report: is called with messages for the user.

    Returns:
        the rows, codec by codec.

    Raises:
        CodecError: if none of the codecs can be used.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows = Rows(folder / "rows.jsonl")
    asked = scores.Asked(wer, whisper, judges)
    used = []
    with _Scorers(workers) as scorers:
        for name in names:
            keys = {item.name: f"{version_key(name)} {item.version_key()}" for item in items}
            todo = [item for item in items if not _done(rows.rows.get((name, item.name)), keys[item.name], asked)]
            progress(len(items) - len(todo))
            if not todo:
                used.append(name)
                continue
            told = 0.0

            def tell(more: float) -> None:
                nonlocal told
                told += more
                progress(more)

            try:
                made = {item.name: _kept(rows.rows.get((name, item.name)), keys[item.name]) for item in todo}
                _run(name, kinds, todo, made, keys, folder, device, threads, asked, scorers, rows, tell)
            except CodecError as error:
                report(f"left out: {error}")
                progress(len(todo) - told)
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
    kept: dict[str, dict[str, Any] | None],
    keys: dict[str, str],
    folder: Path,
    device: str,
    threads: int,
    asked: scores.Asked,
    scorers: _Scorers,
    rows: Rows,
    progress: Callable[[float], None],
) -> None:
    """One codec over the items. Scores are computed after all round trips, so as not to disturb their times; `kept` has
    what is left of earlier ones, of which scores alone are missing."""
    base = folder / "files" / _safe(name)
    new = [(item, base / _safe(item.name)) for item in items if kept[item.name] is None]
    found: dict[str, dict[str, Any]] = {}
    for item, row in round_trip(name, kinds, new, device, threads) if new else ():
        found[item.name] = made_by(name) | row
        progress(0.5)
    every = [(item, kept[item.name] or found.get(item.name)) for item in items]
    made = [(item, row) for item, row in every if row is not None]
    progress(len(items) - len(made) + 0.5 * (len(made) - len(found)))
    for item, scored in scorers.scored(made, asked):
        about = {"codec": name, "file": item.name, "label": item.label, "key": keys[item.name]} | asked.about()
        rows.add(about | scored)
        progress(0.5)


class _Scorers:
    """Processes that compute scores. One that dies takes those of other files along, which are then computed again, one
    at a time, so that only the file that did it has an error."""

    def __init__(self, workers: int):
        self.workers = workers
        self._pool = self._new()

    def _new(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(self.workers, get_context("spawn"), scores.start)

    def scored(
        self, made: list[tuple[Item, dict[str, Any]]], asked: scores.Asked
    ) -> Iterator[tuple[Item, dict[str, Any]]]:
        """Items with the rows of `scores.score`, in order."""
        waiting = [(item, row, self._pool.submit(scores.score, item, row, asked)) for item, row in made]
        for item, row, future in waiting:
            try:
                try:
                    scored = future.result()
                except BrokenProcessPool:
                    scored = self._alone(item, row, asked)
            except Exception as error:  # the decoded file cannot be compared; one bad file must not end the run
                scored = {"error": str(error) or type(error).__name__}
            yield item, scored

    def _alone(self, item: Item, row: dict[str, Any], asked: scores.Asked) -> dict[str, Any]:
        if self._broken():
            self._pool = self._new()
        try:
            return self._pool.submit(scores.score, item, row, asked).result()
        except BrokenProcessPool:
            return {"error": "the process that compares it has died (out of memory?)"}

    def _broken(self) -> bool:
        try:
            self._pool.submit(int).result()
        except BrokenProcessPool:
            return True
        return False

    def __enter__(self) -> _Scorers:
        return self

    def __exit__(self, *_: Any) -> None:
        self._pool.shutdown(cancel_futures=True)


def _done(row: dict[str, Any] | None, key: str, asked: scores.Asked) -> bool:
    """Whether a row is of this version of file and model and has the scores wanted; errors are tried again."""
    return row is not None and "error" not in row and row.get("key") == key and asked.done(row)


def _kept(row: dict[str, Any] | None, key: str) -> dict[str, Any] | None:
    """What an earlier comparison has left of a round trip, if it is of this version of file and model and what was
    decoded is there: further judges need no second one."""
    if row is None or row.get("key") != key or not Path(row.get("decoded", "")).is_file():
        return None
    return {name: value for name, value in row.items() if name not in ("words", "whisper", "judges", "unscored")}


def _safe(name: str) -> str:
    """A unique name that is valid as a file name."""
    safe = re.sub(r"[^\w.@+-]+", "_", name)
    return safe if safe == name else f"{safe}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"

"""Results of comparisons as files of the repository: `benchmarks/results/quality_audio.json`, `quality_pictures.json`.

A file has one entry for each codec with its setting: where it comes from (version of the package, date, fingerprint of
our models) and its values of every recording or picture, as columns; or, of comparisons whose rows were not kept, means
alone. Entries of the same codec replace each other, and entries of one model that are of different weights, or of other
weights than those that ship under its name, are refused.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from josiecodec import shipped
from josiecodec.atomic import write_bytes
from josiecodec.errors import CodecError
from josiecodec.evaluation.codecs import split
from josiecodec.evaluation.table import DRAWS, MIN_FILES, SCORES, Rows

ORIGIN = ("version", "date", "model")
COLUMNS = ("kbps", "payload_kbps", "bpp", *SCORES, "wer_errors", "wer_words", "encode", "decode")
DIGITS = 5  # significant
SCREENS = "g"  # the first letter of pictures that are no photographs, in the folder's DATA.md
Entry = dict[str, Any]


class ResultsError(CodecError):
    """Results that do not belong together."""


def entries_of(folder: Path) -> tuple[dict[str, Entry], list[str]]:
    """Entries of a comparison that `josiecodec eval` wrote with `--out`, by codec, and names of codecs that it has not
    gone through to the end.

    Raises:
        ResultsError: if there is none, or rows of a codec are of different versions or weights.
    """
    found: dict[str, Entry] = {}
    tried: dict[str, int] = {}
    for row in Rows(folder / "rows.jsonl").rows.values():
        tried[row["codec"]] = tried.get(row["codec"], 0) + 1
        if "error" in row:
            continue
        entry = found.setdefault(row["codec"], {name: row.get(name, "") for name in ORIGIN} | {"files": []})
        if any(entry[name] != row.get(name, "") for name in ("version", "model")):
            raise ResultsError(f"{folder}: rows of {row['codec']} are of different versions or weights")
        entry["date"] = max(entry["date"], row.get("date", ""))
        entry["files"].append(_flat(row))
    if not found:
        raise ResultsError(f"{folder}: no rows of a comparison")
    unfinished = [codec for codec in found if tried[codec] < max(tried.values())]
    return {codec: _columns(entry) for codec, entry in found.items() if codec not in unfinished}, unfinished


def _flat(row: dict[str, Any]) -> dict[str, Any]:
    """Values of a row that are kept; times are seconds of the processor, of sound for each second."""
    seconds = row["seconds"] if "kbps" in row and "width" not in row else 1
    times = {name: row[f"{name}_cpu_s"] / seconds for name in ("encode", "decode") if f"{name}_cpu_s" in row}
    label = row["label"]
    if label == "image":
        label = "screens" if Path(row["file"]).name.startswith(SCREENS) else "photographs"
    values = {name: value for name, value in (row | times).items() if name in COLUMNS and value is not None}
    return {"file": row["file"], "label": label, **values}


def _columns(entry: Entry) -> Entry:
    files = sorted(entry["files"], key=lambda row: row["file"])
    names = [n for n in ("file", "label", *COLUMNS) if any(n in row for row in files)]
    columns = {name: [_short(row.get(name)) for row in files] for name in names}
    return {name: entry[name] for name in ORIGIN} | {"columns": columns}


def _short(value: Any) -> Any:
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value


def read(path: Path) -> dict[str, Entry]:
    """Entries of a file of results, checked: see the head of this module.

    Raises:
        ResultsError: on entries of one model that are of different weights, or not those that ship.
    """
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))["codecs"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ResultsError(f"{path}: no results: {error}") from None
    check_weights({codec: entry["model"] for codec, entry in entries.items()}, path.name)
    return dict(entries)


def check_weights(models: dict[str, str], where: str) -> None:
    """Refuse points of a model that are of other weights than those that ship under its name.

    Args:
        models: fingerprint by codec with setting; empty for those of others.
        where: for the message.

    Raises:
        ResultsError: if there are any.
    """
    shipping = set(shipped.available())
    for codec, fingerprint in models.items():
        name = split(codec)[0]
        if name in shipping and not shipped.fingerprint_of(shipped.WEIGHTS / name).startswith(fingerprint or "-"):
            raise ResultsError(f"{where}: {codec} was measured with other weights than those of {name} here: again")


def write(path: Path, about: str, entries: dict[str, Entry]) -> None:
    """Write entries, those of the file that are not among them kept."""
    known = json.loads(path.read_text(encoding="utf-8"))["codecs"] if path.exists() else {}
    merged = known | entries
    lines = [f"  {json.dumps(codec)}: {json.dumps(entry, separators=(',', ':'))}" for codec, entry in merged.items()]
    text = f'{{\n "about": {json.dumps(about)},\n "codecs": {{\n' + ",\n".join(lines) + "\n }\n}\n"
    write_bytes(path, text.encode())


def rows_of(entries: dict[str, Entry]) -> list[dict[str, Any]]:
    """Rows as `josiecodec.evaluation` has them, of entries that have values of every file."""
    found = []
    for codec, entry in entries.items():
        columns = entry.get("columns")
        for values in zip(*columns.values()) if columns else ():
            row = {name: value for name, value in zip(columns, values) if value is not None}
            found.append({"codec": codec, "unscored": [], "peak_mb": None, **row})
    return found


def kept_of(entries: dict[str, Entry]) -> list[dict[str, Any]]:
    """Means of entries that have no values of files, a line for each label."""
    return [{"codec": codec, **line} for codec, entry in entries.items() for line in entry.get("means", ())]


def means_of(entries: dict[str, Entry], label: str, names: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Means by codec over the files of a label, or of all if it is empty: `files`, and for each name the mean and half
    of its 95 % interval as `NAME_half`. Times that were taken of a few files alone are `seconds` of an entry."""
    found: dict[str, dict[str, Any]] = {}
    for codec, entry in entries.items():
        rows = [row for row in rows_of({codec: entry}) if label in ("", row["label"])]
        line: dict[str, Any] = {"files": len(rows)}
        for name in names:
            scored = [row for row in rows if name in row]
            if not scored:
                continue
            weights = np.array([row.get("wer_words", 1) if name == "wer" else 1 for row in scored], float)
            values = np.array([row[name] for row in scored]) * weights
            line[name] = float(values.sum() / weights.sum())
            if len(scored) >= MIN_FILES:
                drawn = np.random.default_rng(0).integers(0, len(scored), (DRAWS, len(scored)))
                ends = np.percentile(values[drawn].sum(1) / weights[drawn].sum(1), (2.5, 97.5))
                line[f"{name}_half"] = float(ends[1] - ends[0]) / 2
        if rows:
            found[codec] = line
    for line in kept_of(entries):
        if line["label"] == label:
            found.setdefault(line["codec"], line)
    return {codec: line | entries[codec].get("seconds", {}) for codec, line in found.items()}

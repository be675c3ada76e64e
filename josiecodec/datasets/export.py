"""Export of datasets of tokens to Parquet, WebDataset or NumPy files. One file or folder per shard.

    parquet     00000.parquet        a row per clip, codes as a list of uint16, frame after frame
    webdataset  00000.tar            00000-000000.codes.npy and 00000-000000.json, ...
    npy         00000/000000.npy     and 00000.jsonl, whose lines name their `file`
    hub, jsonl  see `export_hub.py`
    lhotse, nemo  see `export_lhotse.py`

`dataset.json` is copied, in Parquet as the key "josiecodec" of the files' metadata.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import tarfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import CodecError, FormatError
from .dataset import INFO_FILE, Clip, TokenDataset
from .export_hub import VOICE, code_encoding, finish_hub, write_hub, write_jsonl
from .export_lhotse import write_lhotse, write_nemo

ROW_GROUP = 500  # clips that Parquet readers get together
_COLUMNS = ("id", "source", "start", "duration", "n_frames")


def export(
    dataset: TokenDataset,
    folder: str | Path,
    kind: str,
    known: Callable[[Clip], dict[str, Any]] | None = None,
    measures: Sequence[str] = (),
) -> int:
    """Write a dataset, with the levels that `dataset` returns, to a new folder. Returns the number of clips.

    Args:
        dataset: what to write.
        folder: must not exist; it appears only when complete.
        kind: "parquet" or "hub" (need pyarrow), "webdataset", "npy", "jsonl", "lhotse" or "nemo".
        known: gives further metadata of a clip.
        measures: those of them that are numbers with a column of their own in Parquet; `VOICE` is a list of numbers.

    Raises:
        CodecError: if the folder exists or cannot be written, the kind is unknown, or pyarrow is not installed.
        FormatError: if the dataset is damaged.
    """
    if kind not in _WRITERS:
        raise CodecError(f"tokens cannot be exported to {kind!r}, but to {', '.join(_WRITERS)}")
    folder = Path(folder)
    if folder.exists():
        raise CodecError(f"{folder} already exists")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        made = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
        made.mkdir()
        try:
            info = json.loads(dataset.info.to_json()) | {"n_q": dataset.n_q}
            info["semantic_levels"] = min(info["semantic_levels"], dataset.n_q)
            about = info | {"folder": os.path.abspath(folder), "measures": list(measures)}
            if kind not in (
                "parquet",
                "hub",
            ):  # whose files carry it themselves; readers of whole folders would fail on it
                (made / INFO_FILE).write_text(json.dumps(info, indent=1) + "\n", encoding="utf-8")
            for shard, clips in _by_shard(dataset, known):
                _WRITERS[kind](made, f"{shard:05d}", clips, about)
            if kind == "hub":
                finish_hub(made, about, len(dataset))
            made.rename(folder)
        finally:
            shutil.rmtree(made, ignore_errors=True)
    except UnicodeError:
        raise FormatError(f"{dataset.folder}: a line of a clip holds half a surrogate pair") from None
    except OSError as error:
        raise CodecError(f"{folder}: cannot be written ({error.strerror})") from None
    return len(dataset)


def _by_shard(
    dataset: TokenDataset, known: Callable[[Clip], dict[str, Any]] | None
) -> Iterator[tuple[int, Iterator[Clip]]]:
    for shard, (begin, end) in zip(dataset.shards, dataset.bounds):
        clips = (dataset[i] for i in range(begin, end))
        yield shard, (clips if known is None else (replace(c, meta=c.meta | known(c)) for c in clips))


def _write_parquet(folder: Path, name: str, clips: Iterable[Clip], info: dict[str, Any]) -> None:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise CodecError("export to parquet needs pyarrow: pip install 'josiecodec[parquet]'") from None
    has_levels = info["kind"] == "vision"
    fields = [("id", pa.string()), ("source", pa.string()), ("start", pa.float64()), ("duration", pa.float64())]
    fields += [("n_frames", pa.int64()), ("meta", pa.string()), ("codes", pa.list_(pa.uint16()))]
    fields += [("levels", pa.list_(pa.uint8()))] * has_levels
    fields += [(name, pa.list_(pa.float32()) if name == VOICE else pa.float32()) for name in info["measures"]]
    stored = {key: value for key, value in info.items() if key not in ("folder", "measures")}
    schema = pa.schema(fields, {"josiecodec": json.dumps(stored)})
    packed = code_encoding("codes.list.element", info["codebook_size"])
    with pq.ParquetWriter(folder / f"{name}.parquet", schema, **packed) as writer:
        for rows in _grouped((_row(clip, has_levels, info["measures"]) for clip in clips), ROW_GROUP):
            try:
                columns = [pa.array([row[f.name] for row in rows], f.type) for f in schema]
            except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
                raise FormatError(f"shard {name}: a line of its clips does not fit the columns ({error})") from None
            writer.write_table(pa.table(columns, schema=schema), row_group_size=ROW_GROUP)


def _row(clip: Clip, has_levels: bool, measures: Sequence[str]) -> dict[str, Any]:
    columns = (*_COLUMNS, *measures)
    rest = {key: value for key, value in clip.meta.items() if key not in columns}
    row: dict[str, Any] = {key: clip.meta.get(key) for key in columns}
    row |= {"meta": json.dumps(rest, ensure_ascii=False), "codes": clip.codes.reshape(-1)}
    return row | ({"levels": clip.levels} if has_levels else {})


def _grouped(rows: Iterable[dict[str, Any]], size: int) -> Iterator[list[dict[str, Any]]]:
    group: list[dict[str, Any]] = []
    for row in rows:
        group.append(row)
        if len(group) == size:
            yield group
            group = []
    if group:
        yield group


def _write_webdataset(folder: Path, name: str, clips: Iterable[Clip], info: dict[str, Any]) -> None:
    with tarfile.open(folder / f"{name}.tar", "w", format=tarfile.USTAR_FORMAT) as tar:
        for number, clip in enumerate(clips):
            key = f"{name}-{number:06d}"
            _add(tar, f"{key}.codes.npy", _npy(clip.codes))
            if clip.levels is not None:
                _add(tar, f"{key}.levels.npy", _npy(clip.levels))
            _add(tar, f"{key}.json", json.dumps(clip.meta, ensure_ascii=False).encode())


def _npy(array: np.ndarray) -> bytes:
    out = io.BytesIO()
    np.save(out, array, allow_pickle=False)
    return out.getvalue()


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    tar.addfile(member, io.BytesIO(data))


def _write_npy(folder: Path, name: str, clips: Iterable[Clip], info: dict[str, Any]) -> None:
    (folder / name).mkdir()
    with open(folder / f"{name}.jsonl", "w", encoding="utf-8") as lines:
        for number, clip in enumerate(clips):
            file = f"{name}/{number:06d}.npy"
            np.save(folder / file, clip.codes, allow_pickle=False)
            if clip.levels is not None:
                np.save(folder / f"{name}/{number:06d}.levels.npy", clip.levels, allow_pickle=False)
            lines.write(json.dumps({**clip.meta, "file": file}, ensure_ascii=False) + "\n")


_WRITERS: dict[str, Callable[[Path, str, Iterable[Clip], dict[str, Any]], None]] = {
    "parquet": _write_parquet,
    "webdataset": _write_webdataset,
    "npy": _write_npy,
    "hub": write_hub,
    "jsonl": write_jsonl,
    "lhotse": write_lhotse,
    "nemo": write_nemo,
}
KINDS = tuple(_WRITERS)

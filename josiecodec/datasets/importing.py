"""Datasets of tokens from what `export` wrote, also after other tools have filtered, joined or cut it.

    lhotse   a Shar of cuts with codes (needs lhotse)      nemo    a manifest with `target_audio_codes_path`
    jsonl    lines with `audio_codes`                      npy     lines that name a `file`

`dataset.json`, beside or above them, says which model made the codes.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import CodecError, FormatError, ModelError
from .dataset import INFO_FILE, DatasetInfo, ShardWriter, TokenDataset, read_info
from .export_lhotse import CODES, MANIFEST, SHAR

SHARD_CLIPS = 1000
Row = tuple[np.ndarray, dict[str, Any]]
_OF_LINES = ("audio", "audio_filepath", "offset", "audio_codes", "target_audio_codes_path", "file", "lang", "n_frames")
_OF_CUTS = (CODES, "codes_pad", "codec", "fingerprint", "n_frames", "seconds", "shard_origin", "shar_epoch")


def import_dataset(source: str | Path, target: str | Path, shard_clips: int = SHARD_CLIPS) -> int:
    """Write what `source` holds as a dataset in the new folder `target`, which appears only when complete. Returns the
    number of clips.

    Raises:
        CodecError: if the target exists or cannot be written, or a package is not installed.
        CodesError: if codes are not those of a clip of this model.
        FormatError: if nothing can be read there, or a line is damaged.
        ModelError: if codes were made by another model than `dataset.json` says.
    """
    source, target = Path(source), Path(target)
    if target.exists():
        raise CodecError(f"{target} already exists")
    info, rows = _open(source)
    shards = iter(lambda: list(itertools.islice(rows, shard_clips)), [])
    first = next(shards, None)  # before the folder is made
    if first is None:
        raise FormatError(f"{source}: no clips with codes")
    made = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        made.mkdir()
        try:
            writer = ShardWriter(made, info)
            for number, clips in enumerate(itertools.chain([first], shards)):
                writer.write(number, iter(clips))
            count = len(TokenDataset(made))
            made.rename(target)
        finally:
            shutil.rmtree(made, ignore_errors=True)
    except OSError as error:
        raise CodecError(f"{target}: cannot be written ({error.strerror})") from None
    return count


def _open(source: Path) -> tuple[DatasetInfo, Iterator[Row]]:
    """What model made the codes of a folder or file, and its clips."""
    folder = source if source.is_dir() else source.parent
    shar = next((p for p in (source, source / SHAR) if p.is_dir() and any(p.glob("cuts.*.jsonl*"))), None)
    info = read_info(next((p for p in (folder, folder.parent) if (p / INFO_FILE).is_file()), folder))
    if shar is not None:
        return info, _of_shar(shar, info)
    files = [source] if source.is_file() else sorted(p for p in source.glob("*.jsonl") if p.stem.isdigit())
    if source.is_dir() and (source / MANIFEST).is_file():
        files = [source / MANIFEST]
    if not files:
        raise FormatError(f"{source}: neither a Shar of Lhotse, a manifest nor lines with codes")
    return info, (row for path in files for row in _of_lines(path, info))


def _of_shar(folder: Path, info: DatasetInfo) -> Iterator[Row]:
    try:
        from lhotse import CutSet
    except ImportError:
        raise CodecError("cuts of Lhotse need the package lhotse: pip install 'josiecodec[lhotse]'") from None
    from .lhotse_cuts import frame_range, load_codes

    for cut in _readable(lambda: iter(CutSet.from_shar(in_dir=folder)), folder):
        try:
            custom = cut.custom or {}
            if custom.get("fingerprint", info.fingerprint) != info.fingerprint:
                raise ModelError(f"{folder}: cut {cut.id!r} has codes of {custom.get('codec')}, not of {info.codec}")
            begin, end = frame_range(cut)
            whole = (begin, end) == (0, custom["n_frames"])
            meta = {key: value for key, value in custom.items() if key not in _OF_CUTS}
            meta = {"id": cut.id, "start": cut.start, "duration": custom["seconds"] if whole else cut.duration} | meta
            for segment in cut.supervisions[:1]:
                named = {"text": segment.text, "speaker": segment.speaker, "language": segment.language}
                meta |= {key: value for key, value in named.items() if value is not None}
            codes = load_codes(cut)
        except CodecError:
            raise
        except (ValueError, TypeError, KeyError, AttributeError, OSError, ArithmeticError, IndexError) as error:
            raise FormatError(f"{folder}: cut {cut.id!r}: no clip with codes ({error})") from None
        yield codes, meta


def _readable(begin: Callable[[], Iterator[Any]], folder: Path) -> Iterator[Any]:
    """The cuts of a Shar.

    Raises:
        FormatError: where the next one cannot be read: an archive or a list of cuts is damaged, or is missing.
    """
    found: Iterator[Any] | None = None
    number = 0
    while True:
        try:
            found = found or begin()
            cut = next(found)
        except StopIteration:
            return
        except CodecError:
            raise
        except Exception as error:  # whatever tarfile, gzip, json and Lhotse find wrong
            text = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise FormatError(
                f"{folder}: damaged Shar: no cut can be read behind the first {number} ({text})"
            ) from None
        number += 1
        yield cut


def _of_lines(path: Path, info: DatasetInfo) -> Iterator[Row]:
    with open(path, "rb") as lines:
        for number, text in enumerate(lines, 1):
            if not text.strip():
                continue
            try:
                line = json.loads(text)
                codes = next(read(path.parent, line[key]) for key, read in _READERS.items() if key in line)
                meta = {key: value for key, value in line.items() if key not in _OF_LINES}
                meta.setdefault("id", f"{path.stem}-{number}")
                meta.setdefault("source", line.get("audio_filepath", meta["id"]))
                meta.setdefault("start", line.get("offset") or 0.0)
                if info.frame_rate[0]:
                    meta.setdefault("duration", len(codes) * info.frame_rate[1] / info.frame_rate[0])
                if info.is_vision:
                    codes = _with_levels(codes, path.parent / line["file"])
                if not meta.get("text", True):
                    del meta["text"]  # NeMo wants one of every clip
            except (ValueError, TypeError, KeyError, OSError, RecursionError, StopIteration, OverflowError) as error:
                raise FormatError(f"{path}, line {number}: no clip with codes ({error})") from None
            yield codes, meta


def _listed(folder: Path, codes: Any) -> np.ndarray:
    found = np.asarray(codes)
    if found.dtype.kind not in "iu":
        raise ValueError("codes are no whole numbers")
    return found


def _saved(folder: Path, name: str) -> np.ndarray:
    # Mapped, for a header may claim more than there is; then copied, as every map holds a file open.
    return np.array(np.lib.format.open_memmap(folder / name, mode="r"))


def _with_levels(codes: np.ndarray, path: Path) -> np.ndarray:
    """Codes of patches, -1 where one has no further level: how many it has is in a file beside theirs."""
    levels = _saved(path.parent, f"{path.stem}.levels.npy")
    if codes.ndim != 2 or levels.shape != codes.shape[:1] or levels.dtype.kind not in "iu":
        raise ValueError(f"{path.stem}.levels.npy does not fit the codes")
    return np.where(np.arange(codes.shape[1]) < levels[:, None], codes.astype(np.int64), -1)


def _tensor(folder: Path, name: str) -> np.ndarray:
    import torch

    moved = folder / CODES / Path(name).parent.name / Path(name).name  # beside the manifest, wherever that is now
    path = moved if moved.is_file() else folder / name
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception as error:  # whatever unpickling and the archive's reader raise
        raise ValueError(f"{path.name}: {type(error).__name__}") from None
    if not isinstance(found, torch.Tensor) or found.layout != torch.strided or found.is_quantized:
        raise ValueError(f"{path.name} is no tensor of codes")
    return np.ascontiguousarray(found.numpy().T)


_READERS: dict[str, Callable[[Path, Any], np.ndarray]] = {
    "audio_codes": _listed,
    "target_audio_codes_path": _tensor,
    "file": _saved,
}

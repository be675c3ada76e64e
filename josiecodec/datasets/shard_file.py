"""The file of codes of one shard: safetensors, written from a stream and read through a memory map.

    offsets  int64  [N + 1]       clip i is rows offsets[i] .. offsets[i + 1]
    codes    uint16 [rows, K]     a row is an audio frame, or a patch of a picture
    levels   uint8  [rows]        of vision: level count of the row

See docs/datasets.md.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..atomic import replacing
from ..errors import CodesError, FormatError

MAX_HEADER = 1 << 16  # bytes; what is written takes a few hundred
ROWS_AT_ONCE = 1 << 16
_DTYPES: dict[str, np.dtype[Any]] = {"I64": np.dtype("<i8"), "U16": np.dtype("<u2"), "U8": np.dtype("u1")}


@dataclass(frozen=True)
class ShardFile:
    """An open shard; the arrays are read-only views of the file.

    Attributes:
        offsets: int64 [N + 1].
        codes: uint16 [rows, K].
        levels: uint8 [rows], or None.
        metadata: of the header.
    """

    offsets: np.ndarray
    codes: np.ndarray
    levels: np.ndarray | None
    metadata: dict[str, str]


def write_shard_file(
    path: Path, clips: Iterable[np.ndarray], n_q: int, codebook_size: int, has_levels: bool, metadata: dict[str, str]
) -> str:
    """Write codes [rows, n_q], clip after clip, in bounded memory. Returns the sha256 (hex) of the file.

    Args:
        path: of the file.
        clips: codes of each clip, integers; -1 for a level that a row does not have.
        n_q, codebook_size: of the codes.
        has_levels: whether rows have level counts of their own, as those of vision do.
        metadata: for the header.

    Raises:
        CodesError: if codes do not fit.
        CodecError: if the file cannot be written.
    """
    with tempfile.TemporaryFile(dir=path.parent) as codes, tempfile.TemporaryFile(dir=path.parent) as levels:
        offsets = [0]
        for clip in clips:
            for begin in range(0, max(len(clip), 1), ROWS_AT_ONCE):
                rows, counts = _checked(clip[begin : begin + ROWS_AT_ONCE], n_q, codebook_size, has_levels)
                codes.write(rows.tobytes())
                levels.write(counts.tobytes())
            offsets.append(offsets[-1] + len(clip))
        table = np.array(offsets, "<i8").tobytes()
        with replacing(path, durable=True) as file:
            file.write(_header(len(offsets), offsets[-1], n_q, has_levels, metadata) + table)
            for part in (codes, levels) if has_levels else (codes,):
                part.seek(0)
                shutil.copyfileobj(part, file, 1 << 20)
            file.flush()
            with open(file.name, "rb") as written:
                return hashlib.file_digest(written, "sha256").hexdigest()


def _checked(codes: np.ndarray, n_q: int, codebook_size: int, has_levels: bool) -> tuple[np.ndarray, np.ndarray]:
    """Codes as they are stored, and the level count of each row."""
    if codes.ndim != 2 or codes.shape[1] != n_q or codes.dtype.kind not in "iu":
        raise CodesError(f"codes of a clip must be integers [rows, {n_q}], not {codes.dtype} {list(codes.shape)}")
    if codes.size and not (-1 if has_levels else 0) <= int(codes.min()) <= int(codes.max()) < codebook_size:
        raise CodesError(f"codes must be in 0..{codebook_size - 1}")
    present = codes >= 0
    counts = present.sum(1).astype(np.uint8)
    if has_levels and not bool((present == (np.arange(n_q) < counts[:, None])).all()):
        raise CodesError("a level that is left out must not be followed by one that is present")
    return np.where(present, codes, 0).astype("<u2"), counts


def _header(count: int, rows: int, n_q: int, has_levels: bool, metadata: dict[str, str]) -> bytes:
    entries: dict[str, Any] = {"__metadata__": metadata}
    end = 0
    tensors = [("offsets", "I64", [count]), ("codes", "U16", [rows, n_q])] + [("levels", "U8", [rows])] * has_levels
    for name, dtype, shape in tensors:
        begin, end = end, end + int(np.prod(shape)) * _DTYPES[dtype].itemsize
        entries[name] = {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}
    text = json.dumps(entries, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # aligned for readers that map the file
    return len(text).to_bytes(8, "little") + text


def open_shard_file(path: Path, n_q: int, has_levels: bool) -> ShardFile:
    """Map a shard's file into memory; nothing is read but its header and offsets.

    Raises:
        FormatError: if it is damaged or does not hold codes of `n_q` levels.
    """

    def mapped(kind: np.dtype[Any], begin: int, shape: tuple[int, ...]) -> np.ndarray:
        return np.asarray(np.memmap(path, kind, "r", begin, shape))

    try:
        size = path.stat().st_size
        with open(path, "rb") as file:
            return _opened(str(path), file.read(8), file.read, size, mapped, (n_q, has_levels))
    except OSError as error:
        raise FormatError(f"{path}: cannot be read ({error.strerror})") from None


def shard_of_bytes(name: str, data: bytes, n_q: int, has_levels: bool) -> ShardFile:
    """A shard's file that is in memory; arrays are views of it. `name` is for messages.

    Raises:
        FormatError: as `open_shard_file`.
    """

    def viewed(kind: np.dtype[Any], begin: int, shape: tuple[int, ...]) -> np.ndarray:
        return np.frombuffer(data, kind, int(np.prod(shape, dtype=object)), begin).reshape(shape)

    return _opened(name, data[:8], lambda n: data[8 : 8 + n], len(data), viewed, (n_q, has_levels))


Loader = Callable[[np.dtype[Any], int, tuple[int, ...]], np.ndarray]  # from type, offset in the file and shape


def _opened(
    name: str, first: bytes, read: Callable[[int], bytes], size: int, load: Loader, layout: tuple[int, bool]
) -> ShardFile:
    """A file of `size` bytes, of which `first` are eight and `read` gives those behind them."""
    n_q, has_levels = layout
    length = int.from_bytes(first, "little")
    if not 2 <= length <= min(MAX_HEADER, size - 8):
        raise FormatError(f"{name}: not a shard of tokens")
    try:
        header = json.loads(read(length))
        metadata = header.pop("__metadata__", {})
        if not isinstance(metadata, dict):
            raise ValueError
        if set(header) != {"offsets", "codes"} | ({"levels"} if has_levels else set()):
            raise FormatError(f"{name}: holds {', '.join(map(str, header))}, not a shard's tensors")
        offsets = _tensor(header["offsets"], "I64", 1, 8 + length, size, load)
        codes = _tensor(header["codes"], "U16", 2, 8 + length, size, load)
        levels = _tensor(header["levels"], "U8", 1, 8 + length, size, load) if has_levels else None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise FormatError(f"{name}: damaged header") from None
    if codes.shape[1] != n_q or (levels is not None and len(levels) != len(codes)):
        raise FormatError(f"{name}: codes of {codes.shape[1]} levels where {n_q} were expected")
    if not len(offsets) or offsets[0] != 0 or offsets[-1] != len(codes) or bool((offsets[1:] < offsets[:-1]).any()):
        raise FormatError(f"{name}: offsets of clips do not fit the codes")
    return ShardFile(offsets, codes, levels, metadata)


def _tensor(entry: dict[str, Any], dtype: str, dims: int, base: int, size: int, load: Loader) -> np.ndarray:
    """A tensor of the file as a read-only array, after making sure that the file is long enough for it."""
    kind, shape, (begin, end) = _DTYPES[dtype], entry["shape"], entry["data_offsets"]
    whole = all(type(n) is int and 0 <= n <= size for n in (*shape, begin, end))
    if entry["dtype"] != dtype or len(shape) != dims or not whole or base + end > size:
        raise ValueError
    if end - begin != int(np.prod(shape, dtype=object)) * kind.itemsize:
        raise ValueError
    if begin == end:  # nothing to map
        return np.zeros(shape, kind)
    return load(kind, base + begin, tuple(shape))

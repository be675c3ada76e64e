"""Datasets of tokens: a folder of shards that anything with a safetensors and a JSON reader can open.

    dataset.json          the model that made the codes, and their layout
    00000.safetensors     the codes of some hundred clips, see `shard_file.py`
    00000.sha256          checksums of the two others, as `sha256sum --check` reads them
    00000.jsonl           one line of metadata per clip; written last: a shard is complete if it is there

The format is described in docs/datasets.md.
"""

from __future__ import annotations

import hashlib
import json
import re
from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, overload

import numpy as np

from ..atomic import remove_leftovers, write_bytes
from ..config import from_dict, to_dict
from ..errors import CodecError, CodesError, ConfigError, FormatError, ModelError
from .clips import Batch, Clip, Crop, collate
from .shard_file import ShardFile, open_shard_file, write_shard_file

VERSION = 1
INFO_FILE = "dataset.json"
MAX_OPEN_SHARDS = 64  # whose metadata are kept in memory
_DONE = re.compile(r"\d{5,}\.jsonl")


@dataclass(frozen=True)
class DatasetInfo:
    """What all shards of a dataset have in common; `dataset.json`.

    Attributes:
        codec: name of the model that made the codes.
        fingerprint: its sha256 (hex), see `josiecodec/fingerprint.py`.
        kind: "audio", "vision", or "motion": videos with motion as sequences of tokens. "visual", as datasets of
            earlier versions say, becomes "vision".
        n_q: levels stored.
        codebook_size: codes of each; they are in 0 .. codebook_size - 1.
        sample_rate: of audio in Hz; None for vision.
        frame_rate: audio frames per second as a fraction, (numerator, denominator); else (0, 1).
        semantic_levels: how many of the first levels are semantic.
        version: of the format.
    """

    codec: str
    fingerprint: str
    kind: Literal["audio", "vision", "visual", "motion"]
    n_q: int
    codebook_size: int
    sample_rate: int | None
    frame_rate: tuple[int, int]
    semantic_levels: int
    version: int = VERSION

    def __post_init__(self) -> None:
        if self.kind == "visual":
            object.__setattr__(self, "kind", "vision")
        if self.version != VERSION:
            raise ConfigError(f"{INFO_FILE}: version {self.version} is not one that this version knows ({VERSION})")
        if not 1 <= self.n_q <= 255 or not 1 <= self.codebook_size <= 1 << 16:
            raise ConfigError(f"{INFO_FILE}: n_q must be in 1..255 and codebook_size in 1..65536")
        if len(self.frame_rate) != 2 or self.frame_rate[0] < 0 or self.frame_rate[1] < 1:
            raise ConfigError(f"{INFO_FILE}: frame_rate must be a fraction [numerator, denominator]")
        if self.kind == "audio" and (not self.frame_rate[0] or (self.sample_rate or 0) < 1):
            raise ConfigError(f"{INFO_FILE}: audio needs a sample_rate and a frame_rate")
        if not 0 <= self.semantic_levels <= self.n_q:
            raise ConfigError(f"{INFO_FILE}: semantic_levels must be in 0..n_q")

    @property
    def is_vision(self) -> bool:
        """Whether the codes are of images or video without motion, with a level count for each row."""
        return self.kind == "vision"

    def to_json(self) -> str:
        """The text of `dataset.json`."""
        return json.dumps(to_dict(self), indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> DatasetInfo:
        """Read the text of `dataset.json`.

        Raises:
            FormatError: if it is damaged, has keys that are not known, or is of an unknown version.
        """
        try:
            return from_dict(cls, json.loads(text), INFO_FILE)
        except (ValueError, RecursionError):
            raise FormatError(f"{INFO_FILE}: not JSON") from None
        except ConfigError as error:
            raise FormatError(str(error)) from None


def read_info(folder: str | Path) -> DatasetInfo:
    """The `dataset.json` of a dataset.

    Raises:
        FormatError: if there is none, or it is damaged.
    """
    path = Path(folder) / INFO_FILE
    try:
        return DatasetInfo.from_json(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not text"
        raise FormatError(f"{folder}: not a dataset of tokens ({INFO_FILE}: {reason})") from None


def done_shards(folder: str | Path) -> list[int]:
    """Numbers of the shards of a dataset that are complete."""
    return sorted(int(p.stem) for p in Path(folder).iterdir() if _DONE.fullmatch(p.name))


class ShardWriter:
    """Writes the shards of a dataset; any number of processes can write different ones at a time.

    Args:
        folder: of the dataset, made if need be.
        info: the model that made the codes.

    Raises:
        ModelError: if the folder holds a dataset of another codec or layout.
        CodecError: if it cannot be written to.
    """

    def __init__(self, folder: str | Path, info: DatasetInfo):
        self.folder, self.info = Path(folder), info
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CodecError(f"{folder}: cannot be made ({error.strerror})") from None
        if not (self.folder / INFO_FILE).exists():
            write_bytes(self.folder / INFO_FILE, info.to_json().encode(), durable=True)
        existing = read_info(self.folder)
        if existing != info:
            raise ModelError(
                f"{folder}: holds tokens of {existing.codec} ({existing.fingerprint[:12]}), {existing.n_q} levels; "
                f"those of {info.codec} ({info.fingerprint[:12]}), {info.n_q} levels, need a folder of their own"
            )

    def done(self, index: int) -> bool:
        """Whether a shard is complete."""
        return self._path(index, "jsonl").is_file()

    def write(self, index: int, clips: Iterable[tuple[np.ndarray, dict[str, Any]]]) -> None:
        """Write a shard. It is complete when this returns; until then readers ignore it.

        Args:
            index: its number.
            clips: codes, integers [frames, n_q] (of vision [patches, n_q], -1 where a patch has no further
                level), and the metadata of each clip; `n_frames` is added.

        Raises:
            CodesError: if codes do not fit the dataset. Nothing is left behind then, as after any error.
            CodecError: if a file cannot be written.
        """
        if index < 0:
            raise CodesError(f"shards are numbered from 0 on, not {index}")
        name = f"{index:05d}"
        remove_leftovers(self.folder, name)
        lines: list[bytes] = []

        def codes_of() -> Iterator[np.ndarray]:
            for codes, meta in clips:
                codes = np.asanyarray(codes)  # a memory map stays one
                lines.append(_line({**meta, "n_frames": len(codes)}))
                yield codes

        metadata = {"fingerprint": self.info.fingerprint, "codec": self.info.codec}
        i = self.info
        digest = write_shard_file(
            self._path(index, "safetensors"), codes_of(), i.n_q, i.codebook_size, i.is_vision, metadata
        )
        text = b"".join(lines)
        sums = f"{digest}  {name}.safetensors\n{hashlib.sha256(text).hexdigest()}  {name}.jsonl\n"
        write_bytes(self._path(index, "sha256"), sums.encode(), durable=True)
        write_bytes(self._path(index, "jsonl"), text, durable=True)

    def _path(self, index: int, suffix: str) -> Path:
        return self.folder / f"{index:05d}.{suffix}"


def _line(meta: dict[str, Any]) -> bytes:
    try:
        return json.dumps(meta, ensure_ascii=False, allow_nan=False).encode() + b"\n"
    except (TypeError, ValueError) as error:
        raise CodesError(f"clip {meta.get('id')!r}: its metadata are not JSON ({error})") from None


class ClipSource(ABC):
    """Clips by index: a map-style dataset, as `torch.utils.data.DataLoader` takes them. Torch is not imported.

    `source[i]` is a `Clip`, `source[Crop(i, start, frames)]` an array of codes.

    Attributes:
        info: the model that made the codes.
        n_q: levels that are returned.
        lengths: int64 [N], frames (patches) of each clip.
    """

    info: DatasetInfo
    n_q: int
    lengths: np.ndarray

    def __len__(self) -> int:
        return len(self.lengths)

    def __repr__(self) -> str:
        i, rows = self.info, int(self.lengths.sum())
        what = f"{rows} patches" if i.is_vision else f"{rows} tokens"
        if i.kind == "audio":
            what = f"{rows} frames ({rows * i.frame_rate[1] / i.frame_rate[0] / 3600:.3g} h)"
        return f"{type(self).__name__}({len(self)} clips, {what}, {self.n_q} levels of {i.codec})"

    def collate(self, samples: Sequence[Clip | np.ndarray]) -> Batch:
        """`collate` of its samples, for a `DataLoader`."""
        return collate(samples)

    @overload
    def __getitem__(self, i: int) -> Clip: ...
    @overload
    def __getitem__(self, i: Crop) -> np.ndarray: ...
    def __getitem__(self, i: int | Crop) -> Clip | np.ndarray:
        if isinstance(i, Crop):
            return self.crop(*i)
        return self.clip(i + len(self) if i < 0 else i)

    @abstractmethod
    def clip(self, i: int) -> Clip:
        """Clip `i`, 0 <= i < N.

        Raises:
            IndexError: if there is no such clip.
            FormatError: if its metadata are damaged.
        """

    @abstractmethod
    def crop(self, i: int, start: int, n: int) -> np.ndarray:
        """Frames `start` to `start + n` of clip `i`, fewer where it ends: uint16 [n', n_q], a copy.

        Raises:
            CodesError: if `start` or `n` is negative.
            IndexError: if there is no such clip.
        """

    def piece(self, i: int, start: float = 0.0, seconds: float | None = None) -> np.ndarray:
        """Clip `i` of audio from `start` seconds on, from the beginning of the frame that is heard then: as `crop`.

        Raises:
            CodesError: of vision, or if `start` or `seconds` is negative or no number.
            IndexError: if there is no such clip.
        """
        if self.info.kind != "audio":
            raise CodesError("pieces in seconds are of audio; of pictures crop gives patches or tokens")
        rate = self.info.frame_rate[0] / self.info.frame_rate[1]
        if not 0 <= start < np.inf or not (seconds is None or 0 <= seconds < np.inf):
            raise CodesError(f"a piece cannot begin at {start} s or be {seconds} s long")
        most = int(self.lengths.max(initial=0))
        first = int(min(start * rate + 1e-6, most))
        return self.crop(i, first, most if seconds is None else int(np.ceil(min(seconds * rate - 1e-6, most))))

    @abstractmethod
    def meta(self, i: int) -> dict[str, Any]:
        """The metadata of clip `i`: its line of the jsonl.

        Raises:
            IndexError: if there is no such clip.
            FormatError: if they are damaged.
        """


class TokenDataset(ClipSource):
    """All complete shards of a dataset, read through memory maps: opening it reads no codes.

    It can be passed to the workers of a `torch.utils.data.DataLoader`. Indexing gives a whole clip, with its
    metadata; `crop` returns codes without metadata and is faster.

    Args:
        folder: of the dataset.
        n_q: levels to return, the first ones; None for all that are stored.
        shards: numbers of the shards to read; None for all that are complete.

    Attributes:
        info: its `dataset.json`.
        shards: numbers of the shards.

    Raises:
        FormatError: if there is no dataset, or a shard is damaged.
        ModelError: if a shard was made by another codec.
        CodesError: if not so many levels are stored.
    """

    def __init__(self, folder: str | Path, n_q: int | None = None, shards: list[int] | None = None):
        self.folder = Path(folder)
        self.info = read_info(folder)
        self.n_q = self.info.n_q if n_q is None else n_q
        if isinstance(self.n_q, bool) or not isinstance(self.n_q, int) or not 1 <= self.n_q <= self.info.n_q:
            raise CodesError(f"{folder}: n_q must be in 1..{self.info.n_q}, not {n_q!r}")
        self.shards = done_shards(folder) if shards is None else list(shards)
        self._files = [self._open(index) for index in self.shards]
        counts = [len(f.offsets) - 1 for f in self._files]
        self._first = np.concatenate([[0], np.cumsum(counts, dtype=np.int64)]).tolist()  # clip of each shard
        self.lengths = np.concatenate([np.zeros(0, np.int64), *(np.diff(f.offsets) for f in self._files)])
        self._lines: dict[int, list[bytes]] = {}

    def clip(self, i: int) -> Clip:
        shard, index = self._find(i)
        file = self._files[shard]
        begin, end = int(file.offsets[index]), int(file.offsets[index + 1])
        levels = None if file.levels is None else np.minimum(file.levels[begin:end], np.uint8(self.n_q))
        return Clip(file.codes[begin:end, : self.n_q].copy(), self.meta(i), levels)

    def crop(self, i: int, start: int, n: int) -> np.ndarray:
        if start < 0 or n < 0:
            raise CodesError(f"a crop cannot begin at {start} or be {n} long")
        shard, index = self._find(i)
        file = self._files[shard]
        end = file.offsets[index + 1]
        begin = min(file.offsets[index] + start, end)
        return file.codes[begin : min(begin + n, end), : self.n_q].copy()

    def meta(self, i: int) -> dict[str, Any]:
        shard, index = self._find(i)
        if shard not in self._lines:
            if len(self._lines) >= MAX_OPEN_SHARDS:
                self._lines.pop(next(iter(self._lines)))
            self._lines[shard] = self._read_lines(shard)
        try:
            meta = json.loads(self._lines[shard][index])
        except (ValueError, RecursionError):
            meta = None
        if not isinstance(meta, dict):
            raise FormatError(f"{self.folder}: shard {self.shards[shard]:05d} has a damaged line, {index + 1}")
        return meta

    def blocks(self, rows: int) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
        """All codes in order, uint16 [up to `rows`, n_q], with their level counts if they are of vision; views."""
        for file in self._files:
            for begin in range(0, len(file.codes), rows):
                levels = None if file.levels is None else np.minimum(file.levels[begin : begin + rows], self.n_q)
                yield file.codes[begin : begin + rows, : self.n_q], levels

    def number_of(self, name: str) -> int:
        """Index of the clip with this id; a name that is no id may be an index itself.

        Raises:
            CodesError: if there is no such clip.
        """
        for i in range(len(self)):
            if self.meta(i).get("id") == name:
                return i
        if name.isascii() and name.isdigit() and int(name) < len(self):
            return int(name)
        raise CodesError(f"{self.folder}: no clip {name!r} among {len(self)}")

    @property
    def bounds(self) -> list[tuple[int, int]]:
        """First clip of each shard, and the first behind it."""
        return list(zip(self._first, self._first[1:]))

    def _find(self, i: int) -> tuple[int, int]:
        if not 0 <= i < self._first[-1]:
            raise IndexError(f"clip {i} of {len(self)}")
        shard = bisect_right(self._first, i) - 1
        return shard, i - self._first[shard]

    def _open(self, index: int) -> ShardFile:
        path = self.folder / f"{index:05d}.safetensors"
        file = open_shard_file(path, self.info.n_q, self.info.is_vision)
        if file.metadata.get("fingerprint") != self.info.fingerprint:
            raise ModelError(f"{path}: made by another codec than {self.info.codec} ({self.info.fingerprint[:12]})")
        return file

    def _read_lines(self, shard: int) -> list[bytes]:
        path = self.folder / f"{self.shards[shard]:05d}.jsonl"
        try:
            lines = path.read_bytes().splitlines()
        except OSError as error:
            raise FormatError(f"{path}: cannot be read ({error.strerror})") from None
        expected = len(self._files[shard].offsets) - 1
        if len(lines) != expected:
            raise FormatError(f"{path}: {len(lines)} lines for {expected} clips")
        return lines

    def __reduce__(self) -> tuple[Any, ...]:  # memory maps would be sent as copies of the files
        return TokenDataset, (self.folder, self.n_q, self.shards)

"""Datasets of tokens on object storage, read shard after shard: s3://, gs://, hf://, https://, memory:// (fsspec).

    stream = ShardStream("s3://bucket/tokens", frames=64, seed=1, rank=rank, world_size=world_size)
    loader = DataLoader(stream, batch_size=32, num_workers=2)         # uint16 [32, 64, n_q]

Random access to storage that answers after 50 ms makes a GPU wait; whole shards, fetched ahead, do not. Shards are put
in an order from seed and epoch; some are held at a time, and crops are drawn from all of these.
"""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
from torch.utils.data import IterableDataset, get_worker_info

from ..errors import CodecError, CodesError, FormatError, ModelError
from .clips import Clip
from .dataset import INFO_FILE, DatasetInfo
from .shard_file import ShardFile, shard_of_bytes

MAX_SHARD = 1 << 30  # bytes; shards of `tokenize` have some MB
_DONE = re.compile(r"(?:.*/)?(\d{5,})\.jsonl")


class Storage:
    """A folder of fsspec.

    Args:
        url: of the folder.
        options: of its file system, such as keys.

    Raises:
        CodecError: if the package of its protocol is not installed, or there is no such protocol.
    """

    def __init__(self, url: str, options: dict[str, Any] | None = None):
        try:
            from fsspec.core import url_to_fs
        except ImportError:
            raise CodecError(f"{url} needs the package fsspec: pip install 'josiecodec[remote]'") from None
        try:
            self.system, root = url_to_fs(url, **(options or {}))
        except (ImportError, ValueError) as error:
            raise CodecError(f"{url}: {error}") from None
        self.url, self.root = url.rstrip("/"), root.rstrip("/")

    def names(self) -> list[str]:
        """Paths in the folder.

        Raises:
            CodecError: if it cannot be listed.
        """
        try:
            return [str(name) for name in self.system.ls(self.root, detail=False)]
        except Exception as error:  # each file system has its own
            raise CodecError(f"{self.url}: cannot be listed ({_told(error)})") from None

    def read(self, name: str) -> bytes:
        """A whole file.

        Raises:
            FormatError: if it cannot be read.
        """
        try:
            size = self.system.size(f"{self.root}/{name}")
            if size is not None and size > MAX_SHARD:
                raise FormatError(f"{self.url}/{name}: {size} bytes are too many for a shard")
            return bytes(self.system.cat_file(f"{self.root}/{name}"))
        except FormatError:
            raise
        except Exception as error:
            raise FormatError(f"{self.url}/{name}: cannot be read ({_told(error)})") from None


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0]


class ShardStream(IterableDataset):
    """Crops or clips of a dataset on object storage, an epoch at each `iter`, for any number of processes.

    Shard n of the order of an epoch goes to process n % world_size, there to worker by worker of its `DataLoader`.

    Args:
        url: of the dataset.
        frames: of a crop; None for whole clips, as `Clip`s.
        n_q: levels to return; None for all that are stored.
        seed: of all random choices.
        rank, world_size: of this process.
        held: shards that crops are drawn from together.
        ahead: shards that are fetched while those are used.
        repeat: never end, so that all processes can take as many steps; else one epoch.
        options: of the file system.

    Attributes:
        info: its `dataset.json`.
        shards: numbers of the shards.

    Raises:
        FormatError: if there is no dataset.
        CodecError: if it cannot be listed, or a package is not installed.
        CodesError: if the arguments make no sense, or there is nothing to repeat.
    """

    def __init__(
        self,
        url: str,
        frames: int | None = None,
        n_q: int | None = None,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
        held: int = 4,
        ahead: int = 4,
        repeat: bool = False,
        options: dict[str, Any] | None = None,
    ):
        super().__init__()
        if not 0 <= rank < world_size or held < 1 or ahead < 1 or (frames is not None and frames < 1):
            raise CodesError(f"no process {rank} of {world_size}, or no shards or frames to read")
        self.url, self.options = url, options
        storage = Storage(url, options)
        self.info = DatasetInfo.from_json(storage.read(INFO_FILE).decode("utf-8", "replace"))
        self.n_q = self.info.n_q if n_q is None else n_q
        if not 1 <= self.n_q <= self.info.n_q:
            raise CodesError(f"{url}: n_q must be in 1..{self.info.n_q}, not {self.n_q}")
        found = (_DONE.fullmatch(name) for name in storage.names())
        self.shards = sorted(int(match[1]) for match in found if match)
        if not self.shards:
            raise FormatError(f"{url}: no complete shards")
        self.frames, self.seed, self.rank, self.world_size = frames, seed, rank, world_size
        self.held, self.ahead, self.repeat = held, ahead, repeat
        self.epoch = self._group = self._given = 0  # where the next `iter` begins

    def state_dict(self) -> dict[str, int]:
        """Where this process (or worker of a `StatefulDataLoader`) is."""
        return {"seed": self.seed, "epoch": self.epoch, "group": self._group, "given": self._given}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go on there; `rank`, `world_size`, `held` and the number of workers must be the same."""
        self.seed, self.epoch = int(state["seed"]), int(state["epoch"])
        self._group, self._given = int(state["group"]), int(state["given"])

    def set_epoch(self, epoch: int) -> None:
        """Begin there with the next `iter`. Workers of a `DataLoader` that do not persist are copies of the stream as
        it is here, which does not count what they read: without this each pass gives them the same order."""
        self.epoch, self._group, self._given = epoch, 0, 0

    def __iter__(self) -> Iterator[Any]:
        while True:
            begins, given = not (self._group or self._given), 0
            for sample in self._epoch():
                given += 1
                yield sample
            if self.repeat and begins and not given:
                raise CodesError(
                    f"{self.url}: nothing to repeat: no clip is long enough, or there are fewer shards than processes"
                    f" and workers ({len(self.shards)})"
                )
            self.set_epoch(self.epoch + 1)
            if not self.repeat:
                return

    def _epoch(self) -> Iterator[Any]:
        order = self._order()
        groups = [order[i : i + self.held] for i in range(0, len(order), self.held)]
        storage = Storage(self.url, self.options)  # of this process: file systems do not survive a fork
        with ThreadPoolExecutor(self.ahead) as pool:
            waiting: deque[Future[_Shard]] = deque()
            todo = deque(n for group in groups[self._group :] for n in group)

            def fetch() -> None:
                while todo and len(waiting) < self.held + self.ahead:
                    waiting.append(pool.submit(self._fetch, storage, todo.popleft()))

            try:
                fetch()
                while self._group < len(groups):
                    shards = [waiting.popleft().result() for _ in groups[self._group]]
                    fetch()
                    samples = self._samples(shards, groups[self._group])
                    for sample in samples[self._given :]:
                        self._given += 1
                        shard, index, start = sample
                        yield shards[shard].get(index, start, self.frames)
                    self._group, self._given = self._group + 1, 0
            finally:
                for future in waiting:
                    future.cancel()

    def _order(self) -> list[int]:
        """Shards of this process and worker in this epoch."""
        worker = get_worker_info()
        part, parts = (0, 1) if worker is None else (worker.id, worker.num_workers)
        shuffled = np.random.default_rng([self.seed, self.epoch]).permutation(self.shards)
        return [int(n) for n in shuffled[self.rank :: self.world_size][part::parts]]

    def _samples(self, shards: list[_Shard], numbers: list[int]) -> list[tuple[int, int, int]]:
        """What is read of some shards, in order: shard, clip and first frame."""
        random = np.random.default_rng([self.seed, self.epoch, *numbers])
        lengths = [np.diff(shard.file.offsets) for shard in shards]
        which = np.repeat(np.arange(len(shards)), [len(n) for n in lengths])
        clips = np.concatenate([np.arange(len(n)) for n in lengths])
        sizes = np.concatenate(lengths)
        if self.frames is None:
            chosen = random.permutation(len(sizes))
            starts = np.zeros(len(sizes), np.int64)
        else:
            long = np.flatnonzero(sizes >= self.frames)
            count = int(sizes[long].sum()) // self.frames
            weights = np.cumsum(sizes[long])
            chosen = long[np.searchsorted(weights, random.random(count) * weights[-1:].sum(), "right")]
            starts = random.integers(0, sizes[chosen] - self.frames + 1) if count else chosen
        return list(zip(which[chosen].tolist(), clips[chosen].tolist(), starts.tolist()))

    def _fetch(self, storage: Storage, number: int) -> _Shard:
        name = f"{number:05d}"
        file = shard_of_bytes(
            f"{self.url}/{name}", storage.read(f"{name}.safetensors"), self.info.n_q, self.info.is_vision
        )
        if file.metadata.get("fingerprint") != self.info.fingerprint:
            raise ModelError(f"{self.url}/{name}: made by another codec than {self.info.codec}")
        lines = storage.read(f"{name}.jsonl").splitlines() if self.frames is None else None
        if lines is not None and len(lines) != len(file.offsets) - 1:
            raise FormatError(f"{self.url}/{name}.jsonl: {len(lines)} lines for {len(file.offsets) - 1} clips")
        return _Shard(f"{self.url}/{name}", file, lines, self.n_q)


class _Shard:
    """A shard in memory."""

    def __init__(self, name: str, file: ShardFile, lines: list[bytes] | None, n_q: int):
        self.name, self.file, self.lines, self.n_q = name, file, lines, n_q

    def get(self, index: int, start: int, frames: int | None) -> np.ndarray | Clip:
        begin, end = int(self.file.offsets[index]), int(self.file.offsets[index + 1])
        if frames is not None:
            return self.file.codes[begin + start : begin + start + frames, : self.n_q].copy()
        levels = None if self.file.levels is None else np.minimum(self.file.levels[begin:end], np.uint8(self.n_q))
        assert self.lines is not None
        try:
            meta = json.loads(self.lines[index])
        except (ValueError, RecursionError):
            meta = None
        if not isinstance(meta, dict):
            raise FormatError(f"{self.name}.jsonl: line {index + 1} is damaged")
        return Clip(self.file.codes[begin:end, : self.n_q].copy(), meta, levels)

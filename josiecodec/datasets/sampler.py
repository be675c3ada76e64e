"""The order in which training reads clips or crops: from a seed, for any number of processes, resumable at once.

The n-th sample of an epoch is computed from (seed, epoch, n) alone, so a run can resume at any n without replaying
what came before. Clips are put in order by a Feistel network, a permutation that needs no table; crops are
drawn by a hash of n.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ..errors import CodesError, ModelError
from .dataset import Clip, ClipSource, Crop, TokenDataset

SAMPLES_AT_ONCE = 4096
ROUNDS = 6


class MixedDataset(ClipSource):
    """Several datasets of one codec one after the other.

    Args:
        datasets: of the same codec, kind and number of levels.
        weights: relative fraction of the random crops that comes from each; None for fractions in proportion to
            their frames.

    Raises:
        ModelError: if they were made by several codecs.
        CodesError: if their levels differ, or the weights do not fit.
    """

    def __init__(self, datasets: Sequence[TokenDataset], weights: Sequence[float] | None = None):
        if not datasets:
            raise CodesError("there is nothing to mix")
        first = datasets[0]
        for other in datasets[1:]:
            if other.info.fingerprint != first.info.fingerprint or other.info.kind != first.info.kind:
                raise ModelError(
                    f"{other.folder} was made by {other.info.codec} ({other.info.fingerprint[:12]}), "
                    f"{first.folder} by {first.info.codec} ({first.info.fingerprint[:12]}): they cannot be mixed"
                )
            if other.n_q != first.n_q:
                raise CodesError(f"{other.folder} returns {other.n_q} levels, {first.folder} {first.n_q}: give one n_q")
        if weights is not None and (
            len(weights) != len(datasets) or not all(0 <= w < np.inf for w in weights) or not sum(weights) > 0
        ):
            raise CodesError(f"{len(datasets)} datasets take as many weights, none negative, not {list(weights)}")
        self.datasets = list(datasets)
        self.weights = None if weights is None else [float(w) for w in weights]
        self.info, self.n_q = first.info, first.n_q
        self.first = np.concatenate([[0], np.cumsum([len(d) for d in datasets], dtype=np.int64)]).tolist()
        self.lengths = np.concatenate([d.lengths for d in datasets])

    def clip(self, i: int) -> Clip:
        dataset, index = self._find(i)
        return dataset.clip(index)

    def crop(self, i: int, start: int, n: int) -> np.ndarray:
        dataset, index = self._find(i)
        return dataset.crop(index, start, n)

    def meta(self, i: int) -> dict[str, Any]:
        dataset, index = self._find(i)
        return dataset.meta(index)

    def _find(self, i: int) -> tuple[TokenDataset, int]:
        if not 0 <= i < self.first[-1]:
            raise IndexError(f"clip {i} of {len(self)}")
        which = bisect_right(self.first, i) - 1
        return self.datasets[which], i - self.first[which]


class TokenSampler:
    """The order of training: indices of clips, or random crops, to be passed as `sampler` to a `DataLoader`.

    Without `frames` every clip comes once per epoch, as its index. With `frames` random crops come, as `Crop`s that
    index a dataset as well: a clip is drawn in proportion to its length (and its dataset's weight), a start evenly
    inside it; an epoch is as many crops as the frames make. Processes take turns: sample n goes to process
    n % world_size.

    Args:
        dataset: a `TokenDataset` or `MixedDataset`.
        frames: of a crop; None for whole clips.
        seed: of all random choices.
        rank, world_size: of this process.
        drop_short: never crop clips shorter than `frames`, so that all crops have the same size.
        drop_last: leave out the last few samples of an epoch if they do not go round all processes.

    Raises:
        CodesError: if the arguments make no sense, or there is nothing to draw from.
    """

    def __init__(
        self,
        dataset: ClipSource,
        frames: int | None = None,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
        drop_short: bool = False,
        drop_last: bool = False,
    ):
        if not 0 <= rank < world_size:
            raise CodesError(f"there is no process {rank} of {world_size}")
        if frames is not None and frames < 1:
            raise CodesError(f"a crop has at least one frame, not {frames}")
        self.frames, self.seed = frames, seed
        self.rank, self.world_size, self.drop_last = rank, world_size, drop_last
        self.epoch = 0
        self._start = 0  # samples of all processes before this process's first one in this epoch
        self._given = 0  # samples that this process has given since
        self._begun = False  # whether an `iter` went on from there
        lengths = dataset.lengths
        self._size = len(lengths)
        self._total = int(lengths.sum())
        self._lengths, self._cumulative = lengths, np.zeros(0)
        self._samples = len(lengths)
        if frames is not None:
            weights = _crop_weights(dataset, frames if drop_short else 1)
            self._cumulative = np.cumsum(weights)
            self._samples = max(int(lengths[weights > 0].sum()) // frames, 1)
        if not self._samples or (frames is not None and not self._cumulative[-1:].any()):
            raise CodesError("there is nothing to draw from" if not drop_short else f"no clip has {frames} frames")

    def __len__(self) -> int:
        """Samples that the next `iter` gives to this process."""
        return self._left(0 if self._ended else self._start)

    def __iter__(self) -> Iterator[int | Crop]:
        """The samples of this epoch, from the position of a loaded state on; after the last one, those of the next."""
        if self._ended:
            self.epoch, self._start = self.epoch + 1, 0
        self._given, self._begun = 0, True
        count = self._left(self._start)
        for begin in range(0, count, SAMPLES_AT_ONCE):
            numbers = np.arange(begin, min(begin + SAMPLES_AT_ONCE, count), dtype=np.int64)
            for sample in self._draw(self._start + self.rank + numbers * self.world_size):
                self._given += 1
                yield sample

    def state_dict(self, used: int | None = None) -> dict[str, int]:
        """Position of the run: equal in all processes that have used as many samples, valid for any number of them.

        Args:
            used: samples of this process that the run has really used in this epoch, since it began or was loaded;
                None for all that were given. With a `DataLoader` some may still wait in its workers: count there.
        """
        used = self._given if used is None else used
        over = self._over(used)
        return {
            "seed": self.seed,
            "epoch": self.epoch + over,
            "position": 0 if over else self._start + used * self.world_size,
            "frames": self.frames or 0,
            "clips": self._size,
            "total_frames": self._total,
        }

    def _left(self, start: int) -> int:
        """Samples of this process in an epoch from `start` on."""
        left = self._samples - start
        return left // self.world_size if self.drop_last else max(0, -(-(left - self.rank) // self.world_size))

    def _over(self, used: int) -> bool:
        """Whether this epoch is over when every process has used so many samples."""
        if self.drop_last:
            return used >= self._left(self._start) and (used > 0 or self._start > 0)
        return self._start + used * self.world_size >= self._samples

    @property
    def _ended(self) -> bool:
        """Whether the next `iter` is of the next epoch: this process has given all its samples of this one."""
        return self._over(self._given) or (self._begun and self._given >= self._left(self._start))

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Resume there, at once; the number of processes may differ.

        Raises:
            CodesError: if the state is of another dataset or another kind of sampler.
        """
        ours = self.state_dict()
        for key in ("frames", "clips", "total_frames"):
            if state.get(key) != ours[key]:
                raise CodesError(f"the state is of a sampler with {key} {state.get(key)}, not {ours[key]}")
        self.seed, self.epoch, self._start = int(state["seed"]), int(state["epoch"]), int(state["position"])
        self._given, self._begun = 0, False

    def _draw(self, numbers: np.ndarray) -> list[Any]:
        """The samples with these numbers in the epoch."""
        key = _hash(np.array([self.seed & 0xFFFFFFFF, self.epoch], np.uint64), np.uint64(self.seed >> 32 & 0xFFFFFFFF))
        key = _hash(key[:1], key[1])[0]
        if self.frames is None:
            return permuted(numbers.astype(np.uint64), self._samples, key).tolist()
        hashes = _hash(numbers.astype(np.uint64), key)
        where = (hashes >> np.uint64(11)) * 2.0**-53 * self._cumulative[-1]
        clips = np.minimum(np.searchsorted(self._cumulative, where, "right"), self._size - 1)
        room = np.maximum(self._lengths[clips] - self.frames, 0) + 1
        starts = (_hash(hashes, key) % room.astype(np.uint64)).astype(np.int64)
        return [Crop(c, s, self.frames) for c, s in zip(clips.tolist(), starts.tolist())]


def _crop_weights(dataset: ClipSource, min_length: int) -> np.ndarray:
    """Probability of each clip to be cropped, not normalised: by its length and its dataset's weight."""
    weights = np.where(dataset.lengths >= min_length, dataset.lengths, 0).astype(np.float64)
    if isinstance(dataset, MixedDataset) and dataset.weights is not None:
        for begin, end, weight in zip(dataset.first, dataset.first[1:], dataset.weights):
            weights[begin:end] *= weight / max(weights[begin:end].sum(), 1.0)
    return weights


def permuted(numbers: np.ndarray, size: int, key: np.uint64) -> np.ndarray:
    """Where a permutation of 0 .. size - 1 that depends on `key` puts `numbers`, uint64 each.

    A Feistel network over the next even power of two; what falls outside goes through again (Black and Rogaway,
    "Ciphers with arbitrary finite domains", 2002).
    """
    half = np.uint64(max((size - 1).bit_length() + 1, 2) // 2)
    low = np.uint64((1 << int(half)) - 1)
    out = numbers.copy()
    outside = np.ones(len(out), bool)
    while outside.any():
        left, right = out[outside] >> half, out[outside] & low
        for turn in range(ROUNDS):
            left, right = right, left ^ (_hash(right, key ^ np.uint64(turn)) & low)
        out[outside] = left << half | right
        outside = out >= np.uint64(size)
    return out


def _hash(x: np.ndarray, key: np.uint64) -> np.ndarray:
    """A hash of uint64 numbers: the output function of SplitMix64 (Steele, Lea and Flood 2014)."""
    with np.errstate(over="ignore"):  # arithmetic is modulo 2^64
        x = (x + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15) + key
        x = (x ^ x >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ x >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
        return x ^ x >> np.uint64(31)

"""What codes cost without a network: the floors that a model has to be better than.

All are fitted to the training data and measured on other data, in nats per code, for every level:

    unigram   how often a code occurs
    bigram    ... after the code of the frame before, at the same level
    stacked   ... after the code of the same frame, at the level below

Counts of pairs are mixed with the unigram, p(b | a) = (n(a, b) + m p(b)) / (n(a) + m), and of several m the one is
taken that is best on the data measured: the floors are as hard to beat as they can be made.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from josiecodec.datasets.dataset import TokenDataset

ADDED = 0.5
STRENGTHS = (3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0, 10000.0)


def clips_of(datasets: Sequence[TokenDataset], n_q: int, max_frames: int | None = None) -> list[np.ndarray]:
    """Codes [frames, n_q] of every clip; of about `max_frames` in all, clips taken at even distances.

    Clips are given whole, as int64.
    """
    total = sum(int(d.lengths.sum()) for d in datasets)
    every = 1 if max_frames is None else max(-(-total // max_frames), 1)
    return [
        d.crop(i, 0, int(d.lengths[i]))[:, :n_q].astype(np.int64)
        for d in datasets
        for i in range(0, len(d), every)
        if d.lengths[i]
    ]


def unigram(clips: Iterable[np.ndarray], codebook_size: int) -> np.ndarray:
    """Log-probabilities of the codes of each level, [n_q, codebook_size], half a count added to each."""
    rows = np.concatenate(list(clips))
    counts = np.stack([np.bincount(column, minlength=codebook_size) for column in rows.T]) + ADDED
    return np.log(counts / counts.sum(1, keepdims=True))


def unigram_entropy(logs: np.ndarray) -> list[float]:
    """Entropy in nats of each level's distribution."""
    return [float(-(np.exp(row) * row).sum()) for row in logs]


@dataclass(frozen=True)
class Floors:
    """Nats per code of each level.

    Attributes:
        unigram, bigram: [n_q].
        stacked: [n_q]; the first level has none below it and counts as its unigram.
    """

    unigram: list[float]
    bigram: list[float]
    stacked: list[float]


def floors(train: Sequence[np.ndarray], valid: Sequence[np.ndarray], codebook_size: int) -> Floors:
    """Fit the floors to `train` and measure them on other clips, all codes [frames, n_q].

    The first code of a clip has none before it and costs what its unigram says.
    """
    logs = unigram(train, codebook_size)
    levels = range(logs.shape[0])
    flat = np.concatenate(list(valid))
    single = [float(-logs[k][flat[:, k]].mean()) for k in levels]
    bigrams, stacks = [], []
    for k in levels:
        inside = [(c[:-1, k], c[1:, k]) for c in train]
        before = [(c[:-1, k], c[1:, k]) for c in valid]
        first = sum(float(-logs[k][c[0, k]]) for c in valid)
        bigrams.append((_pairs(inside, before, logs[k]) + first) / len(flat))
        if not k:
            stacks.append(single[0])
            continue
        below = [(c[:, k - 1], c[:, k]) for c in valid]
        stacks.append(_pairs([(c[:, k - 1], c[:, k]) for c in train], below, logs[k]) / len(flat))
    return Floors(single, bigrams, stacks)


def _pairs(
    train: list[tuple[np.ndarray, np.ndarray]], valid: list[tuple[np.ndarray, np.ndarray]], logs: np.ndarray
) -> float:
    """Nats of all second codes of `valid` given the first ones, at the best strength of mixing."""
    size = len(logs)
    first, second = (np.concatenate(part) for part in zip(*train))
    keys, counts = np.unique(first * size + second, return_counts=True)
    totals = np.bincount(first, minlength=size)
    a, b = (np.concatenate(part) for part in zip(*valid))
    wanted = a * size + b
    index = np.searchsorted(keys, wanted).clip(0, len(keys) - 1)
    together = np.where(keys[index] == wanted, counts[index], 0)
    single = np.exp(logs[b])
    costs = [float(-np.log((together + m * single) / (totals[a] + m)).sum()) for m in STRENGTHS]
    return min(costs)

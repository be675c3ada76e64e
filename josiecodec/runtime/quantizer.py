"""Codes in NumPy: the sum of what they stand for, and the beam search for them of `quantization/beam_search.py`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..quantization.config import SplitQuantizerConfig

CHUNK = 64  # vectors compared with all codes together, always as many, so that sums keep their order
GROUP = 16  # numbers of which at first only the greatest is looked at, see `greatest`


@dataclass(frozen=True)
class Level:
    """One codebook.

    Attributes:
        codes: [S, D].
        scale: size of what it codes in units of that codebook.
        center, table, bias: what distances are computed from, see `VectorQuantizer.table`; table is [D, S].
    """

    codes: np.ndarray
    scale: np.float32
    center: np.ndarray
    table: np.ndarray
    bias: np.ndarray


class Quantizer:
    """The semantic codebook and the acoustic stack of a model.

    Args:
        config: of a quantizer that compares vectors in spaces of their own, which are not normalised.
        weights: of the model, by their names in files.
    """

    def __init__(self, config: SplitQuantizerConfig, weights: Mapping[str, np.ndarray]):
        self.levels = 1 + config.acoustic_levels
        self._weights, self._shared_from = weights, config.shared_from
        self._made: dict[int, Level] = {}

    def sums(self, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Codes [F, K] -> vectors of the semantic codebook [F, D] and the sums of those of the stack [F, E]."""
        semantic = self._codes(0)[codes[:, 0]].astype(np.float32)
        acoustic = np.zeros((len(codes), self._codes(1).shape[1]), np.float32)
        for k in range(1, codes.shape[1]):
            acoustic = acoustic + self._codes(k)[codes[:, k]].astype(np.float32) * self._scale(k)
        return semantic, acoustic

    def search(self, semantic: np.ndarray, acoustic: np.ndarray, n_q: int, beams: int) -> np.ndarray:
        """Vectors [F, D] and [F, E] -> codes int64 [F, n_q]; of the acoustic ones `beams` hypotheses are kept."""
        out = np.zeros((len(semantic), n_q), np.int64)
        for first in range(0, len(semantic), CHUNK):
            part = slice(first, min(first + CHUNK, len(semantic)))
            count = part.stop - first
            out[part, 0] = self._nearest(_padded(semantic[part]))[:count]
            if n_q > 1:
                out[part, 1:] = self._beams(_padded(acoustic[part]), n_q - 1, beams)[:count]
        return out

    def _codes(self, k: int) -> np.ndarray:
        """The codes of a level as they are in the file."""
        if k == 0:
            return self._weights["semantic_rvq.codebook.weight"]
        own = k - 1 if self._shared_from < 0 else min(k - 1, self._shared_from)
        return self._weights[f"acoustic_rvq.quantizers.{own}.codebook.weight"]

    def _scale(self, k: int) -> np.float32:
        """The size of what a level codes in units of its codebook."""
        if self._shared_from < 0 or k - 1 <= self._shared_from:
            return np.float32(1)
        size = np.maximum(self._weights["acoustic_rvq.size"].astype(np.float32), np.float32(1e-12))
        return np.sqrt(size[k - 1] / size[self._shared_from])

    def _level(self, k: int) -> Level:
        if k not in self._made:
            codes = self._codes(k).astype(np.float32)
            center = codes.mean(0)
            off = codes - center
            bias = np.float32(-0.5) * np.square(off).sum(-1)
            self._made[k] = Level(codes, self._scale(k), center, np.ascontiguousarray(off.T), bias)
        return self._made[k]

    def _nearest(self, x: np.ndarray) -> np.ndarray:
        level = self._level(0)
        return ((x - level.center) @ level.table + level.bias).argmax(-1)

    def _beams(self, x: np.ndarray, levels: int, beams: int) -> np.ndarray:
        """Codes [n, levels] of the best hypotheses for vectors [n, E]; no step depends on what came out before."""
        rest = x[:, None]  # [n, m, E], what each hypothesis leaves over
        chosen: list[np.ndarray] = []  # the code of each level so far in each hypothesis, [n, m]
        for k in range(1, levels + 1):
            level = self._level(k)
            code, parent = _step(level, rest / level.scale, beams)
            kept = np.take_along_axis(rest, parent[:, :, None], 1)
            rest = kept - level.codes[code] * level.scale
            chosen = [*(np.take_along_axis(codes, parent, 1) for codes in chosen), code]
        return np.stack([codes[:, 0] for codes in chosen], -1)


def _step(level: Level, rest: np.ndarray, beams: int) -> tuple[np.ndarray, np.ndarray]:
    """One level: codes, and which hypotheses they go on from, each [n, up to `beams`], best first."""
    shifted = rest - level.center
    # |z - c|^2 = |z|^2 - 2 (z.c - |c|^2 / 2)
    offset = np.float32(-0.5) * np.square(shifted).sum(-1)
    similarity = shifted.reshape(-1, shifted.shape[-1]) @ level.table
    similarity += level.bias
    size = similarity.shape[-1]
    indices = greatest(similarity.reshape(*shifted.shape[:2], size), offset, beams)
    return indices % size, indices // size


def greatest(x: np.ndarray, offset: np.ndarray, count: int, tops: np.ndarray | None = None) -> np.ndarray:
    """Where the `count` greatest numbers of each x[i] + offset[i] are, [n, m, s] and [n, m], in order.

    Only the groups with the greatest maxima are looked at in full: the numbers wanted all lie there. Those maxima of
    each row, [n, m, s / `GROUP`], may be known.
    """
    n, m, size = x.shape
    count = min(count, m * size)
    width = size // GROUP
    if size % GROUP or m * width < 4 * count:
        return _top((x + offset[:, :, None]).reshape(n, -1), count)
    tops = (x.reshape(n, m, GROUP, width).max(2) if tops is None else tops) + offset[:, :, None]
    chosen = _top(tops.reshape(n, -1), count)
    row = chosen // width
    first = row * size + chosen % width
    indices = (first[:, None] + width * np.arange(GROUP)[:, None]).reshape(n, -1)
    candidates = np.take_along_axis(x.reshape(n, -1), indices, 1)
    candidates += np.tile(np.take_along_axis(offset, row, 1), (1, GROUP))
    return np.take_along_axis(indices, _top(candidates, count), 1)


def _top(x: np.ndarray, count: int) -> np.ndarray:
    """Indices of the `count` greatest numbers of each row, the greatest first."""
    if count < x.shape[1]:
        some = np.argpartition(x, -count, axis=1)[:, -count:]
    else:
        some = np.broadcast_to(np.arange(count), x.shape)
    order = np.argsort(-np.take_along_axis(x, some, 1), axis=1, kind="stable")
    return np.take_along_axis(some, order, 1)


def _padded(x: np.ndarray) -> np.ndarray:
    """Rows of zeros after the last one, until there are `CHUNK`."""
    return x if len(x) == CHUNK else np.concatenate([x, np.zeros((CHUNK - len(x), x.shape[1]), np.float32)])

"""Codes of a residual stack at a rate, in NumPy: the beam search of `quantization/beam_search.py`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..kernels import family
from ..quantization.config import ResidualQuantizerConfig
from .quantizer import GROUP, greatest

CHUNK = 128  # vectors compared with all codes together


@dataclass
class Search:
    """What a search made of N vectors and L levels, M hypotheses being kept, see `BeamResult`.

    Attributes:
        errors: [N, L + 1], squared error of the best hypothesis of 0, 1, ... levels; infinite where the search had
            stopped.
        codes: int16 [L, N, M], last code of each hypothesis, the best one first.
        parents: uint8 [L, N, M], which hypothesis of the level before it goes on from.
    """

    errors: np.ndarray
    codes: np.ndarray
    parents: np.ndarray

    def path(self, counts: np.ndarray) -> np.ndarray:
        """Codes of the best hypothesis of `counts` levels [N]: int64 [N, L], zeros behind the last one."""
        out = np.zeros((len(counts), len(self.codes)), np.int64)
        beam = np.zeros(len(counts), np.int64)
        every = np.arange(len(counts))
        for k in range(int(counts.max(initial=0)) - 1, -1, -1):
            inside = counts > k
            out[:, k] = np.where(inside, self.codes[k, every, beam].astype(np.int64) & 0xFFFF, 0)
            beam = np.where(inside, self.parents[k, every, beam].astype(np.int64), beam)
        return out


class Stack:
    """The codebooks of a model of vision.

    Args:
        config: of a quantizer that compares vectors as they are.
        weights: of the model, by their names in files.
    """

    def __init__(self, config: ResidualQuantizerConfig, weights: Mapping[str, np.ndarray]):
        self.levels, self._weights = config.levels, weights
        self.own = config.levels if config.shared_from < 0 else min(config.levels, config.shared_from + 1)
        self._tables: dict[int, tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]] = {}
        self._sizes: np.ndarray | None = None

    def codes(self, k: int) -> np.ndarray:
        """The codes of a level, float32 [S, D]."""
        return self._table(min(k, self.own - 1))[0]

    def scale(self, k: int) -> np.float32:
        """The size of what a level codes in units of its codebook."""
        if k < self.own:
            return np.float32(1)
        if self._sizes is None:
            self._sizes = np.maximum(self._weights["rvq.size"].astype(np.float32), np.float32(1e-12))
        scale: np.float32 = np.sqrt(self._sizes[k] / self._sizes[self.own - 1])
        return scale

    def sums(self, codes: np.ndarray, whole: int = 0) -> np.ndarray:
        """Codes [N, K] (-1 for none) -> float32 [N, D]; of vectors in whole units of 1 / `whole`, if it is given,
        which are the same on every machine."""
        total = np.zeros((len(codes), self.codes(0).shape[1]), np.float32)
        for k in range(codes.shape[1]):
            vectors = self.codes(k)[codes[:, k].clip(0)] * self.scale(k)
            if whole:
                vectors = np.rint(vectors * np.float32(whole))
            total += vectors * (codes[:, k] >= 0)[:, None]
        return total

    def search(
        self,
        x: np.ndarray,
        levels: int,
        beams: int,
        stop_below: np.ndarray | None = None,
        code_costs: Sequence[np.ndarray] | None = None,
        rd_lambda: np.ndarray | None = None,
    ) -> Search:
        """Search codes for vectors [N, D], see `beam_search`."""
        count = len(x)
        errors = np.full((count, levels + 1), np.inf, np.float32)
        errors[:, 0] = np.square(x).sum(-1)
        found = Search(errors, np.zeros((levels, count, beams), np.int16), np.zeros((levels, count, beams), np.uint8))
        limit = np.full(count, -1, np.float32) if stop_below is None else stop_below.astype(np.float32)
        each = np.ones(count, np.float32) if rd_lambda is None else rd_lambda.astype(np.float32)
        for first in range(0, count, CHUNK):
            self._chunk(found, x, np.arange(first, min(first + CHUNK, count)), limit, code_costs, each)
        return found

    def _chunk(
        self,
        found: Search,
        x: np.ndarray,
        active: np.ndarray,
        limit: np.ndarray,
        code_costs: Sequence[np.ndarray] | None,
        rd_lambda: np.ndarray,
    ) -> None:
        levels, _, beams = found.codes.shape
        rest = x[active][:, None]  # [n, m, D], what each hypothesis leaves over
        cost = np.zeros(rest.shape[:2], np.float32)
        for k in range(min(levels, self.levels)):
            goes_on = found.errors[active, k] > limit[active]
            active, rest, cost = active[goes_on], rest[goes_on], cost[goes_on]
            if not len(active):
                return
            scale, weights = self.scale(k), rd_lambda[active][:, None]
            code_cost = None if code_costs is None else code_costs[k].astype(np.float32)
            code, parent, left = self._step(k, rest / scale, beams, code_cost, cost, weights / scale**2)
            if code_cost is not None:
                cost = np.take_along_axis(cost, parent, 1) + code_cost[code]
            rest = np.take_along_axis(rest, parent[:, :, None], 1) - self.codes(k)[code] * scale
            found.errors[active, k + 1] = left[:, 0].clip(0) * scale**2
            width = code.shape[1]
            found.codes[k, active, :width], found.parents[k, active, :width] = code, parent

    def _step(
        self,
        k: int,
        rest: np.ndarray,
        beams: int,
        code_cost: np.ndarray | None,
        cost: np.ndarray,
        rd_lambda: np.ndarray,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """One level: codes, which hypotheses they go on from, and errors, each [n, up to `beams`], best first."""
        _, center, table, bias = self._table(min(k, self.own - 1))
        shifted = rest - center
        # |z - c|^2 = |z|^2 - 2 (z.c - |c|^2 / 2)
        offset = np.float32(-0.5) * np.square(shifted).sum(-1)
        if code_cost is not None:
            # Costs times lambda come with the products: one number more in each vector and in each code.
            offset = offset - np.float32(0.5) * cost * rd_lambda
            more = np.broadcast_to(rd_lambda[:, None], (*shifted.shape[:2], 1))
            shifted = np.concatenate([shifted, more], -1)
            table = np.concatenate([table, np.float32(-0.5) * code_cost[None]])
        similarity = shifted.reshape(-1, shifted.shape[-1]) @ table
        size, tops, kernels = similarity.shape[-1], None, family("nearest")
        if kernels is not None and size % GROUP == 0:
            tops = np.empty((len(similarity), size // GROUP), np.float32)
            kernels.add_and_group(similarity, bias, tops)
            tops = tops.reshape(*shifted.shape[:2], -1)
        else:
            similarity += bias
        values = similarity.reshape(*shifted.shape[:2], size)
        indices = greatest(values, offset, beams, tops)
        rows = indices // size
        best = np.take_along_axis(values.reshape(len(values), -1), indices, 1) + np.take_along_axis(offset, rows, 1)
        return indices % size, rows, -2 * best

    def _table(self, book: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Codes, their middle, and what distances are computed from, see `VectorQuantizer.table`."""
        if book not in self._tables:
            codes = self._weights[f"rvq.quantizers.{book}.codebook.weight"].astype(np.float32)
            center = codes.mean(0)
            off = codes - center
            bias = np.float32(-0.5) * np.square(off).sum(-1)
            self._tables[book] = codes, center, np.ascontiguousarray(off.T), bias
        return self._tables[book]

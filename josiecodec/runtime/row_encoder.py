"""Level counts and codes of the patches of a still picture, in NumPy, see `coding/rdo.py`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..bitstream.bitpacking import code_bits
from ..bitstream.patch_payload import PatchRows
from ..coding.rate_search import (
    CLEAR,
    MAX_GAIN,
    MAX_LAMBDA_SCALE,
    USUAL,
    RateSearch,
)
from ..entropy.code_tables import EntropyTables
from ..settings import EncoderSettings
from .residual_search import Search, Stack


@dataclass(frozen=True)
class Coded:
    """A picture's patches."""

    rows: PatchRows


@dataclass(frozen=True)
class _Intra:
    """What every number of levels costs, see `IntraSearch`."""

    min_lambda: float
    result: Search
    lambda_scale: np.ndarray


class RowEncoder(RateSearch[Coded]):
    """Codes pictures by themselves from latents [h, w, D].

    Args:
        stack: the codebooks.
        settings, tables, max_levels, codebook_size: as of `RateSearch`.
    """

    def __init__(
        self,
        stack: Stack,
        settings: EncoderSettings,
        tables: EntropyTables | None,
        max_levels: int,
        codebook_size: int,
    ):
        super().__init__(settings, tables, max_levels, codebook_size)
        self.stack, self._bits = stack, code_bits(codebook_size)

    def uniform(self, latents: Sequence[np.ndarray], n_q: int) -> list[Coded]:
        """Code pictures with `n_q` levels in every patch."""
        found = []
        for latent in latents:
            own = self._intra(latent, n_q, -1.0, self.settings.beams)
            found.append(self._apply(latent, own, np.full(latent.shape[0] * latent.shape[1], n_q)))
        return found

    def run(
        self, latents: Sequence[np.ndarray], rd_lambda: float, cache: dict[int, _Intra] | None, beams: int
    ) -> list[Coded]:
        """See `RateSearch`."""
        found = []
        for index, latent in enumerate(latents):
            own = self.searched(cache, index, latent, rd_lambda, beams)
            levels = np.arange(own.result.errors.shape[1], dtype=np.float32) * self._bits
            total = own.result.errors + np.float32(rd_lambda) * own.lambda_scale[:, None] * levels
            found.append(self._apply(latent, own, total.argmin(-1)))
        return found

    def _intra(self, latent: np.ndarray, max_levels: int, min_lambda: float, beams: int) -> _Intra:
        flat = latent.reshape(-1, latent.shape[-1])
        scale = self._masking(flat)
        scaled = np.float32(min_lambda) * scale
        enough = scaled * np.float32(self._bits) / np.float32(MAX_GAIN)
        tables = self.tables
        if bool((scaled <= 0).any()) or tables is None or len(tables.levels) < self.stack.levels:
            return _Intra(min_lambda, self.stack.search(flat, max_levels, beams, enough), scale)
        costs = [tables.typical_bits(k) - self._bits for k in range(len(tables.levels))]
        return _Intra(min_lambda, self.stack.search(flat, max_levels, beams, enough, costs, scaled), scale)

    def _masking(self, latents: np.ndarray) -> np.ndarray:
        """What lambda is multiplied with in each patch, see `masking_scale`."""
        if not self.settings.masking:
            return np.ones(len(latents), np.float32)
        busy = self.stack.search(latents, 1, 1).errors[:, 1]
        scale = ((busy + np.float32(CLEAR)) / np.float32(USUAL)) ** np.float32(self.settings.masking)
        return scale.clip(1 / MAX_LAMBDA_SCALE, MAX_LAMBDA_SCALE).astype(np.float32)

    def _apply(self, latent: np.ndarray, own: _Intra, counts: np.ndarray) -> Coded:
        shape = latent.shape[:2]
        codes = own.result.path(counts)
        used = np.arange(codes.shape[1]) < counts[:, None]
        counted = counts.reshape(shape).astype(np.uint8)
        return Coded(PatchRows(np.zeros_like(counted), counted, codes[used].astype(np.uint16)))

"""Random codes that every vector shapes for itself, and where their bits go, in NumPy.

See `quantization/shaped_rvq.py` and `audio/bit_plan.py`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ..audio.layer_configs import SLOPE, BandStep
from ..quantization.random_codes import STEP, random_codes

MAX_LOG_VARIANCE = 40.0


class ShapedCodes:
    """The codebooks of a layer.

    Args:
        dim: numbers of a vector.
        levels: the most there are.
        codebook_size, books, seed: see `ShapedResidualQuantizer`; codes are random ones.
    """

    def __init__(self, dim: int, levels: int, codebook_size: int, books: int, seed: int):
        self.books, self.turn = books, dim // -(-levels // books)
        self._codes = random_codes(books, codebook_size, dim, seed)

    def decode(self, codes: np.ndarray, shapes: np.ndarray) -> np.ndarray:
        """Codes [N, L] of the first L levels and shapes [L, N, D] -> vectors [N, D]."""
        total = np.zeros_like(shapes[0])
        for k in range(codes.shape[1]):
            book, turn = k % self.books, k // self.books * self.turn
            code = self._codes[book, codes[:, k]].astype(np.float32) * np.float32(1 / STEP)
            total = total + shapes[k] * np.roll(code, turn, -1)
        return total


def variance_left(
    log_variance: np.ndarray,
    levels: int,
    schedule: Sequence[BandStep],
    frequency: np.ndarray,
    tilt: np.ndarray,
    bits: float,
) -> np.ndarray:
    """Variance [levels + 1, N, D] that is left after 0, 1, ... levels; arguments as of `plan_bits`."""
    first = np.clip(np.nan_to_num(log_variance, nan=-MAX_LOG_VARIANCE), -MAX_LOG_VARIANCE, MAX_LOG_VARIANCE)
    rest, begin = first, 0
    left = [np.exp(first)[None]]
    for step in schedule:
        count = min(step.until, levels) - begin
        if count <= 0:
            break
        emphasis = np.float32(-step.drop * math.log(10) / 10) * np.clip((frequency - step.edge) / SLOPE, 0, 1)
        log_weight = np.broadcast_to((emphasis + tilt).astype(np.float32), first.shape)
        water = _water_levels(rest + log_weight, count, bits)
        after = np.minimum(rest + log_weight, water) - log_weight
        left.append(np.exp(after))
        rest, begin = after[-1], begin + count
    return np.concatenate(left)


def shapes_of(left: np.ndarray) -> np.ndarray:
    """Standard deviation of what each level takes off: variances left [levels + 1, N, D] -> [levels, N, D]."""
    return np.sqrt(np.maximum(left[:-1] - left[1:], 0))


def _water_levels(log_variance: np.ndarray, levels: int, bits: float) -> np.ndarray:
    """`quantization.shaped_rvq.water_levels`: [levels, N, 1] for [N, D]."""
    descending = -np.sort(-log_variance, axis=1)
    total = descending.cumsum(1, dtype=np.float64).astype(np.float32)
    count = np.arange(1, total.shape[1] + 1, dtype=np.float32)
    rates = np.float32(2 * math.log(2) * bits) * np.arange(1, levels + 1, dtype=np.float32)
    cost = np.maximum.accumulate(total - count * descending, 1)  # never falls but by rounding
    coded = np.stack([np.searchsorted(row, rates) for row in cost]) if len(cost) else np.zeros((0, levels), int)
    coded = np.clip(coded, 1, total.shape[1])
    water = (np.take_along_axis(total, coded - 1, 1) - rates) / coded.astype(np.float32)
    return water.T[:, :, None]

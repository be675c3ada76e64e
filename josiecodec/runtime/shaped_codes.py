"""Random codes that every vector shapes for itself, and where their bits go, in NumPy.

See `quantization/shaped_rvq.py` and `audio/bit_plan.py`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

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
        self.books, self.turn, self.levels = books, dim // -(-levels // books), levels
        self._codes = random_codes(books, codebook_size, dim, seed)

    @cached_property
    def tables(self) -> tuple[np.ndarray, np.ndarray]:
        """The codes and minus half their squares, float32 [books, dim, codebook_size]; made when they are needed."""
        codes = self._codes.astype(np.float32) * np.float32(1 / STEP)
        turned = np.ascontiguousarray(codes.transpose(0, 2, 1))
        return turned, np.float32(-0.5) * np.square(turned)

    def level(self, k: int) -> tuple[int, int]:
        """Codebook of level k, and by how many places its numbers are turned."""
        return k % self.books, k // self.books * self.turn

    def vectors(self, k: int, codes: np.ndarray) -> np.ndarray:
        """The codes of level k, any shape, as vectors of unit variance [..., D]."""
        book, turn = self.level(k)
        found = self._codes[book, codes].astype(np.float32) * np.float32(1 / STEP)
        return np.roll(found, turn, -1)

    def decode(self, codes: np.ndarray, shapes: np.ndarray) -> np.ndarray:
        """Codes [N, L] of the first L levels and shapes [L, N, D] -> vectors [N, D]."""
        total = np.zeros_like(shapes[0])
        for k in range(codes.shape[1]):
            total = total + shapes[k] * self.vectors(k, codes[:, k])
        return total


@dataclass
class Plan:
    """How the numbers of N vectors are coded, see `BitPlan`.

    Attributes:
        left: [L + 1, N, D], variance that is left after 0, 1, ... levels.
        weights: [N, D] of each level, by which squared errors count.
    """

    left: np.ndarray
    weights: list[np.ndarray]

    def shapes(self) -> np.ndarray:
        """[L, N, D]."""
        return shapes_of(self.left)


def plan_bits(
    log_variance: np.ndarray,
    levels: int,
    schedule: Sequence[BandStep],
    frequency: np.ndarray,
    tilt: np.ndarray,
    bits: float,
) -> Plan:
    """Plan the first levels for vectors of known variances; arguments as of `audio.bit_plan.plan_bits`."""
    first = np.clip(np.nan_to_num(log_variance, nan=-MAX_LOG_VARIANCE), -MAX_LOG_VARIANCE, MAX_LOG_VARIANCE)
    rest, begin = first, 0
    left, weights = [np.exp(first)[None]], list[np.ndarray]()
    for step in schedule:
        count = min(step.until, levels) - begin
        if count <= 0:
            break
        emphasis = np.float32(-step.drop * math.log(10) / 10) * np.clip((frequency - step.edge) / SLOPE, 0, 1)
        log_weight = np.broadcast_to((emphasis + tilt).astype(np.float32), first.shape)
        water = _water_levels(rest + log_weight, count, bits)
        after = np.minimum(rest + log_weight, water) - log_weight
        left.append(np.exp(after))
        weights += [np.exp(log_weight)] * count
        rest, begin = after[-1], begin + count
    return Plan(np.concatenate(left), weights)


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

"""What coefficients quantized dependently are coded with, learned from those of crops: see `coding/detail_bits.py`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from ...coding.detail import ChosenDetail, DetailCoder
from ...coding.detail_bits import CoefficientBits
from ...coding.detail_trellis import quantizers
from ...entropy.mixing import CHANCE_BITS, LOGIT, MOST, WEIGHT_BITS
from ...entropy.range_coder import RangeEncoder
from ...vision.detail_layer import MAX_SYMBOL, DetailLayer
from ...vision.detail_shapes import BANDS, CLASSES, DECISIONS, GUESSES
from .detail_network import laplacian_frequencies

SLOWEST = 1023  # bits that a context counts while it learns
TIMES = 2  # that all crops are gone through
RARE = (0.25, 0.3)  # chances of contexts that know no scale, to begin with
FIRST_WEIGHTS = (0.2, 0.2, 0.2, 0.0, 0.0, 0.4, 0.0)  # of contexts, of the scale alone, and of the last guess


def sizes_by_scale(scales: int) -> np.ndarray:
    """Sizes of symbols with each quantizer and scale before any were counted, in parts of one: float64 [2 S, M + 1]."""
    table = laplacian_frequencies(scales).double().numpy()
    sizes = table[:, MAX_SYMBOL:]
    sizes[:, 1:] *= 2
    return np.concatenate([sizes, sizes]) / sizes.sum(1).mean()


def count_sizes(chosen: ChosenDetail, counted: np.ndarray) -> None:
    """Add the sizes that were chosen to those counted, [2 S, M + 1]."""
    for tables, values in chosen.streams():
        sizes = np.abs(values)
        row = quantizers(sizes) * (len(counted) // 2) + tables
        np.add.at(counted, (row, sizes.clip(0, MAX_SYMBOL)), 1)


def begin_coding(layer: DetailLayer, sizes: np.ndarray) -> None:
    """Give a layer the decisions of these sizes [2 S, M + 1], and contexts that have learned nothing but them."""
    reached = sizes[:, ::-1].cumsum(1)[:, ::-1]
    more = (reached[:, 1:] + 0.05) / (reached[:, :-1] + 0.1)
    decisions = np.rint(LOGIT * np.log(more / (1 - more))).clip(-MOST, MOST)
    first = more[:, :DECISIONS].T.reshape(-1, 1).repeat(CLASSES, 1).reshape(-1)
    chances = np.full(layer.numbers("chances").shape, RARE[0])
    chances[: 3 * len(first)] = np.tile(first, 3)
    chances[-DECISIONS * CLASSES**3 :] = RARE[1]
    weights = np.broadcast_to(np.array(FIRST_WEIGHTS), (len(layer.passes), DECISIONS, BANDS, GUESSES))
    most = (1 << CHANCE_BITS) - 1
    for name, numbers in (
        ("decisions", decisions),
        ("chances", np.rint(chances * most).clip(1, most)),
        ("mixing", np.rint(weights * (1 << WEIGHT_BITS))),
    ):
        layer.tensor(name).copy_(torch.from_numpy(numbers))


def learn_coding(layer: DetailLayer, chosen: Sequence[ChosenDetail]) -> float:
    """Let the contexts and weights of a layer learn from coefficients; bytes that the last time through took."""
    taken = 0.0
    for _ in range(TIMES):
        before: CoefficientBits | None = None
        taken = 0.0
        numbers = DetailCoder(layer).coding
        for each in chosen:
            coder = CoefficientBits(numbers, each.symbols.shape[:2], SLOWEST, 0)
            if before is not None:
                coder.chances, coder.weights, coder.counts = before.chances, before.weights, before.counts
            encoder, before = RangeEncoder(), coder
            for number, (members, tables) in enumerate(zip(each.members, each.passes)):
                coder.encode(encoder, number, members, tables.astype(np.int64), each.symbols[..., members])
            taken += len(encoder.finish())
        if before is not None:
            layer.tensor("chances").copy_(torch.from_numpy(before.chances))
            layer.tensor("mixing").copy_(torch.from_numpy(before.weights))
    return taken

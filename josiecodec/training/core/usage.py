"""How the codebooks of each level are used, as validation logs it."""

from __future__ import annotations

from torch import Tensor

from ...quantization.vq import codebook_statistics


def usage_scores(usage: Tensor) -> dict[str, float]:
    """`entropy_bits/k` and `used/k` of every level k, from how often codes occur, [levels, codebook_size]."""
    scores = {}
    for level, counts in enumerate(usage):
        statistics = codebook_statistics(counts)
        scores[f"entropy_bits/{level}"] = round(statistics["entropy_bits"], 3)
        scores[f"used/{level}"] = round(statistics["used"], 4)
    return scores

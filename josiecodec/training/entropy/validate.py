"""Whether a context model is worth its bytes."""

from __future__ import annotations

import numpy as np

from ...entropy.code_tables import EntropyTables, frame_bits, patch_bits
from ...entropy.context_model import ContextModel
from .data import CodedGrid


def saves_bits(context: ContextModel, tables: EntropyTables, grids: list[CodedGrid]) -> bool:
    """Whether a context model takes fewer bits than tables for codes that it was not trained on."""
    with_it, without = 0.0, 0.0
    for grid in grids:
        counts, codes = grid.counts.numpy(), grid.codes.numpy()
        with_it += float(context.bits(counts, codes).sum())
        if len(counts) == 1:
            without += float(frame_bits(codes[0], tables)[: context.levels].sum())
        else:
            flat = codes[np.arange(codes.shape[-1]) < counts[..., None]]
            without += float(patch_bits(np.zeros_like(counts), counts, flat, tables)[: context.levels].sum())
    return with_it < without

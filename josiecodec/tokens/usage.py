"""How often each code of each level occurs in `.josie` files."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from ..errors import CodesError
from .container import TokenReader
from .patches import PatchRows
from .tables import Tables


def count_codes(paths: Iterable[str | Path], tables: Tables | None = None) -> np.ndarray:
    """Count the codes of files that one model made: int64 [levels, codebook_size].

    Codes of predicted patches are left out: which levels they are of is the model's business.

    Raises:
        CodesError: if the files are of several models, or of none.
        FormatError: if one is damaged.
    """
    counts: np.ndarray | None = None
    maker = None
    for path in paths:
        with TokenReader(path, tables) as reader:
            if {info.fingerprint for info in reader.streams} - {maker or reader.streams[0].fingerprint}:
                raise CodesError(f"{path}: codes of another model than those before")
            maker = reader.streams[0].fingerprint
            levels = max(info.levels for info in reader.streams)
            size = reader.streams[0].codebook_size
            counts = np.zeros((levels, size), np.int64) if counts is None else counts
            if levels > len(counts):
                counts = np.concatenate([counts, np.zeros((levels - len(counts), size), np.int64)])
            for block in reader.blocks():
                for level, codes in enumerate(_by_level(block.codes)):
                    counts[level] += np.bincount(codes, minlength=size)
    if counts is None:
        raise CodesError("no files")
    return counts


def _by_level(codes: np.ndarray | PatchRows) -> list[np.ndarray]:
    if not isinstance(codes, PatchRows):
        return list(codes.T)
    numbers = codes.counts.reshape(-1).astype(np.int64)
    level = np.arange(len(codes.codes)) - np.repeat(np.cumsum(numbers) - numbers, numbers)
    alone = np.repeat(codes.modes.reshape(-1) == 0, numbers)
    return [codes.codes[alone & (level == k)] for k in range(int(numbers.max(initial=0)))]

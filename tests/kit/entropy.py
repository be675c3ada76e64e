"""Random entropy tables and patches."""

from __future__ import annotations

import numpy as np

from josiecodec.entropy.code_tables import (
    EntropyTables,
    LevelTable,
)
from josiecodec.training.entropy.tables import to_frequencies

SIZE = 64


def random_tables(random: np.random.Generator, levels: int, audio: bool) -> EntropyTables:
    """Tables with likely and unlikely codes."""
    counts = random.integers(2, 9, levels)
    found = []
    for k in range(levels):
        classes = np.concatenate([np.arange(counts[k]), random.integers(0, counts[k], SIZE - counts[k])])
        if audio:
            shape = (counts[k] + 1, counts[k - 1] + 1 if k else 1) if k < 2 else (1, 1)
        else:
            shape = (counts[max(k - 1, 0)] + 1, counts[k] + 1 if k == 0 else 9)
        given = np.apply_along_axis(to_frequencies, -1, random.exponential(1, (*shape, counts[k])) ** 2 + 1e-9)
        within = np.zeros(SIZE, np.int64)
        for c in range(counts[k]):
            within[classes == c] = to_frequencies(random.exponential(1, int((classes == c).sum())) ** 2 + 1e-9)
        found.append(LevelTable(classes, given, within))
    return EntropyTables(found, (0,) if audio else (0, 1, 2, 4))


def random_patches(random: np.random.Generator, levels: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rows, columns = random.integers(1, 5, 2)
    modes = random.integers(0, 4, (rows, columns)).astype(np.uint8)
    most = levels - np.array((0, 1, 2, 4))[modes]
    counts = (random.random((rows, columns)) * (most + 1)).astype(np.uint8)
    return modes, counts, random.integers(0, SIZE, int(counts.sum())).astype(np.uint16)

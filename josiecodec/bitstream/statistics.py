"""How often each code of each level occurs in `.josie` files, and how many bits it takes there."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..entropy.code_tables import EntropyTables, frame_bits, patch_bits
from ..entropy.tables_file import Tables
from ..errors import CodesError
from .container import TokenReader
from .header import by_model
from .model_tables import find_tables
from .motion_payload import MotionRows
from .patch_payload import PatchRows


@dataclass
class Usage:
    """The codes of some files, level by level.

    Attributes:
        counts: int64 [levels, codebook_size], how often each occurs. Codes of predicted patches are left out where
            the model has no tables: which levels they are of is written there.
        bits: float64 [levels], bits that range coding takes for all of a level; None without tables.
    """

    counts: np.ndarray
    bits: np.ndarray | None = None


def code_usage(paths: Iterable[str | Path], given: Tables | None = None) -> Usage:
    """Count the codes of files that one model made.

    Raises:
        CodesError: if the files are of several models, or of none.
        FormatError: if one is damaged.
    """
    usage: Usage | None = None
    model = None
    for path in paths:
        with TokenReader(path, given) as reader:
            first = reader.streams[0]
            images = {index for index, info in enumerate(reader.streams) if not by_model(info)}  # no model made them
            made = [info for index, info in enumerate(reader.streams) if index not in images]
            if any(info.fingerprint != first.fingerprint for info in made):
                raise CodesError(f"{path}: audio and vision, whose codes are of two models; take files of one kind")
            if model not in (None, (first.fingerprint, first.codebook_size)):
                raise CodesError(f"{path}: codes of another model than those before")
            model = first.fingerprint, first.codebook_size
            tables = find_tables(first, given)
            levels = max(info.levels for info in made)
            size = first.codebook_size
            if tables is not None and any(len(level.classes) != size for level in tables.levels):
                raise CodesError(f"{path}: {size} codes in a codebook, which its model has not")
            if usage is None:
                usage = Usage(np.zeros((levels, size), np.int64), None if tables is None else np.zeros(levels))
            _widen(usage, levels)
            for block in reader.blocks():
                if isinstance(block.codes, MotionRows):
                    raise CodesError(f"{path}: a video with motion, whose codes are not those of levels")
                if block.stream not in images:
                    _add(usage, block.codes, tables)
    if usage is None:
        raise CodesError("no files")
    return usage


def _widen(usage: Usage, levels: int) -> None:
    more = levels - len(usage.counts)
    if more > 0:
        usage.counts = np.pad(usage.counts, ((0, more), (0, 0)))
        usage.bits = None if usage.bits is None else np.pad(usage.bits, (0, more))


def _add(usage: Usage, codes: np.ndarray | PatchRows, tables: EntropyTables | None) -> None:
    for level, part in enumerate(_by_level(codes, (0,) if tables is None else tables.starts)):
        usage.counts[level] += np.bincount(part, minlength=usage.counts.shape[1])
    if tables is None or usage.bits is None:
        return
    if isinstance(codes, PatchRows):
        usage.bits += patch_bits(codes.modes, codes.counts, codes.codes, tables)[: len(usage.bits)]
    else:
        usage.bits[: codes.shape[1]] += frame_bits(codes, tables)


def _by_level(codes: np.ndarray | PatchRows, starts: tuple[int, ...]) -> list[np.ndarray]:
    """Codes of each level; `starts` are the levels that each mode of a patch begins with, as far as is known."""
    if not isinstance(codes, PatchRows):
        return list(codes.T)
    numbers = codes.counts.reshape(-1).astype(np.int64)
    modes = codes.modes.reshape(-1)
    first = np.array(starts)[np.minimum(modes, len(starts) - 1)]
    level = np.arange(len(codes.codes)) - np.repeat(np.cumsum(numbers) - numbers, numbers) + np.repeat(first, numbers)
    known = np.repeat(modes < len(starts), numbers)
    return [codes.codes[known & (level == k)] for k in range(int((first + numbers).max(initial=0)))]


def codebook_use(counts: np.ndarray) -> dict[str, float]:
    """How a codebook is used, from the counts of its codes [codebook_size].

    Returns:
        `used`: fraction of the codes that occur at all; `entropy_bits`: order-0 entropy; `perplexity`: 2 ** that.
    """
    p = counts / max(counts.sum(), 1)
    entropy = float(-(p * np.log2(np.maximum(p, 1e-12))).sum())
    return {"used": float((counts > 0).mean()), "entropy_bits": entropy, "perplexity": 2**entropy}

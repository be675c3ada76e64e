"""How often each code of each level occurs in `.josie` files, and how many bits it takes there."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..entropy.code_tables import EntropyTables, frame_bits, patch_bits
from ..entropy.tables_file import Tables, find_tables
from ..errors import CodesError
from .container import TokenReader
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


def use_of_codes(paths: Iterable[str | Path], tables: Tables | None = None) -> Usage:
    """Count the codes of files that one model made.

    Raises:
        CodesError: if the files are of several models, or of none.
        FormatError: if one is damaged.
    """
    found: Usage | None = None
    maker = None
    for path in paths:
        with TokenReader(path, tables) as reader:
            first = reader.streams[0]
            if any(info.fingerprint != first.fingerprint for info in reader.streams):
                raise CodesError(f"{path}: sound and pictures, whose codes are of two models; take files of one kind")
            if maker not in (None, (first.fingerprint, first.codebook_size)):
                raise CodesError(f"{path}: codes of another model than those before")
            maker = first.fingerprint, first.codebook_size
            prices = find_tables(first.fingerprint, tables)
            levels = max(info.levels for info in reader.streams)
            size = first.codebook_size
            if prices is not None and any(len(level.classes) != size for level in prices.levels):
                raise CodesError(f"{path}: {size} codes in a codebook, which its model has not")
            if found is None:
                found = Usage(np.zeros((levels, size), np.int64), None if prices is None else np.zeros(levels))
            _widen(found, levels)
            for block in reader.blocks():
                _add(found, block.codes, prices)
    if found is None:
        raise CodesError("no files")
    return found


def _widen(found: Usage, levels: int) -> None:
    more = levels - len(found.counts)
    if more > 0:
        found.counts = np.pad(found.counts, ((0, more), (0, 0)))
        found.bits = None if found.bits is None else np.pad(found.bits, (0, more))


def _add(found: Usage, codes: np.ndarray | PatchRows, prices: EntropyTables | None) -> None:
    for level, part in enumerate(_by_level(codes, (0,) if prices is None else prices.starts)):
        found.counts[level] += np.bincount(part, minlength=found.counts.shape[1])
    if prices is None or found.bits is None:
        return
    if isinstance(codes, PatchRows):
        found.bits += patch_bits(codes.modes, codes.counts, codes.codes, prices)[: len(found.bits)]
    else:
        found.bits[: codes.shape[1]] += frame_bits(codes, prices)


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

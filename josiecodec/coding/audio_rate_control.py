"""How many levels of audio fit a bitrate of the whole file.

Levels are range coded, so that the size of a file is known only once it is made. The bits of each level are estimated
on the beginning, a file is made with as many levels as should fit, and others are tried until one fits and the next
does not.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..bitstream.bitpacking import code_bits
from ..bitstream.container import BLOCK_FRAMES
from ..entropy.code_tables import EntropyTables, frame_bits
from ..errors import CodecError

PROBE_SECONDS = 32.0  # of the beginning, from which bits are estimated
DOUBT = 1.03  # a level is tried although it should take so much more than the budget

Encode = Callable[[int], tuple[bytes, float]]  # levels -> a whole file, seconds of audio in it


def level_rates(codes: np.ndarray, codebook_size: int, frame_rate: float, tables: EntropyTables | None) -> np.ndarray:
    """Bits per second that each level takes, about: float [levels], from codes [frames, levels] of some audio."""
    frames, levels = codes.shape
    fixed = np.full(levels, code_bits(codebook_size) * frame_rate)
    if tables is None or levels > len(tables.levels) or not frames:
        return fixed
    blocks = [codes[first : first + BLOCK_FRAMES] for first in range(0, frames, BLOCK_FRAMES)]
    coded = np.sum([frame_bits(block, tables) for block in blocks], 0) * frame_rate / frames
    return np.minimum(fixed, coded)


def fit_levels(encode: Encode, rates: np.ndarray, kbps: float, useful: Callable[[int], int] = int) -> tuple[int, bytes]:
    """The most levels whose file takes no more than a bitrate, and that file.

    Args:
        encode: makes the file with a number of levels, 1 .. len(rates).
        rates: bits per second of each level, about.
        kbps: thousands of bits per second of the whole file.
        useful: how many of so many levels are of use; others are not tried.

    Raises:
        CodecError: if even one level takes more.
    """
    budget = 1000 * kbps
    counts = [0, *sorted({useful(n) for n in range(1, len(rates) + 1)})]
    sums = np.concatenate([[0.0], np.cumsum(rates)])[counts]
    low, high = 0, len(counts)  # places in `counts`: known to fit, known not to fit
    best, n = b"", max(int((sums <= budget).sum()) - 1, 1)
    while True:
        data, seconds = encode(counts[n])
        taken = 8 * len(data) / seconds if seconds else float("inf")
        if taken <= budget:
            low, best = n, data
        elif n == 1:
            least = f"one level takes {taken / 1000:.3f} kbit/s" if seconds else "the audio is empty"
            raise CodecError(f"{kbps:g} kbit/s cannot be met: {least}")
        else:
            high = n
        expected = taken + sums - sums[n]  # with each number of levels
        if high - low <= 1 or (low == n and expected[n + 1] > DOUBT * budget):
            return counts[low], best
        n = min(max(int((expected <= budget).sum()) - 1, low + 1), high - 1)

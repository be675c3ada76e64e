"""Codebooks of random codes, made of whole numbers alone, for whatever runtime."""

from __future__ import annotations

import numpy as np

STEP = 32  # codes are multiples of 1 / STEP


def random_codes(books: int, codebook_size: int, dim: int, seed: int = 0) -> np.ndarray:
    """Codebooks of numbers of unit variance in steps of 1 / `STEP`: int8 [books, codebook_size, dim], code 0 all zeros.

    Each number is the sum of twelve uniform ones of 16 bits from a counter's hash (the finaliser of SplitMix64, Steele
    et al. 2014): whole numbers throughout, so that every machine and every version of a library makes the same.
    """
    count = books * codebook_size * dim
    total = np.zeros(count, np.int64)
    for part in range(3):
        x = np.arange(count, dtype=np.uint64) * np.uint64(3) + np.uint64(part) + (np.uint64(seed) << np.uint64(40))
        x = (x + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)  # wraps around, as it should
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        x ^= x >> np.uint64(31)
        for shift in (0, 16, 32, 48):
            total += ((x >> np.uint64(shift)) & np.uint64(0xFFFF)).astype(np.int64)
    step = 65536 // STEP
    codes = ((total - 6 * 65535 + step // 2) // step).clip(-127, 127).astype(np.int8)
    shaped = codes.reshape(books, codebook_size, dim)
    shaped[:, 0] = 0  # a level that can only do harm leaves everything as it is
    return shaped

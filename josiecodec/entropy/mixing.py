"""Probabilities mixed from several guesses, in whole numbers: tables of the logistic function.

Each guess is a logit, ln(p / (1 - p)), in units of 1 / `LOGIT`. Their weighted sum is the logit of the probability that
a bit is coded with; weights learn from its error as logistic regression does (Mahoney 2005, "Adaptive weighing of
context models for lossless data compression", Florida Tech CS-2005-16).
"""

from __future__ import annotations

from functools import cache

import numpy as np

from .range_coder import FREQUENCY_BITS

LOGIT = 256
MOST = 2047  # of the size of a logit
CHANCE_BITS = 16  # of a probability that adapts; tables know its first `KNOWN_BITS`
KNOWN_BITS = 12
WEIGHT_BITS = 16
RATE_BITS = 15


@cache
def probabilities() -> np.ndarray:
    """Probabilities of logits from -`MOST` on, in units of 2^-15: int64 [2 x 2047 + 1]."""
    logits = np.arange(-MOST, MOST + 1) / LOGIT
    return np.floor((1 << FREQUENCY_BITS) / (1 + np.exp(-logits)) + 0.5).astype(np.int64)


@cache
def logits() -> np.ndarray:
    """Logits of probabilities (i + 1/2) / 2^12: int64 [4096]."""
    p = (np.arange(1 << KNOWN_BITS) + 0.5) / (1 << KNOWN_BITS)
    return np.floor(LOGIT * np.log(p / (1 - p)) + 0.5).clip(-MOST, MOST).astype(np.int64)


@cache
def rates(limit: int) -> np.ndarray:
    """By what part of the distance a probability moves after 0, 1, ..., `limit` bits, in units of 2^-15: int64."""
    return np.floor((1 << RATE_BITS) / (np.arange(limit + 1) + 1.5)).astype(np.int64)

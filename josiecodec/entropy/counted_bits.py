"""Binary range coding with probabilities that learn by counting first, and adapt at two speeds then.

As `adaptive_bits.py`, for syntaxes with thousands of contexts that are each met a few times: a probability moves by
1 / (n + 1.6) of the distance towards the n-th bit that is coded with it, until that is as slow as its speed.
"""

from __future__ import annotations

import math

import numpy as np

from .range_coder import FREQUENCY_BITS, TOP, RangeDecoder, RangeEncoder

ONE = 1 << 16
FAST, SLOW = 20, 255  # bits that a probability is the mean of, in the long run
_COUNTED = 255
_FAST = [(10 * ONE) // min(10 * n + 16, 10 * FAST) for n in range(_COUNTED + 1)]
_SLOW = [(10 * ONE) // min(10 * n + 16, 10 * SLOW) for n in range(_COUNTED + 1)]
_LEAST, _MOST = 32, (1 << FREQUENCY_BITS) - 32
_COST_SHIFT = 7
_COSTS = [-math.log2((i + 0.5) / (ONE >> _COST_SHIFT - 1)) for i in range(ONE >> _COST_SHIFT - 1)]
SPEEDS, COSTS = np.array([_FAST, _SLOW]), np.array(_COSTS)  # for compiled code


class CountedContexts:
    """Probabilities that a bit is 1, by the index of its context; all begin at one half."""

    def __init__(self, count: int):
        self.fast, self.slow, self.seen = [ONE >> 1] * count, [ONE >> 1] * count, [0] * count

    def costs(self, index: int) -> tuple[float, float]:
        """Bits that a 0 and a 1 take, about."""
        both = self.fast[index] + self.slow[index]
        return _COSTS[(2 * ONE - 1 - both) >> _COST_SHIFT], _COSTS[both >> _COST_SHIFT]


class CountedEncoder(RangeEncoder):
    """Writes bits."""

    def bit(self, contexts: CountedContexts, index: int, bit: int) -> int:
        """Code a bit; gives it back."""
        a, b, n = contexts.fast[index], contexts.slow[index], contexts.seen[index]
        part = (a + b) >> 2
        part = _LEAST if part < _LEAST else _MOST if part > _MOST else part
        bound = (self.range >> FREQUENCY_BITS) * part
        if bit:
            self.range = bound
            contexts.fast[index] = a + ((ONE - a) * _FAST[n] >> 16)
            contexts.slow[index] = b + ((ONE - b) * _SLOW[n] >> 16)
        else:
            self.low += bound
            self.range -= bound
            contexts.fast[index] = a - (a * _FAST[n] >> 16)
            contexts.slow[index] = b - (b * _SLOW[n] >> 16)
        if n < _COUNTED:
            contexts.seen[index] = n + 1
        while self.range < TOP:
            self.range = (self.range << 8) & 0xFFFFFFFF
            self._shift()
        return bit


class CountedDecoder(RangeDecoder):
    """Reads bits."""

    def bit(self, contexts: CountedContexts, index: int, bit: int = 0) -> int:
        """The next bit."""
        a, b, n = contexts.fast[index], contexts.slow[index], contexts.seen[index]
        part = (a + b) >> 2
        part = _LEAST if part < _LEAST else _MOST if part > _MOST else part
        bound = (self.range >> FREQUENCY_BITS) * part
        if self.code < bound:
            self.range = bound
            contexts.fast[index] = a + ((ONE - a) * _FAST[n] >> 16)
            contexts.slow[index] = b + ((ONE - b) * _SLOW[n] >> 16)
            bit = 1
        else:
            self.code -= bound
            self.range -= bound
            contexts.fast[index] = a - (a * _FAST[n] >> 16)
            contexts.slow[index] = b - (b * _SLOW[n] >> 16)
            bit = 0
        if n < _COUNTED:
            contexts.seen[index] = n + 1
        while self.range < TOP:
            self.range = (self.range << 8) & 0xFFFFFFFF
            byte = self.data[self.position] if self.position < len(self.data) else 0
            self.code = ((self.code << 8) | byte) & 0xFFFFFFFF
            self.position += 1
        return bit


Coder = CountedEncoder | CountedDecoder


def number(coder: Coder, contexts: CountedContexts, index: int, most: int, value: int) -> int:
    """A number from 0 on of up to `most` bits, at most 17: its length in unary, with contexts `index` .. `index + most
    - 1`, and what follows its highest bit."""
    size = 0
    while size < most and coder.bit(contexts, index + size, value >> size > 0):
        size += 1
    return 0 if not size else (1 << size - 1) + coder.raw(value - (1 << size - 1), size - 1)

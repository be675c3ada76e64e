"""Binary range coding with probabilities that adapt at two speeds, the same code for both directions.

A probability is the mean of two estimates of 16 bits, one that moves by 1/16 of the distance towards each bit that is
coded with it, and one by 1/128: quick to learn, and precise in the long run (as in H.266, section 9.3.4.3.2). A coder
takes a bit and gives it back; the decoder ignores the one that it is given. So one function describes a syntax.
"""

from __future__ import annotations

from .range_coder import FREQUENCY_BITS, TOP, RangeDecoder, RangeEncoder

FAST, SLOW = 4, 7
ONE = 1 << 16
_LEAST, _MOST = 24, (1 << FREQUENCY_BITS) - 24


class Contexts:
    """Probabilities that a bit is 1, by the index of its context; all begin at one half, or as in `start`."""

    def __init__(self, count: int, start: bytes = b""):
        begin = [(b << 8) + 128 for b in start] or [ONE >> 1] * count
        self.fast, self.slow = begin[:], begin[:]

    def copy(self) -> Contexts:
        """The same, to go on by itself."""
        new = Contexts(0)
        new.fast, new.slow = self.fast[:], self.slow[:]
        return new


class BitEncoder(RangeEncoder):
    """Writes bits."""

    def bit(self, contexts: Contexts, index: int, bit: int) -> int:
        """Code a bit; gives it back."""
        fast, slow = contexts.fast, contexts.slow
        a, b = fast[index], slow[index]
        part = (a + b) >> 2
        part = _LEAST if part < _LEAST else _MOST if part > _MOST else part
        bound = (self.range >> FREQUENCY_BITS) * part
        if bit:
            self.range = bound
            fast[index] = a + ((ONE - a) >> FAST)
            slow[index] = b + ((ONE - b) >> SLOW)
        else:
            self.low += bound
            self.range -= bound
            fast[index] = a - (a >> FAST)
            slow[index] = b - (b >> SLOW)
        while self.range < TOP:
            self.range = (self.range << 8) & 0xFFFFFFFF
            self._shift()
        return bit


class BitDecoder(RangeDecoder):
    """Reads bits."""

    def bit(self, contexts: Contexts, index: int, bit: int = 0) -> int:
        """The next bit."""
        fast, slow = contexts.fast, contexts.slow
        a, b = fast[index], slow[index]
        part = (a + b) >> 2
        part = _LEAST if part < _LEAST else _MOST if part > _MOST else part
        bound = (self.range >> FREQUENCY_BITS) * part
        if self.code < bound:
            self.range = bound
            fast[index] = a + ((ONE - a) >> FAST)
            slow[index] = b + ((ONE - b) >> SLOW)
            bit = 1
        else:
            self.code -= bound
            self.range -= bound
            fast[index] = a - (a >> FAST)
            slow[index] = b - (b >> SLOW)
            bit = 0
        while self.range < TOP:
            self.range = (self.range << 8) & 0xFFFFFFFF
            byte = self.data[self.position] if self.position < len(self.data) else 0
            self.code = ((self.code << 8) | byte) & 0xFFFFFFFF
            self.position += 1
        return bit


Coder = BitEncoder | BitDecoder


def escape(coder: Coder, contexts: Contexts, index: int, unary: int, value: int) -> int:
    """A number from 0 on: in unary with contexts `index` .. `index + unary - 1`, from `unary` on in Exp-Golomb code."""
    for i in range(unary):
        if not coder.bit(contexts, index + i, value > i):
            return i
    rest, size = value - unary + 1, 0
    while size < 15 and coder.bit(contexts, index + unary + min(size, 2), rest >> size + 1 > 0):
        size += 1
    return unary - 1 + (1 << size) + coder.raw(rest - (1 << size), size)

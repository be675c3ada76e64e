"""The adaptive binary range coder of LZMA (Pavlov 1998; used by xz and 7z), which also takes symbols with frequencies.

A bit is coded with an 11-bit probability of being 0, which moves towards the bits that were coded with it; a symbol
with its frequency and cumulative frequency out of a total of 2^bits. Encoder and decoder do the same integer
arithmetic on every machine, so the bytes mean the same everywhere.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

from ..errors import FormatError

TOP = 1 << 24
PROBABILITY_BITS = 11
ADAPTATION_SHIFT = 4  # the greater, the slower a probability moves
HALF = 1 << (PROBABILITY_BITS - 1)  # the probability to begin with
FREQUENCY_BITS = 15  # the frequencies of all symbols of a model are 2^15 together
UNARY_CONTEXTS = 15  # probabilities of a number that is coded in unary


class RangeEncoder:
    """Bits and symbols in, bytes out."""

    def __init__(self) -> None:
        self.low = 0
        self.range = 0xFFFFFFFF
        self.cache = 0
        self.pending = 1  # bytes held back because a carry may still reach them
        self.out = bytearray()

    def encode_bit(self, probabilities: list[int], index: int, bit: int) -> None:
        """Code one bit with (and adapt) `probabilities[index]`."""
        p = probabilities[index]
        bound = (self.range >> PROBABILITY_BITS) * p
        if bit:
            self.low += bound
            self.range -= bound
            probabilities[index] = p - (p >> ADAPTATION_SHIFT)
        else:
            self.range = bound
            probabilities[index] = p + (((1 << PROBABILITY_BITS) - p) >> ADAPTATION_SHIFT)
        while self.range < TOP:
            self.range = (self.range << 8) & 0xFFFFFFFF
            self._shift()

    def encode_symbol(self, cumulative: int, frequency: int, bits: int) -> None:
        """Code a symbol.

        Args:
            cumulative: frequencies of all symbols before it.
            frequency: its own, at least 1.
            bits: log2 of the frequencies of all symbols, at most 16.
        """
        step = self.range >> bits
        self.low += step * cumulative
        self.range = step * frequency
        while self.range < TOP:
            self.range = (self.range << 8) & 0xFFFFFFFF
            self._shift()

    def encode_symbols(self, cumulative: Sequence[int], frequencies: Sequence[int], bits: int) -> None:
        """Code many symbols, see `encode_symbol`."""
        low, width = self.low, self.range
        for before, frequency in zip(cumulative, frequencies):
            step = width >> bits
            low += step * before
            width = step * frequency
            while width < TOP:
                width = (width << 8) & 0xFFFFFFFF
                self.low = low
                self._shift()
                low = self.low
        self.low, self.range = low, width

    def raw(self, value: int, bits: int) -> int:
        """Code a number of up to 16 bits, all equally likely; gives it back."""
        if bits:
            self.encode_symbol(value, 1, bits)
        return value

    def finish(self) -> bytes:
        """End the stream and give its bytes."""
        # Any number of the last range will do: take one that ends in zeros, which are not stored.
        for bits in (24, 16, 8):
            rounded = (self.low + self.range - 1) >> bits << bits
            if rounded >= self.low:
                self.low = rounded
                break
        for _ in range(5):
            self._shift()
        # The first byte is always 0, and a decoder takes missing bytes for zeros.
        return bytes(self.out[1:]).rstrip(b"\0")

    def _shift(self) -> None:
        if self.low < 0xFF000000 or self.low > 0xFFFFFFFF:
            carry = self.low >> 32
            self.out.append((self.cache + carry) & 0xFF)
            if self.pending > 1:
                self.out.extend(((0xFF + carry) & 0xFF,) * (self.pending - 1))
            self.pending = 0
            self.cache = (self.low >> 24) & 0xFF
        self.pending += 1
        self.low = (self.low << 8) & 0xFFFFFFFF


class RangeDecoder:
    """Bytes in, bits and symbols out."""

    def __init__(self, data: bytes):
        self.data = data
        self.position = 4
        self.range = 0xFFFFFFFF
        self.code = int.from_bytes(data[:4].ljust(4, b"\0"), "big")

    def decode_bit(self, probabilities: list[int], index: int) -> int:
        """The next bit, coded with (and adapting) `probabilities[index]`."""
        p = probabilities[index]
        bound = (self.range >> PROBABILITY_BITS) * p
        if self.code < bound:
            self.range = bound
            probabilities[index] = p + (((1 << PROBABILITY_BITS) - p) >> ADAPTATION_SHIFT)
            bit = 0
        else:
            self.code -= bound
            self.range -= bound
            probabilities[index] = p - (p >> ADAPTATION_SHIFT)
            bit = 1
        while self.range < TOP:
            self.range = (self.range << 8) & 0xFFFFFFFF
            byte = self.data[self.position] if self.position < len(self.data) else 0
            self.code = ((self.code << 8) | byte) & 0xFFFFFFFF
            self.position += 1
        return bit

    def peek(self, bits: int) -> int:
        """A number in 0 .. 2^bits - 1 that lies in the interval of the next symbol; `consume` that symbol then."""
        return min(self.code // (self.range >> bits), (1 << bits) - 1)

    def consume(self, cumulative: int, frequency: int, bits: int) -> None:
        """Go on behind a symbol that was coded with `RangeEncoder.encode_symbol`."""
        step = self.range >> bits
        self.code -= step * cumulative
        self.range = step * frequency
        while self.range < TOP:
            byte = self.data[self.position] if self.position < len(self.data) else 0
            self.range = (self.range << 8) & 0xFFFFFFFF
            self.code = ((self.code << 8) | byte) & 0xFFFFFFFF
            self.position += 1

    def raw(self, value: int, bits: int) -> int:
        """The next number of so many bits."""
        if not bits:
            return 0
        value = self.peek(bits)
        self.consume(value, 1, bits)
        return value

    def decode_symbols(self, tables: Sequence[Sequence[int]], which: Sequence[int], bits: int) -> list[int]:
        """The next symbols.

        Args:
            tables: of each table where the frequencies of its symbols begin, that of all at its end.
            which: table of each symbol.
            bits: as of `RangeEncoder.encode_symbol`.
        """
        data, end, position = self.data, len(self.data), self.position
        width, code, most = self.range, self.code, (1 << bits) - 1
        symbols = []
        for index in which:
            table = tables[index]
            step = width >> bits
            symbol = bisect_right(table, min(code // step, most)) - 1
            before = table[symbol]
            code -= step * before
            width = step * (table[symbol + 1] - before)
            while width < TOP:
                byte = data[position] if position < end else 0
                width = (width << 8) & 0xFFFFFFFF
                code = ((code << 8) | byte) & 0xFFFFFFFF
                position += 1
            symbols.append(symbol)
        self.position, self.range, self.code = position, width, code
        return symbols


def encode_unary(encoder: RangeEncoder, probabilities: list[int], context: int, value: int, maximum: int) -> None:
    """Code `value` in 0..`maximum` in truncated unary; each of the first 14 bits adapts a probability of its own."""
    for i in range(value):
        encoder.encode_bit(probabilities, context + min(i, UNARY_CONTEXTS - 1), 1)
    if value < maximum:
        encoder.encode_bit(probabilities, context + min(value, UNARY_CONTEXTS - 1), 0)


def decode_unary(decoder: RangeDecoder, probabilities: list[int], context: int, maximum: int) -> int:
    """The inverse of `encode_unary`."""
    value = 0
    while value < maximum and decoder.decode_bit(probabilities, context + min(value, UNARY_CONTEXTS - 1)):
        value += 1
    return value


def check_end(decoder: RangeDecoder) -> None:
    """Make sure that a stream of bits ends where its bytes end.

    Raises:
        FormatError: if bytes are left over.
    """
    if decoder.position < len(decoder.data):
        raise FormatError("bytes behind the last bit")

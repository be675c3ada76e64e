"""An adaptive binary range coder, the one of LZMA (Pavlov 1998; xz and 7z use it), all in integers.

Each bit is coded with an 11-bit probability of being 0 that moves towards what is seen. Encoder and decoder
do the same integer arithmetic on every machine, so the bytes mean the same everywhere.
"""

from __future__ import annotations

from ..errors import FormatError

TOP = 1 << 24
BITS = 11  # of a probability
SHIFT = 4  # the greater, the slower a probability moves
HALF = 1 << (BITS - 1)


class BitEncoder:
    """Bits in, bytes out."""

    def __init__(self) -> None:
        self.low = 0
        self.range = 0xFFFFFFFF
        self.cache = 0
        self.pending = 1  # bytes held back because a carry may still reach them
        self.out = bytearray()

    def encode(self, probabilities: list[int], index: int, bit: int) -> None:
        """Code one bit with (and adapt) `probabilities[index]`."""
        p = probabilities[index]
        bound = (self.range >> BITS) * p
        if bit:
            self.low += bound
            self.range -= bound
            probabilities[index] = p - (p >> SHIFT)
        else:
            self.range = bound
            probabilities[index] = p + (((1 << BITS) - p) >> SHIFT)
        while self.range < TOP:
            self.range = (self.range << 8) & 0xFFFFFFFF
            self._shift()

    def encode_share(self, start: int, size: int, bits: int) -> None:
        """Code a symbol that has the share `start` .. `start + size - 1` of 2^bits (at most 16 bits)."""
        step = self.range >> bits
        self.low += step * start
        self.range = step * size
        while self.range < TOP:
            self.range = (self.range << 8) & 0xFFFFFFFF
            self._shift()

    def finish(self) -> bytes:
        """End the row of bits and give the bytes."""
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


class BitDecoder:
    """Bytes in, bits out."""

    def __init__(self, data: bytes):
        self.data = data
        self.position = 4
        self.range = 0xFFFFFFFF
        self.code = int.from_bytes(data[:4].ljust(4, b"\0"), "big")

    def decode(self, probabilities: list[int], index: int) -> int:
        """The next bit, coded with (and adapting) `probabilities[index]`."""
        p = probabilities[index]
        bound = (self.range >> BITS) * p
        if self.code < bound:
            self.range = bound
            probabilities[index] = p + (((1 << BITS) - p) >> SHIFT)
            bit = 0
        else:
            self.code -= bound
            self.range -= bound
            probabilities[index] = p - (p >> SHIFT)
            bit = 1
        while self.range < TOP:
            self.range = (self.range << 8) & 0xFFFFFFFF
            byte = self.data[self.position] if self.position < len(self.data) else 0
            self.code = ((self.code << 8) | byte) & 0xFFFFFFFF
            self.position += 1
        return bit

    def share(self, bits: int) -> int:
        """Where in 0 .. 2^bits - 1 the next symbol's share lies; `take` it then."""
        return min(self.code // (self.range >> bits), (1 << bits) - 1)

    def take(self, start: int, size: int, bits: int) -> None:
        """Go on behind a symbol that was coded with `BitEncoder.encode_share`."""
        step = self.range >> bits
        self.code -= step * start
        self.range = step * size
        while self.range < TOP:
            byte = self.data[self.position] if self.position < len(self.data) else 0
            self.range = (self.range << 8) & 0xFFFFFFFF
            self.code = ((self.code << 8) | byte) & 0xFFFFFFFF
            self.position += 1


def encode_number(coder: BitEncoder, probabilities: list[int], context: int, value: int, most: int) -> None:
    """Code `value` in 0..`most` as that many 1 bits and a 0; the first 14 bits adapt each by itself."""
    for i in range(value):
        coder.encode(probabilities, context + min(i, 14), 1)
    if value < most:
        coder.encode(probabilities, context + min(value, 14), 0)


def decode_number(coder: BitDecoder, probabilities: list[int], context: int, most: int) -> int:
    """The inverse of `encode_number`."""
    value = 0
    while value < most and coder.decode(probabilities, context + min(value, 14)):
        value += 1
    return value


def check_end(coder: BitDecoder) -> None:
    """Make sure that a row of bits ends where its bytes end.

    Raises:
        FormatError: if bytes are left over.
    """
    if coder.position < len(coder.data):
        raise FormatError("bytes behind the last bit")

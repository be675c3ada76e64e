"""Many symbols in and out of a range coder: see `entropy/range_coder.py`."""

from __future__ import annotations

import numpy as np

from .compiling import compiled


@compiled("int64(int64[::1], int64[::1], int64, int64[::1], uint8[::1])")
def encode(before, frequencies, bits, state, out):
    """Code symbols and count the bytes written.

    Args:
        before, frequencies: of each symbol.
        bits: log2 of all frequencies together.
        state: low, range, byte held back, and how many are; changed.
        out: room for 2 bytes a symbol, and for those held back.
    """
    low, width, cache, pending = state[0], state[1], state[2], state[3]
    written = 0
    for n in range(len(before)):
        step = width >> bits
        low += step * before[n]
        width = step * frequencies[n]
        while width < 1 << 24:
            width = (width << 8) & 0xFFFFFFFF
            if low < 0xFF000000 or low > 0xFFFFFFFF:
                carry = low >> 32
                out[written] = (cache + carry) & 0xFF
                written += 1
                for _ in range(pending - 1):
                    out[written] = (0xFF + carry) & 0xFF
                    written += 1
                pending = 0
                cache = (low >> 24) & 0xFF
            pending += 1
            low = (low << 8) & 0xFFFFFFFF
    state[0], state[1], state[2], state[3] = low, width, cache, pending
    return written


@compiled("void(uint8[::1], int64[:, ::1], int64[::1], int64, int64[::1], int64[::1])")
def decode(data, tables, which, bits, state, symbols):
    """Decode symbols.

    Args:
        data: all bytes.
        tables: where the frequencies of the symbols of each table begin, and that of all at its end [T, S + 1].
        which: table of each symbol, below T.
        bits: log2 of all frequencies together.
        state: place in the data, range and code; changed.
        symbols: what is found.
    """
    position, width, code = state[0], state[1], state[2]
    most = (1 << bits) - 1
    last = tables.shape[1] - 2
    for n in range(len(which)):
        step = width >> bits
        value = min(code // step, most)
        low, high = 0, last
        table = which[n]
        while low < high:  # the last symbol that begins no later
            middle = (low + high + 1) >> 1
            if tables[table, middle] <= value:
                low = middle
            else:
                high = middle - 1
        first = tables[table, low]
        code -= step * first
        width = step * (tables[table, low + 1] - first)
        while width < 1 << 24:
            byte = np.int64(data[position]) if position < len(data) else 0
            width = (width << 8) & 0xFFFFFFFF
            code = ((code << 8) | byte) & 0xFFFFFFFF
            position += 1
        symbols[n] = low
    state[0], state[1], state[2] = position, width, code

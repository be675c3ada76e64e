"""Arrays of many symbols through a range coder, compiled where that can be."""

from __future__ import annotations

import numpy as np

from ..kernels import family, ready
from .range_coder import RangeDecoder, RangeEncoder

FEW = 2000  # symbols up to which nothing is compiled for them


def encode_array(encoder: RangeEncoder, before: np.ndarray, frequencies: np.ndarray, bits: int) -> None:
    """Code symbols, whole numbers [N], as `RangeEncoder.encode_symbols` does."""
    kernels = family("range_symbols") if len(before) > FEW else None
    if kernels is None:
        encoder.encode_symbols(before.tolist(), frequencies.tolist(), bits)
        return
    state = np.array([encoder.low, encoder.range, encoder.cache, encoder.pending], np.int64)
    out = np.empty(2 * len(before) + encoder.pending + 8, np.uint8)
    written = kernels.encode(ready(before, np.int64), ready(frequencies, np.int64), bits, state, out)
    encoder.out += out[:written].tobytes()
    encoder.low, encoder.range, encoder.cache, encoder.pending = state.tolist()


def decode_array(decoder: RangeDecoder, tables: np.ndarray, which: np.ndarray, bits: int) -> np.ndarray:
    """The next symbols int64 [N], as `RangeDecoder.decode_symbols` gives them, with tables int64 [T, S + 1]."""
    kernels = family("range_symbols") if len(which) > FEW else None
    if kernels is None:
        return np.array(decoder.decode_symbols(tables.tolist(), which.tolist(), bits), np.int64)
    state = np.array([decoder.position, decoder.range, decoder.code], np.int64)
    symbols = np.empty(len(which), np.int64)
    data = np.frombuffer(bytes(decoder.data), np.uint8).copy()
    kernels.decode(data, ready(tables, np.int64), ready(which, np.int64), bits, state, symbols)
    decoder.position, decoder.range, decoder.code = state.tolist()
    return symbols

"""`IndexMap` by compiled code: its state in arrays."""

from __future__ import annotations

from types import ModuleType

import numpy as np

from ..errors import FormatError
from ..kernels import family, ready
from .counted_bits import COSTS, ONE, SPEEDS, Coder, CountedDecoder, CountedEncoder
from .index_map_layout import (
    ABOVE,
    BITS,
    BREAK_BITS,
    EDGE,
    FACTORS,
    HITS,
    LENGTHS,
    NEIGHBOURS,
    NONE,
    RUNS,
    SHIFT,
    STOPS,
    Wanted,
)

_ERRORS = "", "a run of colours beyond its end", "a colour that is not in the palette"
_NOTHING = np.zeros(1, np.int64)


def _looks() -> np.ndarray:
    looks = np.zeros((4, max(map(len, ABOVE)), 3), np.int64)
    for guess, places in enumerate(ABOVE):
        for n, (row, right) in enumerate(places):
            looks[guess, n] = row, right, FACTORS[EDGE + n]
    looks[3, :EDGE, 2] = FACTORS[:EDGE]
    return looks


_LOOKS = _looks()


class MapKernel:
    """Codes the rows of one map; see `IndexMap`."""

    def __init__(self, kernels: ModuleType, colors: int, width: int, depth: int):
        self._kernels, self._colors = kernels, colors
        spelt = (colors + 1) << depth
        sizes = [HITS, HITS, HITS, NEIGHBOURS, RUNS, STOPS, spelt, spelt]
        self._begins = np.cumsum([0, *sizes[:-1]])
        self._contexts = np.full((3, sum(sizes)), ONE >> 1)
        self._contexts[2] = 0  # bits seen
        self._numbers = np.array([colors, depth, EDGE, LENGTHS, SHIFT])
        self._guesses = np.full((len(ABOVE), 1 << BITS), NONE)
        self._rows = np.full((3, width + 2 * EDGE), colors)  # above, the nearest first
        self._read: bytes | None = None
        self._data = np.empty(1 << 14, np.uint8)  # read from, or to write into

    @staticmethod
    def of(colors: int, width: int, depth: int) -> MapKernel | None:
        """One for a map, if there is compiled code."""
        kernels = family("index_map")
        return None if kernels is None else MapKernel(kernels, colors, width, depth)

    def row(self, coder: Coder, spans: list[tuple[int, int]], wanted: Wanted | None) -> np.ndarray:
        """See `IndexMap.row`."""
        if isinstance(coder, CountedDecoder):
            state = np.array([coder.code, coder.range, 0, 0, coder.position, 1])
            if self._read is not coder.data:
                self._read, self._data = coder.data, np.frombuffer(bytearray(coder.data), np.uint8)
        else:
            state = np.array([coder.low, coder.range, coder.cache, coder.pending, 0, 0])
        row, places = np.empty_like(self._rows[0]), np.array(spans, np.int64).reshape(-1, 2)
        wish = (np.zeros((1, self._colors)), *[_NOTHING] * 3)
        if wanted is not None:
            wish = (ready(wanted.costs, np.float64), *(ready(x, np.int64) for x in (wanted.kinds, wanted.nearest)))
            wish = (*wish, ready(wanted.same, np.int64))
        contexts = self._contexts, SPEEDS, self._begins, self._numbers, COSTS
        shape = self._guesses, self._rows, row, _LOOKS, places
        error, data = self._kernels.code_row(state, self._data, *contexts, *shape, *wish, BREAK_BITS)
        if error:
            raise FormatError(_ERRORS[error])
        if isinstance(coder, CountedEncoder):
            coder.low, coder.range, coder.cache, coder.pending, size, _ = state.tolist()
            coder.out += data[:size].tobytes()
            self._data = data
        else:
            coder.code, coder.range, _, _, coder.position, _ = state.tolist()
        self._rows = np.stack([row, *self._rows[:2]])
        return row[EDGE:-EDGE]

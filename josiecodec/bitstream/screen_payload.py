"""Patches of few colours in their own coding: which patches, the palette, and the colour of each of their pixels.

What a screenshot or a drawing is made of is exact in this coding, or as good as the palette. See docs/format.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..entropy.counted_bits import Coder, CountedContexts, CountedDecoder, CountedEncoder, number
from ..entropy.index_map import MAX_COLORS, IndexMap, Wanted
from ..entropy.range_coder import check_end
from ..errors import FormatError

MAX_PIXELS = 1 << 21  # of a block
_CHANNELS, _BITS = 3, 9  # of a difference of colours


@dataclass(frozen=True)
class Screen:
    """Patches of few colours.

    Attributes:
        patches: bool [rows, columns], which ones these are.
        palette: uint8 [N, 3], red, green and blue.
        indexes: uint8 [rows * patch, columns * patch] into the palette; N in other patches.
    """

    patches: np.ndarray
    palette: np.ndarray
    indexes: np.ndarray

    def pixels(self) -> np.ndarray:
        """uint8 [rows * patch, columns * patch, 3], black in other patches."""
        return np.concatenate([self.palette, np.zeros((1, 3), np.uint8)])[self.indexes]


def pack_screen(patches: np.ndarray, palette: np.ndarray, patch: int, wanted: Iterator[Wanted]) -> tuple[bytes, Screen]:
    """Code patches.

    Args:
        patches, palette: of a `Screen`.
        patch: side of a patch in pixels.
        wanted: what is wanted of each row of pixels.

    Returns:
        The bytes, and what was coded.
    """
    coder = CountedEncoder()
    coder.raw(len(palette), 8)
    _code_patches(coder, patches)
    _code_palette(coder, palette)
    indexes = _code_rows(coder, patches, len(palette), patch, wanted)
    return coder.finish(), Screen(patches, palette, indexes)


def unpack_screen(data: bytes, rows: int, columns: int, patch: int) -> Screen:
    """The inverse of `pack_screen`.

    Raises:
        FormatError: if it is not in order. Nothing is allocated for more than `MAX_PIXELS` pixels.
    """
    if rows * columns * patch * patch > MAX_PIXELS:
        raise FormatError("patches of few colours in a block that is too large for them")
    coder = CountedDecoder(data)
    colors = coder.raw(0, 8)
    if not 1 <= colors <= MAX_COLORS:
        raise FormatError("patches of few colours without colours")
    patches = _code_patches(coder, np.zeros((rows, columns), bool))
    palette = _code_palette(coder, np.zeros((colors, _CHANNELS), np.uint8))
    screen = Screen(patches, palette, _code_rows(coder, patches, colors, patch, None))
    check_end(coder)
    return screen


def _code_patches(coder: Coder, patches: np.ndarray) -> np.ndarray:
    """Code which patches have few colours, each in the context of those to the left, above and above to the left."""
    contexts = CountedContexts(8)
    above = [1] * (patches.shape[1] + 1)
    found = []
    for row in patches.tolist():
        here = [1]
        for column, there in enumerate(row):
            context = here[column] + 2 * above[column + 1] + 4 * above[column]
            here.append(coder.bit(contexts, context, int(there)))
        above = here
        found.append(here[1:])
    return np.array(found, bool).reshape(patches.shape)


def _code_palette(coder: Coder, palette: np.ndarray) -> np.ndarray:
    """Code colours as differences to the one before: of green, then of red and blue less that of green."""
    contexts = CountedContexts(_CHANNELS * (_BITS + 2))
    found, before = [], [0, 0, 0]
    for red, green, blue in palette.astype(int).tolist():
        wanted = (green - before[1], red - before[0], blue - before[2])
        steps: list[int] = []
        for channel, step in enumerate(wanted):
            expected = steps[0] if channel else 0
            index = channel * (_BITS + 2)
            size = number(coder, contexts, index + 1, _BITS, abs(step - expected))
            negative = coder.bit(contexts, index, int(step < expected)) if size else 0
            steps.append(expected + (-size if negative else size))
        before = [before[0] + steps[1], before[1] + steps[0], before[2] + steps[2]]
        if not all(0 <= value <= 255 for value in before):
            raise FormatError("a colour that there cannot be")
        found.append(before)
    return np.array(found, np.uint8)


def _code_rows(
    coder: Coder, patches: np.ndarray, colors: int, patch: int, wanted: Iterator[Wanted] | None
) -> np.ndarray:
    """Code the indexes."""
    rows, columns = patches.shape
    indexes = np.full((rows * patch, columns * patch), colors, np.uint8)
    model = IndexMap(colors, columns * patch)
    for number_of_row, line in enumerate(indexes):
        spans = _spans(patches[number_of_row // patch], patch)
        line[:] = model.row(coder, spans, next(wanted) if wanted is not None else None)
    return indexes


def _spans(patches: np.ndarray, patch: int) -> list[tuple[int, int]]:
    """From which to before which pixels there are patches of few colours."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], patches, [False]]).astype(np.int8))) * patch
    return list(zip(edges[::2].tolist(), edges[1::2].tolist()))

"""Coding of maps of colour indexes, row by row: pictures of few colours, as screenshots and drawings are.

Where all neighbours so far have one colour, the length of a run of it is coded. Elsewhere the colour is one of several
guesses, or is spelt out: the colours that came last in a place like this, that is with the same 20, 8 or 4 pixels to
the left and above, then the left and the upper one. The first of these is what makes a letter that has been there
before cost next to nothing. (Runs as in JPEG-LS; guesses by contexts of falling size as in prediction by partial
matching, Cleary and Witten 1984.)

One function describes the syntax for both directions. An encoder may also let it choose colours by rate and distortion.
"""

from __future__ import annotations

import numpy as np

from ..errors import FormatError
from .counted_bits import Coder, CountedContexts, number
from .index_map_kernel import MapKernel
from .index_map_layout import (
    ABOVE,
    BITS,
    BREAK_BITS,
    EDGE,
    FACTORS,
    HITS,
    LENGTHS,
    MAX_COLORS,
    NEIGHBOURS,
    NONE,
    RUNS,
    SHIFT,
    STOPS,
    WORD,
    Wanted,
)

__all__ = ["EDGE", "MAX_COLORS", "IndexMap", "Wanted"]

_ONE, _TWO, _THREE, _FOUR = FACTORS[:EDGE]


class _Pixels:
    """The same by pixel."""

    def __init__(self, wanted: Wanted):
        costs = wanted.costs.tolist()
        self.costs: list[list[float]] = [costs[kind] for kind in wanted.kinds.tolist()]
        self.nearest: list[int] = wanted.nearest.tolist()
        self.same: list[int] = wanted.same.tolist()

    def kept(self, first: int, length: int, color: int) -> int:
        """How long a run of a colour should go on, of `length` pixels that it may."""
        at, end = first, first + length
        while at < end:
            if self.nearest[at] == color:
                at = self.same[at]
                continue
            loss, start = 0.0, at
            while at < end and self.nearest[at] != color:
                loss += self.costs[at][color] - self.costs[at][self.nearest[at]]
                at += 1
                if loss > BREAK_BITS:
                    return start - first
        return length


class IndexMap:
    """Codes the rows of one map, from top to bottom.

    Args:
        colors: how many there are, 1 to `MAX_COLORS`.
        width: of a row, in pixels.
    """

    def __init__(self, colors: int, width: int):
        self.colors, self.width = colors, width
        self.outside = colors  # the index of a pixel that is not coded
        self.depth = max(1, (colors - 1).bit_length())
        self._kernel = MapKernel.of(colors, width, self.depth)
        if self._kernel is not None:
            return
        self._above = [np.full(width + 2 * EDGE, self.outside, np.uint32)] * 3  # rows, the nearest first
        self._guesses = [[NONE] * (1 << BITS) for _ in ABOVE]  # with confidence times 512
        self._hit = [CountedContexts(HITS) for _ in ABOVE]
        self._neighbour = CountedContexts(NEIGHBOURS)
        self._run = CountedContexts(RUNS)
        self._stop = CountedContexts(STOPS)
        self._spelt = [CountedContexts((colors + 1) << self.depth) for _ in range(2)]

    def row(self, coder: Coder, spans: list[tuple[int, int]], wanted: Wanted | None = None) -> np.ndarray:
        """Code a row.

        Args:
            coder: to or from which.
            spans: from which to before which pixels there is something to code.
            wanted: what an encoder wants; None decodes.

        Returns:
            Indexes [width], `outside` where nothing was coded.

        Raises:
            FormatError: if there is no such colour or run.
        """
        if self._kernel is not None:
            return self._kernel.row(coder, spans, wanted)
        return self._row(coder, spans, None if wanted is None else _Pixels(wanted))

    def _row(self, coder: Coder, spans: list[tuple[int, int]], wanted: _Pixels | None) -> np.ndarray:
        above = self._above[0].tolist()
        changes = np.flatnonzero(self._above[0][1:] != self._above[0][:-1])
        ends = np.append(changes, len(above) - 1)
        steady = ends[np.searchsorted(ends, np.arange(len(above)))].tolist()  # where a colour above is there last
        places: list[list[int]] = []  # made where they are needed: many rows are flat
        row = [self.outside] * len(above)
        row[:EDGE] = [above[EDGE]] * EDGE
        for first, last in spans:
            at, end, broken = first + EDGE, last + EDGE, 0
            while at < end:
                color = row[at - 1]
                flat = color == above[at] == above[at - 1] == above[at + 1] and color != self.outside
                if not flat:
                    places = places or [self._places(k).tolist() for k in range(len(ABOVE))]
                    row[at] = self._pixel(coder, row, above, places, at, wanted)
                    at += 1
                    continue
                length = min(steady[at], end) - at
                kept = wanted.kept(at - EDGE, length, color) if wanted is not None else length
                kept = self._length(coder, length, kept, broken)
                row[at : at + kept] = [color] * kept
                at += kept
                broken = int(kept < length)
                if broken:
                    row[at] = self._spell(coder, 0, color, wanted.nearest[at - EDGE] if wanted is not None else 0)
                    at += 1
        row[-EDGE:] = [row[-EDGE - 1]] * EDGE
        done = np.array(row, np.uint32)
        self._above = [done, *self._above[:2]]
        return done[EDGE:-EDGE]

    def _places(self, guess: int) -> np.ndarray:
        """What the pixels above add to the address of a guess, of each pixel of a row, uint32."""
        total = np.zeros(self.width, np.uint32)
        for factor, (row, right) in zip(FACTORS[EDGE:], ABOVE[guess]):
            total += self._above[row][EDGE + right : EDGE + right + self.width] * np.uint32(factor)
        return total

    def _length(self, coder: Coder, length: int, kept: int, broken: int) -> int:
        """Code how much of the longest possible run there is."""
        size = length.bit_length()
        if coder.bit(self._run, 2 * size + broken, kept == length):
            return length
        kept = number(coder, self._stop, LENGTHS * size, (length - 1).bit_length(), kept)
        if kept >= length:
            raise FormatError("a run of colours beyond its end")
        return kept

    def _spell(self, coder: Coder, kind: int, given: int, color: int) -> int:
        """Code a colour that no guess was right about."""
        contexts, base, node = self._spelt[kind], given << self.depth, 1
        for shift in range(self.depth - 1, -1, -1):
            node = 2 * node + coder.bit(contexts, base + node, color >> shift & 1)
        color = node - (1 << self.depth)
        if color >= self.colors:
            raise FormatError("a colour that is not in the palette")
        return color

    def _pixel(
        self, coder: Coder, row: list[int], above: list[int], places: list[list[int]], at: int, wanted: _Pixels | None
    ) -> int:
        """Code a pixel that is not in a run."""
        left, upper = row[at - 1], above[at]
        around = (left == upper) + 2 * (upper == above[at + 1]) + 4 * (left == above[at - 1])
        near = left * _ONE
        both = near + row[at - 2] * _TWO
        far = (places[0][at - EDGE] + both + row[at - 3] * _THREE + row[at - 4] * _FOUR & WORD) >> SHIFT
        middle, close = (places[1][at - EDGE] + both & WORD) >> SHIFT, (places[2][at - EDGE] + near & WORD) >> SHIFT
        all_far, all_middle, all_close = self._guesses
        held, held_2, held_3 = all_far[far], all_middle[middle], all_close[close]
        one, two, three = held & NONE, held_2 & NONE, held_3 & NONE
        # Each guess that is not like one before: colour, contexts, index.
        known = one != NONE
        tries: list[tuple[int, CountedContexts, int]] = []
        if known:
            agree = (one == two) + 2 * (one == three)
            tries.append((one, self._hit[0], (held >> 9) * 32 + agree * 8 + around))
        if two != NONE and two != one:
            tries.append((two, self._hit[1], (held_2 >> 9) * 32 + (two == three) * 16 + known * 8 + around))
        if three != NONE and three != one and three != two:
            tries.append((three, self._hit[2], (held_3 >> 9) * 32 + known * 8 + around))
        color = wanted.nearest[at - EDGE] if wanted is not None else 0
        if wanted is not None and not (known and color == one):
            color = self._chosen(
                [*tries, *self._neighbours(tries, left, upper, around)], wanted.costs[at - EDGE], color
            )
        bit = coder.bit
        for guess, contexts, index in tries:
            if bit(contexts, index, color == guess):
                color = guess
                break
        else:
            for guess, contexts, index in self._neighbours(tries, left, upper, around):
                if bit(contexts, index, color == guess):
                    color = guess
                    break
            else:
                color = self._spell(coder, 1, left, color)
        all_far[far] = held + 512 if one == color and held < 3 << 9 else held if one == color else color
        if two == color:
            all_middle[middle] = held_2 + 512 if held_2 < 3 << 9 else held_2
        else:
            all_middle[middle] = two | held_2 >> 10 << 9 if held_2 >> 9 else color
        if three == color:
            all_close[close] = held_3 + 512 if held_3 < 3 << 9 else held_3
        else:
            all_close[close] = three | held_3 >> 10 << 9 if held_3 >> 9 else color
        return color

    def _neighbours(
        self, tries: list[tuple[int, CountedContexts, int]], left: int, upper: int, around: int
    ) -> list[tuple[int, CountedContexts, int]]:
        """The left and the upper colour, as guesses where they are none yet."""
        tried = [guess for guess, _, _ in tries]
        found = []
        if left != self.outside and left not in tried:
            found.append((left, self._neighbour, around))
        if upper != self.outside and upper != left and upper not in tried:
            found.append((upper, self._neighbour, 8 + around))
        return found

    def _chosen(self, tries: list[tuple[int, CountedContexts, int]], costs: list[float], nearest: int) -> int:
        """The colour that takes the fewest bits, its error counted as such."""
        best, least, so_far = nearest, float("inf"), 0.0
        for guess, contexts, index in tries:
            miss, hit = contexts.costs(index)
            total = so_far + hit + costs[guess]
            if total < least:
                best, least = guess, total
            if guess == nearest:
                return best
            so_far += miss
        return nearest if so_far + self.depth + costs[nearest] < least else best

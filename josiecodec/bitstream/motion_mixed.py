"""How one picture is written with mixed probabilities: what `motion_syntax.py` has.

Every bit has guesses by several contexts, mixed as `entropy/mixing.py` says: by what stands beside it, in its block,
around that and in the pictures before. Nothing depends on decoded pixels. How all patches are predicted comes first,
then all levels. `kernels/motion_modes.py` and `motion_levels.py` specify which context a guess has.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from ..entropy.adaptive_bits import BitDecoder, Coder
from ..entropy.mixing import logits, probabilities, rates
from ..errors import FormatError
from ..kernels import family, interpreted, ready
from .motion_carried import Speeds, carried
from .motion_mixed_starts import starts
from .motion_payload import CARRIED, MOST_KEPT, SHAPES
from .motion_syntax import MAX_LEVEL, MAX_OFFSET, MAX_VECTOR, UNIT, LevelChances, MotionPicture, PictureSyntax

LIMIT = 127  # bits that a context counts
LAYERS = 3  # sets of contexts: of key pictures, of pictures others are predicted from, of all others
PLACES = 12
# by element: sets of weights, and contexts of each guess
ELEMENTS = {
    "skip": (1, (3, 24, 48, 36, 5)),
    "merge": (1, (1, 12, 15, 3)),
    "which": (1, (3, 15, 18, 27)),
    "uses": (1, (9, 144)),
    "split": (1, (1, 12)),
    "vector": (2, (40, 200, 80, 100)),
    "coded": (1, (3, 24, 12, 12, 24)),
    "pattern": (3, (9, 72, 192, 18, 36)),
    "shape": (1, (3, 18, 24)),
    "finer": (1, (5, 25, 125)),
    "significant": (12, (144, 1152, 768, 216, 288, 432, 288)),
    "last": (12, (72, 384, 216, 384, 108, 144)),
    "large": (18, (72, 144, 576, 216, 360, 864)),
}
GUESSES = 7
_ERRORS = "", "a step that differs too much", "a vector that is too long", "a coefficient that is too large"


@cache
def layout() -> np.ndarray:
    """Where the weights of each element begin, in rows, and contexts of each guess: int64 [elements, 8]."""
    found = np.zeros((len(ELEMENTS), 8), np.int64)
    row = context = 0
    for n, (sets, sizes) in enumerate(ELEMENTS.values()):
        found[n, 0] = row
        row += sets
        for t, size in enumerate(sizes):
            found[n, 1 + t] = context
            context += size
    return found


CONTEXTS = sum(sum(sizes) for _, sizes in ELEMENTS.values())
ROWS = sum(sets for sets, _ in ELEMENTS.values())


def _zigzag(size: int) -> np.ndarray:
    """Places `size` x down + across of a block in scan order."""
    order = sorted((i + j, i if (i + j) % 2 else j, i, j) for i in range(size) for j in range(size))
    return np.array([size * i + j for _, _, i, j in order])


@cache
def tables() -> tuple[np.ndarray, ...]:
    """See `tables` of `kernels/motion_levels.py`."""
    places, near = [], []
    for size in (8, 8, 16):
        scan = _zigzag(size)
        back = {int(place): k for k, place in enumerate(scan)}
        for place in scan.tolist():
            down, across = divmod(place, size)
            diagonal = down + across
            places.append(min(diagonal if size == 8 else (diagonal + 1) // 2, PLACES - 1))
            for up, left in ((1, 0), (0, 1), (1, 1), (2, 0), (0, 2)):
                inside = down >= up and across >= left
                near.append(back[size * (down - up) + across - left] if inside else -1)
    return np.array(places), np.array(near), np.array([0, 64, 128]), np.array([64, 64, 256]), _fold()


def _fold() -> np.ndarray:
    """Where coefficients of 16 x 16, in scan order, are kept among those of four blocks: 64 x block + place [256].

    Coefficient (i, j) is in block 2 (i mod 2) + j mod 2, at (floor(i / 2), floor(j / 2)): there it has about the
    frequency of the one that it stands for.
    """
    back = np.argsort(_zigzag(8))
    down, across = np.divmod(_zigzag(16), 16)
    found: np.ndarray = 64 * (2 * (down % 2) + across % 2) + back[8 * (down // 2) + across // 2]
    return found


class MixedSyntax:
    """Writes or reads pictures of one size, one after the other from a key picture on.

    Args:
        h, w: patches of a picture.
        tools: of the key picture, see `motion_payload.py`.
    """

    def __init__(self, h: int, w: int, tools: int, begin: tuple[np.ndarray, ...] | None = None):
        self.h, self.w, self.tools = h, w, tools
        self.chances, self.counts, self.weights = (x.copy() for x in begin or starts(CONTEXTS, 8 * ROWS))
        self.past, self.offsets = np.zeros((LAYERS + 1, h, w), np.uint8), np.zeros((h, w), np.int8)
        self.speeds: dict[int, Speeds] = {}  # of pictures that others are predicted from, by when they are shown

    def copy(self) -> MixedSyntax:
        """The same, to go on by itself."""
        new = MixedSyntax(self.h, self.w, self.tools, (self.chances, self.counts, self.weights))
        new.past, new.offsets, new.speeds = self.past.copy(), self.offsets.copy(), dict(self.speeds)
        return new

    def level_chances(self, layer: int) -> LevelChances:
        """What a trellis has to know."""
        at, ones = layout(), self.chances[layer] / 65536
        names = list(ELEMENTS)
        a, b, c = (int(at[names.index(name), 1]) for name in ("significant", "last", "large"))
        return LevelChances(
            ones[a : a + 144].reshape(3, PLACES, 4), ones[b : b + 72].reshape(3, PLACES, 2),
            ones[c : c + 72].reshape(3, 2, 2, 6),
        )  # fmt: skip

    def carried(self, shown: int, sources: tuple[int, ...]) -> np.ndarray:
        """Motions int64 [h, w, K, 5] that a picture may take over from pictures before, see `motion_carried.py`."""
        if not self.tools & CARRIED:
            return np.zeros((self.h, self.w, 0, 5), np.int64)
        return carried(self.speeds, shown, sources, self.h, self.w)

    def _keep(self, picture: MotionPicture) -> None:
        if self.tools & CARRIED and picture.references and picture.layer < LAYERS - 1:
            self.speeds[picture.shown] = Speeds.of(picture.uses, picture.vectors, picture.sources)
            while len(self.speeds) > MOST_KEPT:
                del self.speeds[min(self.speeds)]

    def code(self, coder: Coder, picture: MotionPicture, step: int) -> None:
        """Write a picture with a step, or read one into an empty one."""
        layer = picture.layer
        if isinstance(coder, BitDecoder):
            state, data = (
                [coder.code, coder.range, 0, 0, coder.position, 1],
                np.frombuffer(bytearray(coder.data), np.uint8),
            )
        else:
            state, data = [coder.low, coder.range, coder.cache, coder.pending, 0, 0], np.empty(1 << 16, np.uint8)
        compiled = family("motion_modes") is not None and family("motion_levels") is not None
        take: Any = family if compiled else interpreted
        modes, levels = take("motion_modes"), take("motion_levels")

        def made(x: np.ndarray) -> Any:
            return x if compiled else x.tolist()

        shapes = np.zeros((self.h, self.w), np.uint8) if picture.shapes is None else picture.shapes
        given = picture.uses, picture.vectors, picture.levels, picture.offsets, shapes
        arrays = [ready(x, t) for x, t in zip(given, (np.uint8, np.int16, np.int16, np.int8, np.uint8))]
        own = self.chances[layer], self.counts[layer], self.weights[layer]
        adapting = [made(x) for x in own]
        fixed = layout().ravel(), probabilities(), logits(), rates(LIMIT)
        room = tuple(made(np.zeros(n, np.int64)) for n in (8, 8, 256, 256, 6))
        mixing = (*adapting, *map(made, fixed), *room[:2])
        limits, numbers = made(np.array([MAX_LEVEL, MAX_OFFSET, MAX_VECTOR, UNIT])), made(np.array(state))
        kinds, error = np.zeros((self.h, self.w), np.uint8), 0
        if picture.references:
            error, data = modes.code(
                numbers,
                data,
                mixing,
                limits,
                layer,
                picture.references,
                *arrays[:3],
                self.carried(picture.shown, picture.sources),
                self.past,
                kinds,
            )
        if not error:
            error, data = levels.code(
                numbers, data, mixing, tuple(map(made, tables())), limits, layer, step, picture.varied,
                bool(self.tools & SHAPES), *arrays[2:], self.past, self.offsets, kinds, room[2:],
            )  # fmt: skip
        if error:
            raise FormatError(_ERRORS[error])
        for x, filled in zip(own, adapting):
            x[:] = filled
        for x, filled in zip(given, arrays):
            if x is not filled:
                x[:] = filled
        self._keep(picture)
        numbers = [int(x) for x in numbers]
        if isinstance(coder, BitDecoder):
            coder.code, coder.range, _, _, coder.position, _ = numbers
        else:
            coder.low, coder.range, coder.cache, coder.pending, size, _ = numbers
            coder.out += data[:size].tobytes()


Syntax = PictureSyntax | MixedSyntax


def shaped(syntax: Syntax) -> bool:
    """Whether luma of patches may be one block."""
    return isinstance(syntax, MixedSyntax) and bool(syntax.tools & SHAPES)


def syntax_of(h: int, w: int, tools: int | None) -> Syntax:
    """How the pictures from a key picture on are written, by the tools that it names."""
    return PictureSyntax(h, w) if tools is None else MixedSyntax(h, w, tools)

"""How one predicted picture is written: modes, vectors and residual of each patch, in one stream of adaptive bits.

One function serves both directions: it fills in what a decoder reads, and reads what an encoder holds. Contexts go on
from picture to picture up to the next key picture. Nothing depends on decoded pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType

import numpy as np

from ..entropy.adaptive_bits import BitDecoder, BitEncoder, Coder, Contexts, escape
from ..errors import FormatError
from ..kernels import family, ready
from .motion_starts import STARTS

BLOCKS, SIZE = 6, 64
MAX_LEVEL = 2047
MAX_OFFSET, UNIT = 12, 4  # of the step of a patch, and of its step in steps
MAX_VECTOR = 1 << 12  # quarters of a pixel
_LAYERS = 3  # sets of contexts: of key pictures, of pictures others are predicted from, of all others

# where the contexts of each kind begin
_SKIP, _MERGE, _WHICH, _USES, _SPLIT, _CODED = 0, 3, 6, 9, 18, 20
_VECTOR = 24  # 2 components x 2 sizes x (zero, 6 of unary, 3 of Exp-Golomb)
_PATTERN = _VECTOR + 40
_SIGNIFICANT = _PATTERN + 12  # 2 kinds of block x 12 places x 3 of what came before
_LAST = _SIGNIFICANT + 72
_LARGE = _LAST + 48  # 2 kinds x 4 x (2 of unary, 3 of Exp-Golomb)
_FINER = _LARGE + 48  # of what is unlike the patch before: whether, which way, 3 of unary
CONTEXTS = _FINER + 5
PLACES = tuple(min(d, 11) for d in range(15) for _ in range(8 - abs(7 - d)))  # diagonal of each coefficient

# for the kernel
_BEGINS = _SKIP, _MERGE, _WHICH, _USES, _SPLIT, _CODED, _VECTOR, _PATTERN, _SIGNIFICANT, _LAST, _LARGE, _FINER
_LAYOUT = np.array([*_BEGINS, MAX_LEVEL, MAX_OFFSET, MAX_VECTOR])
_PLACES = np.array(PLACES)
_ERRORS = "", "a step that differs too much", "a vector that is too long", "a coefficient that is too large"


@dataclass(frozen=True)
class BlockContexts:
    """Where the contexts of the levels of a block begin."""

    significant: int
    last: int
    large: int

    @staticmethod
    def of(kind: int) -> BlockContexts:
        """Of luma (kind 0) or chroma (1)."""
        return BlockContexts(_SIGNIFICANT + 36 * kind, _LAST + 24 * kind, _LARGE + 24 * kind)


_OF = tuple(BlockContexts.of(kind) for kind in (0, 1))


@dataclass(frozen=True)
class LevelChances:
    """How likely bits of levels are 1, by kind of block: luma, chroma, luma of 16 x 16 (if there is that).

    Attributes:
        significant: [kinds, 12, n] of a coefficient that is not zero, by place and density of what came before.
        last: [kinds, 12, 2] of the last one, by place and whether there was one before.
        large: [kinds, 2, 2, 6] of sizes, by whether there was one before, whether the place is a low one, and bit.
    """

    significant: np.ndarray
    last: np.ndarray
    large: np.ndarray


@dataclass
class MotionPicture:
    """What a picture says of its patches [h, w] and cells [2 h, 2 w].

    Attributes:
        layer: 0 of a key picture, 1 if others are predicted from it, 2 if none is.
        references: how many it may be predicted from: 0, 1 or 2.
        uses: uint8 [2 h, 2 w], bit r: reference r is used (0: none); all four cells of a patch alike.
        vectors: int16 [R, 2 h, 2 w, 2], down and right in quarters of a pixel; 0 where the reference is not used.
        levels: int16 [h, w, 6, 64], coefficients in steps, in scan order.
        offsets: int8 [h, w], in units of `UNIT` by how much the steps of patches are larger than that of the picture; 0
            of patches without levels, and of all patches where steps do not vary.
        varied: whether steps vary.
        shapes: uint8 [h, w], 1 of patches whose luma is one block of 16 x 16, the levels of which are in those of the
            four blocks as `motion_residual.FOLD` says; None where there are none.
        shown: when the picture is shown.
        sources: by how many pictures each of its references is shown later than it.
    """

    layer: int
    references: int
    uses: np.ndarray
    vectors: np.ndarray
    levels: np.ndarray
    offsets: np.ndarray
    varied: bool = False
    shapes: np.ndarray | None = None
    shown: int = 0
    sources: tuple[int, ...] = ()

    @staticmethod
    def empty(layer: int, references: int, h: int, w: int, varied: bool = False, shaped: bool = False) -> MotionPicture:
        """One of which nothing is known yet; `shaped` if it may have shapes."""
        return MotionPicture(
            layer,
            references,
            np.zeros((2 * h, 2 * w), np.uint8),
            np.zeros((references, 2 * h, 2 * w, 2), np.int16),
            np.zeros((h, w, BLOCKS, SIZE), np.int16),
            np.zeros((h, w), np.int8),
            varied,
            np.zeros((h, w), np.uint8) if shaped else None,
        )


Motion = tuple[int, tuple[int, ...]]  # which references a cell uses; down and right of each, one after the other


class PictureSyntax:
    """Writes or reads pictures of one size, one after the other from a key picture on."""

    def __init__(self, h: int, w: int, starts: tuple[bytes, ...] = STARTS):
        self.h, self.w = h, w
        self.contexts = [
            Contexts(CONTEXTS, starts[i].ljust(CONTEXTS, b"\x80") if starts else b"") for i in range(_LAYERS)
        ]

    def copy(self) -> PictureSyntax:
        """The same, to go on by itself."""
        new = PictureSyntax(self.h, self.w)
        new.contexts = [c.copy() for c in self.contexts]
        return new

    def level_chances(self, layer: int) -> LevelChances:
        """What a trellis has to know."""
        contexts = self.contexts[layer]
        ones = (np.array(contexts.fast) + np.array(contexts.slow)) / (1 << 17)
        large = ones[_LARGE:_FINER].reshape(2, 2, 2, 6).swapaxes(1, 2)
        return LevelChances(
            ones[_SIGNIFICANT:_LAST].reshape(2, 12, 3), ones[_LAST:_LARGE].reshape(2, 12, 2), large
        )  # fmt: skip

    def code(self, coder: Coder, picture: MotionPicture, step: int = 0) -> None:
        """Write a picture, or read one into an empty one; its step does not matter."""
        kernels = family("motion_syntax") if type(coder) in (BitEncoder, BitDecoder) else None
        if kernels is not None:
            return _compiled(kernels, coder, self.contexts[picture.layer], picture)
        reading = isinstance(coder, BitDecoder)
        h, w, refs = self.h, self.w, picture.references
        contexts = self.contexts[picture.layer]
        uses = picture.uses.tolist()
        vectors = [[[tuple(v) for v in row] for row in plane] for plane in picture.vectors.tolist()]
        coded: list[list[list[int]]] = np.any(picture.levels, axis=-1).astype(int).tolist()
        cells: list[list[Motion | None]] = [[None] * (2 * w) for _ in range(2 * h)]
        nothing, patterns_above = [0] * BLOCKS, [[0] * BLOCKS for _ in range(w)]
        skipped_above = [0] * w
        offset = 0
        for i in range(h):
            skipped_left, pattern_left = 0, nothing
            for j in range(w):
                pattern = coded[i][j]
                wanted: list[Motion] = []
                if refs and not reading:
                    wanted = [_motion(uses, vectors, 2 * i + a, 2 * j + b, refs) for a in (0, 1) for b in (0, 1)]
                skipped = 0
                if refs:
                    skipped = self._motion(
                        coder, contexts, cells, i, j, refs, wanted, any(pattern), skipped_left + skipped_above[j]
                    )
                if reading and refs:
                    for n in range(4):
                        use, vector = cells[2 * i + n // 2][2 * j + n % 2]  # type: ignore[misc]
                        picture.uses[2 * i + n // 2, 2 * j + n % 2] = use
                        for r in range(refs):
                            picture.vectors[r, 2 * i + n // 2, 2 * j + n % 2] = vector[2 * r : 2 * r + 2]
                if skipped:
                    pattern = nothing
                else:
                    pattern = self._residual(coder, contexts, picture, i, j, pattern, pattern_left, patterns_above[j])
                if picture.varied and any(pattern):
                    offset += _offset(coder, contexts, int(picture.offsets[i, j]) - offset)
                    if abs(offset) > MAX_OFFSET:
                        raise FormatError("a step that differs too much")
                    picture.offsets[i, j] = offset
                skipped_left = skipped_above[j] = skipped
                pattern_left = patterns_above[j] = pattern

    def _motion(
        self,
        coder: Coder,
        contexts: Contexts,
        cells: list[list[Motion | None]],
        i: int,
        j: int,
        refs: int,
        wanted: list[Motion],
        residual: bool,
        neighbours: int,
    ) -> int:
        """Code how a patch is predicted, and put it into `cells`; whether it is skipped."""
        known = candidates(cells, i, j, refs)
        whole = bool(wanted) and wanted[0] == wanted[1] == wanted[2] == wanted[3]
        which = known.index(wanted[0]) if whole and wanted[0] in known else -1
        skipped = coder.bit(contexts, _SKIP + neighbours, which >= 0 and not residual)
        if skipped or coder.bit(contexts, _MERGE, which >= 0):
            n = 0
            while n < len(known) - 1 and coder.bit(contexts, _WHICH + n, which > n):
                n += 1
            motions = [known[n]] * 4
        else:
            use = wanted[0][0] if wanted else 0
            kind = known[0][0]
            if refs == 1:
                use = coder.bit(contexts, _USES + 8, use)
            elif coder.bit(contexts, _USES + kind, use == 3):
                use = 3
            elif coder.bit(contexts, _USES, use == 0):
                use = 0
            else:
                use = 1 + coder.bit(contexts, _USES + 4 + kind, use == 2)
            motions = []
            split = coder.bit(contexts, _SPLIT, bool(wanted) and not whole) if use else 0
            for n in range(4 if split else 1):
                guess = list(motions[-1][1]) if motions else _guess(known, use, refs)
                vector = [0] * (2 * refs)
                for c in range(2 * refs):
                    if use >> (c >> 1) & 1:
                        difference = wanted[n][1][c] - guess[c] if wanted else 0
                        vector[c] = guess[c] + _difference(
                            coder, contexts, _VECTOR + 20 * (c & 1) + 10 * (n > 0), difference
                        )
                if any(abs(v) > MAX_VECTOR for v in vector):
                    raise FormatError("a vector that is too long")
                motions.append((use, tuple(vector)))
            if not split:
                motions *= 4
        for n, motion in enumerate(motions):
            cells[2 * i + n // 2][2 * j + n % 2] = motion
        return skipped

    def _residual(
        self,
        coder: Coder,
        contexts: Contexts,
        picture: MotionPicture,
        i: int,
        j: int,
        wanted: list[int],
        left: list[int],
        above: list[int],
    ) -> list[int]:
        """Code the levels of a patch; which blocks have any."""
        context = _CODED + any(left) + any(above)
        if not coder.bit(contexts, context, any(wanted)):
            return [0] * BLOCKS
        pattern = [0] * BLOCKS
        for n in range(BLOCKS):
            if n < 4:
                beside = pattern[n - 1] if n & 1 else left[n + 1]
                over = pattern[n - 2] if n & 2 else above[n + 2]
                index = beside + over
            else:
                index = 3 + 3 * (n - 4) + left[n] + above[n]
            if n == BLOCKS - 1 and not any(pattern):
                pattern[n] = 1
            else:
                pattern[n] = int(coder.bit(contexts, _PATTERN + index, wanted[n]))
            if pattern[n]:
                levels = picture.levels[i, j, n].tolist()
                _block(coder, contexts, levels, int(n > 3))
                picture.levels[i, j, n] = levels
        return pattern


def _compiled(kernels: ModuleType, coder: Coder, contexts: Contexts, picture: MotionPicture) -> None:
    """`PictureSyntax.code` by the kernel."""
    if isinstance(coder, BitDecoder):
        state = np.array([coder.code, coder.range, 0, 0, coder.position, 1])
        data = np.frombuffer(bytearray(coder.data), np.uint8)
    else:
        state = np.array([coder.low, coder.range, coder.cache, coder.pending, 0, 0])
        data = np.empty(1 << 16, np.uint8)
    estimates = np.array([contexts.fast, contexts.slow])
    given = picture.uses, picture.vectors, picture.levels, picture.offsets
    arrays = [ready(x, t) for x, t in zip(given, (np.uint8, np.int16, np.int16, np.int8))]
    error, data = kernels.code(state, data, estimates, _LAYOUT, _PLACES, picture.references, *arrays, picture.varied)
    if error:
        raise FormatError(_ERRORS[error])
    contexts.fast, contexts.slow = estimates.tolist()
    if isinstance(coder, BitDecoder):
        coder.code, coder.range, _, _, coder.position, _ = state.tolist()
        for x, filled in zip(given, arrays):
            if x is not filled:
                x[:] = filled
    else:
        coder.low, coder.range, coder.cache, coder.pending, size, _ = state.tolist()
        coder.out += data[:size].tobytes()


def _motion(uses: list[list[int]], vectors: list[list[list[tuple[int, int]]]], i: int, j: int, refs: int) -> Motion:
    use = uses[i][j]
    vector: tuple[int, ...] = ()
    for r in range(refs):
        vector += vectors[r][i][j] if use >> r & 1 else (0, 0)
    return use, vector


def candidates(cells: list[list[Motion | None]], i: int, j: int, refs: int) -> list[Motion]:
    """Up to four motions that patch (i, j) may take over: of its neighbours to the left and above, or none at all."""
    found: list[Motion] = []
    near = []
    if j:
        near.append(cells[2 * i][2 * j - 1])
    if i:
        above = cells[2 * i - 1]
        near.append(above[2 * j])
        near.append(above[2 * j + 2] if 2 * j + 2 < len(above) else above[2 * j - 1])
    for motion in near:
        if motion is not None and motion[0] and motion not in found:
            found.append(motion)
    still: Motion = ((1 << refs) - 1, (0,) * (2 * refs))
    if still not in found:
        found.append(still)
    return found


def _guess(known: list[Motion], use: int, refs: int) -> list[int]:
    """What the vectors are likely to be: the median of those around that use the same reference, or the only ones."""
    guess = []
    for c in range(2 * refs):
        values = [m[1][c] for m in known[:3] if m[0] >> (c >> 1) & 1]
        guess.append(sorted(values)[1] if len(values) == 3 else values[0] if values else 0)
    return guess


def _difference(coder: Coder, contexts: Contexts, index: int, value: int) -> int:
    if not coder.bit(contexts, index, value != 0):
        return 0
    negative = coder.raw(int(value < 0), 1)
    size = 1 + escape(coder, contexts, index + 1, 6, abs(value) - 1)
    if size > 2 * MAX_VECTOR:
        raise FormatError("a vector that is too long")
    return -size if negative else size


def _offset(coder: Coder, contexts: Contexts, value: int) -> int:
    if not coder.bit(contexts, _FINER, value != 0):
        return 0
    negative = coder.bit(contexts, _FINER + 1, value < 0)
    size = 1
    while size < 2 * MAX_OFFSET and coder.bit(contexts, _FINER + 2 + min(size - 1, 2), abs(value) > size):
        size += 1
    return -size if negative else size


def _block(coder: Coder, contexts: Contexts, levels: list[int], kind: int) -> None:
    """Code the levels of a block that has some."""
    significant, last, large = _OF[kind].significant, _OF[kind].last, _OF[kind].large
    end = 63
    while end and not levels[end]:
        end -= 1
    before = count = 0
    for k in range(SIZE):
        level = levels[k]
        place = PLACES[k]
        if k == SIZE - 1 or coder.bit(contexts, significant + 3 * place + min(before, 2), level != 0):
            negative = coder.raw(int(level < 0), 1)
            size = 1 + escape(coder, contexts, large + 6 * (min(count, 1) + 2 * (place < 3)), 3, abs(level) - 1)
            if size > MAX_LEVEL:
                raise FormatError("a coefficient that is too large")
            levels[k] = -size if negative else size
            count += 1
            before = (before + 1) // 2 + (1 if size == 1 else 2)
            if k < SIZE - 1 and coder.bit(contexts, last + 2 * place + (count > 1), k == end):
                return
        else:
            before = before // 2

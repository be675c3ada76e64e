"""Videos with motion as one sequence of tokens, as language models read them and datasets store them.

    picture: kind, step, (tools,) (how much later it is shown,) references; then its patches, left to
             right, top to bottom
    patch:   motion: as that of the patch before, or one or four sets of vectors; (offset of its step;) codes of the
             base; (that its luma is one block;) codes of the levels
    run:     so many patches whose motion is that of the patch before, and which have no codes

Every picture stands for itself: nothing is a difference to another picture's tokens. See docs/datasets.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ..bitstream.motion_payload import FILTER, MAX_AWAY, MIXED, STILL, TOOLS
from ..bitstream.motion_syntax import MAX_OFFSET, MAX_VECTOR
from ..bitstream.patch_payload import PatchRows
from ..bitstream.still_payload import with_parts
from ..errors import CodesError
from ..vision.motion_residual import CODES, MAX_STEP
from .motion_tokens import PictureTokens

# Pictures: layer, references, whether there is a base; each without and with steps that vary.
_PICTURES = ((0, 0, False), (0, 0, True), (1, 1, False), (1, 2, False), (2, 1, False), (2, 2, False))
_MOTIONS = 7  # none, one motion by reference 0, 1 or both, and the same with one for each quarter of the patch
_MARKS = 2 * len(_PICTURES) + _MOTIONS + 2
MAX_RUN = MAX_VECTOR
MAX_CODES = 1 << 14  # of a patch
MAX_PADDED = 1 << 27  # codes of a picture, all patches filled up to the one that has the most


@dataclass(frozen=True)
class Vocabulary:
    """Which token means what.

    Attributes:
        codebook_size: codes of the model, of bases of key pictures: tokens 0 .. codebook_size - 1.
    """

    codebook_size: int

    @property
    def levels(self) -> int:
        """The first token of the 2048 codes of levels, see `vision/motion_residual.py`."""
        return self.codebook_size

    @property
    def pictures(self) -> int:
        """The first of the 12 that begin a picture: two for each of `_PICTURES`, the second with steps that vary."""
        return self.levels + CODES

    @property
    def motions(self) -> int:
        """The first of the 7 kinds of motion of a patch."""
        return self.pictures + 2 * len(_PICTURES)

    @property
    def same(self) -> int:
        """The motion of the patch before."""
        return self.motions + _MOTIONS

    @property
    def run(self) -> int:
        """A number of patches that are as the one before and have no codes."""
        return self.same + 1

    @property
    def zero(self) -> int:
        """The number 0; numbers are -4096 .. 4096."""
        return self.run + 1 + MAX_VECTOR

    @property
    def tools(self) -> int:
        """Behind the step: what a key picture and those behind it are coded with, how others are filtered; a number."""
        return self.zero + MAX_VECTOR + 1

    @property
    def whole(self) -> int:
        """The luma of a patch is one block."""
        return self.tools + 1

    @property
    def size(self) -> int:
        """Number of tokens."""
        return self.whole + 1


def to_sequence(picture: PictureTokens, number: int, vocabulary: Vocabulary) -> np.ndarray:
    """The tokens int32 [n] of the `number`-th picture in the order of decoding. The detail of a still picture is not
    among them, see `details_of`.

    Raises:
        CodesError: if it cannot be written that way: its base is predicted, or has a code that the codebook has not.
    """
    v, refs = vocabulary, len(picture.references)
    kind = _PICTURES.index((picture.layer, refs, picture.base is not None))
    out = [v.pictures + 2 * kind + (picture.offsets is not None), v.zero + picture.step]
    if picture.tools:
        out += [v.tools, v.zero + picture.tools]
    if picture.layer:
        out.append(v.zero + picture.shown - number)
        out += [v.zero + r - picture.shown for r in picture.references]
    h, w = picture.codes.shape[1:]
    motions = _motions(picture, h, w)
    base = _base_codes(picture, h * w, v.codebook_size)
    codes = picture.codes.reshape(-1, h * w).T
    counts = (codes >= 0).sum(1).tolist()
    offsets = [0] * (h * w) if picture.offsets is None else picture.offsets.ravel().tolist()
    shapes = [0] * (h * w) if picture.shapes is None else picture.shapes.ravel().tolist()
    before: tuple[int, ...] = (0,) * (1 + 8 * refs)
    run = 0

    def end_run() -> None:
        if run:
            out.extend([v.same] if run == 1 else [v.run, v.zero + run])

    for n, motion in enumerate(motions):
        same = motion == before
        if same and not counts[n] and not base[n] and not offsets[n] and run < MAX_RUN:
            run += 1
            continue
        end_run()
        run = 0
        if same:
            out.append(v.same)
        else:
            out += _motion_tokens(motion, refs, v)
            before = motion
        if offsets[n]:
            out.append(v.zero + offsets[n])
        out += base[n]
        if shapes[n] and counts[n]:
            out.append(v.whole)
        out += (codes[n, : counts[n]] + v.levels).tolist()
    end_run()
    return np.array(out, np.int32)


def details_of(picture: PictureTokens) -> tuple[bytes, ...] | None:
    """Of a key picture that is coded as a still picture the parts of its detail, as `from_sequence` takes them."""
    if picture.base is None or not picture.base.details:
        return None
    return tuple(part.data for part in picture.base.details)


def _motions(picture: PictureTokens, h: int, w: int) -> list[tuple[int, ...]]:
    """Of each patch which references it uses, and the vectors of its cells: cell after cell, of each by reference."""
    uses = picture.uses[::2, ::2].reshape(h * w, 1).astype(int)
    cells = picture.vectors.reshape(-1, h, 2, w, 2, 2).transpose(1, 3, 2, 4, 0, 5).reshape(h * w, -1).astype(int)
    return [tuple(m) for m in np.concatenate([uses, cells], 1).tolist()]


def _base_codes(picture: PictureTokens, patches: int, size: int) -> list[list[int]]:
    """Codes of the base of each patch."""
    base = picture.base
    if base is None:
        return [[] for _ in range(patches)]
    if base.modes.any():
        raise CodesError("a base that is predicted has no tokens")
    if int(base.codes.max(initial=0)) >= size:
        raise CodesError(f"a code {int(base.codes.max())} in a base of codes below {size}")
    ends = np.cumsum(base.counts.ravel(), dtype=np.int64)
    return [part.tolist() for part in np.split(base.codes.astype(int), ends[:-1])]


def _motion_tokens(motion: tuple[int, ...], refs: int, v: Vocabulary) -> list[int]:
    uses, vectors = motion[0], np.array(motion[1:], int).reshape(4, refs, 2)
    split = bool((vectors != vectors[:1]).any())
    used = [r for r in range(refs) if uses >> r & 1]
    numbers = vectors[: 4 if split else 1][:, used].ravel() + v.zero
    return [v.motions + uses + 3 * split, *numbers.tolist()]


def from_sequence(
    tokens: Iterable[int],
    h: int,
    w: int,
    vocabulary: Vocabulary,
    parities: Iterable[bytes] = (),
    details: Iterable[Sequence[bytes]] = (),
) -> Iterator[PictureTokens]:
    """Pictures of h x w patches, each as soon as its tokens have come.

    Args:
        tokens: of a whole video, or of its first pictures.
        h, w: patches of a picture.
        vocabulary: of the model.
        parities: of the key pictures that have a base, in order; where there are none, the base comes out as this
            machine rounds it.
        details: of the key pictures that are coded as still pictures, in order; these must be there.

    Raises:
        CodesError: if the tokens are in no order that means something, or end within a picture.
    """
    reader, beside = _Reader(tokens, vocabulary), (iter(parities), iter(details))
    number, tools = 0, None
    while reader.now is not None:
        picture = _picture(reader, number, h, w, beside, tools)
        tools = picture.tools
        yield picture
        number += 1


class _Reader:
    """Tokens one after the other.

    Attributes:
        now: the one whose turn it is; None behind the last.
    """

    def __init__(self, tokens: Iterable[int], vocabulary: Vocabulary):
        self.v, self._rest, self.at = vocabulary, iter(tokens), -1
        self.now: int | None = None
        self.take()

    def take(self) -> int | None:
        """The token whose turn it was."""
        taken, self.now = self.now, next(self._rest, None)
        self.at += 1
        return taken

    def within(self, first: int, count: int) -> bool:
        """Whether the token is one of so many."""
        return self.now is not None and first <= self.now < first + count

    def one_of(self, first: int, count: int, what: str) -> int:
        """Take the token, one of so many.

        Raises:
            CodesError: if it is none of them.
        """
        if not self.within(first, count):
            raise CodesError(f"token {self.at} is {self.now}, where {what} should be")
        return int(self.take() or 0) - first

    def number(self, least: int, most: int, what: str) -> int:
        """Take a number."""
        return least + self.one_of(self.v.zero + least, most - least + 1, what)


def _picture(
    reader: _Reader,
    number: int,
    h: int,
    w: int,
    beside: tuple[Iterator[bytes], Iterator[Sequence[bytes]]],
    before_tools: int | None,
) -> PictureTokens:
    v = reader.v
    kind, varied = divmod(reader.one_of(v.pictures, 2 * len(_PICTURES), "a picture"), 2)
    layer, refs, has_base = _PICTURES[kind]
    step = reader.number(0, MAX_STEP, "the step of a picture")
    shown, references = number, []
    tools = None if before_tools is None or not layer else 0
    if (not layer or tools is not None) and reader.now == v.tools:
        reader.take()
        tools = reader.number(1, TOOLS, "a number of tools")
        if (tools & ~FILTER) if layer else not tools & MIXED:
            raise CodesError(f"tools {tools}, which no video has")
    if layer:
        shown += reader.number(-MAX_AWAY, MAX_AWAY, "when a picture is shown")
        references = [shown + reader.number(-MAX_AWAY, MAX_AWAY, "a reference") for _ in range(refs)]
        if shown in references:
            raise CodesError(f"picture {shown} is predicted from itself")
    motions = np.zeros((h * w, 1 + 8 * refs), np.int16)
    offsets, counts, shapes = np.zeros(h * w, np.int8), np.zeros(h * w, np.uint8), np.zeros(h * w, np.uint8)
    base: list[int] = []
    codes: list[list[int]] = []
    before = motions[0] if h * w else np.zeros(1 + 8 * refs, np.int16)
    while len(codes) < h * w:
        n = len(codes)
        if reader.now == v.run:
            reader.take()
            count = reader.number(2, min(MAX_RUN, max(h * w - n, 2)), "a number of patches")
            if n + count > h * w:
                raise CodesError(f"{n + count} patches in a picture of {h * w}")
            motions[n : n + count] = before
            codes += [[] for _ in range(count)]
            continue
        if reader.now == v.same:
            reader.take()
        else:
            before = _motion(reader, refs)
        motions[n] = before
        if varied and reader.within(v.zero - MAX_OFFSET, 2 * MAX_OFFSET + 1):
            offsets[n] = reader.number(-MAX_OFFSET, MAX_OFFSET, "an offset")
        while has_base and reader.within(0, v.codebook_size):
            if counts[n] == 255:
                raise CodesError("a patch of more than 255 codes of a base")
            base.append(reader.one_of(0, v.codebook_size, "a code"))
            counts[n] += 1
        own: list[int] = []
        if tools is not None and reader.now == v.whole:
            reader.take()
            shapes[n] = 1
        while reader.within(v.levels, CODES):
            own.append(reader.one_of(v.levels, CODES, "a code"))
            if len(own) > MAX_CODES:
                raise CodesError(f"a patch of more than {MAX_CODES} codes")
        codes.append(own)
    rows, parities = None, b""
    if has_base:
        parities = next(beside[0], b"")
        rows = PatchRows(np.zeros((h, w), np.uint8), counts.reshape(h, w), np.array(base, np.uint16))
        if (tools or 0) & STILL:
            rows = with_parts(rows, next(beside[1], ()))
    cells = motions[:, 1:].reshape(h, w, 2, 2, refs, 2).transpose(4, 0, 2, 1, 3, 5).reshape(refs, 2 * h, 2 * w, 2)
    return PictureTokens(
        shown,
        layer,
        step,
        tuple(references),
        motions[:, 0].reshape(h, w).repeat(2, 0).repeat(2, 1).astype(np.uint8),
        np.ascontiguousarray(cells),
        _padded(codes).reshape(-1, h, w),
        rows,
        parities,
        offsets.reshape(h, w) if varied else None,
        tools,
        shapes.reshape(h, w) if tools is not None else None,
    )


def _motion(reader: _Reader, refs: int) -> np.ndarray:
    """The motion of a patch: which references it uses, and the vectors of its cells."""
    kind = reader.one_of(reader.v.motions, _MOTIONS, "the motion of a patch")
    split, uses = kind > 3, kind - 3 * (kind > 3)
    if uses >> refs:
        raise CodesError(f"token {reader.at}: a reference that the picture does not have")
    vectors = np.zeros((4, refs, 2), np.int16)
    for cell in range(4) if split else (slice(None),):
        for r in range(refs):
            if uses >> r & 1:
                vectors[cell, r] = [reader.number(-MAX_VECTOR, MAX_VECTOR, "a vector") for _ in range(2)]
    return np.concatenate([np.array([uses], np.int16), vectors.ravel()])


def _padded(codes: list[list[int]]) -> np.ndarray:
    """Codes of patches as int16 [K, patches], -1 where a patch has no further one.

    Raises:
        CodesError: if one patch has so many that those of all take more memory than any picture needs.
    """
    most = max(map(len, codes), default=0)
    if most * len(codes) > MAX_PADDED:
        raise CodesError(f"a patch of {most} codes in a picture of {len(codes)} patches")
    out = np.full((most, len(codes)), -1, np.int16)
    for n, own in enumerate(codes):
        out[: len(own), n] = own
    return out

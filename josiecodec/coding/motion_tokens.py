"""Videos with motion as tokens: all that their files say, as arrays."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from ..bitstream.header import VisionInfo
from ..bitstream.josie_file import TokenFile
from ..bitstream.motion_mixed import shaped, syntax_of
from ..bitstream.motion_payload import FILTER, MIXED, SHAPES, STILL, TOOLS, MotionPayload, MotionRows, PictureHead
from ..bitstream.motion_syntax import MotionPicture
from ..bitstream.patch_payload import PatchRows, pack_rows, unpack_rows
from ..bitstream.picture_times import PictureTimes
from ..bitstream.still_payload import pack_still, unpack_still
from ..entropy.adaptive_bits import BitDecoder, BitEncoder
from ..entropy.range_coder import check_end
from ..errors import CodesError, FormatError
from ..vision.motion_residual import from_codes, to_codes
from .vision_files import VisionFiles


@dataclass(frozen=True)
class PictureTokens:
    """One picture of h x w patches, and 2 h x 2 w cells.

    Attributes:
        shown: its place in time, in pictures.
        layer: 0 of a key picture, 1 if others are predicted from it, 2 if none is.
        step: of the levels: its size doubles every 16.
        references: the places in time of the pictures that it is predicted from: none, one or two.
        uses: uint8 [2 h, 2 w], bit r: reference r is used; 3: the mean of two; 0: none.
        vectors: int16 [R, 2 h, 2 w, 2], down and right, in quarters of a pixel.
        codes: int16 [K, h, w] below 2048, -1 where a patch has no further level; see `motion_residual.to_codes`.
        base: of a key picture, the frame group below the levels, in codes of the model; None for grey. One that is
            coded as a still picture has its details, too.
        parities: of the base, see `bitstream/exact_rounding.py`.
        offsets: int8 [h, w], the steps of patches less `step`, in units of 4; None if they are all the same.
        tools: of a key picture, what it and those behind it are coded with (`motion_payload.py`); of all how strongly
            they are filtered; None in a video without.
        shapes: uint8 [h, w], 1 where the luma of a patch is one block of 16 x 16; None in a video that has no such.
    """

    shown: int
    layer: int
    step: int
    references: tuple[int, ...]
    uses: np.ndarray
    vectors: np.ndarray
    codes: np.ndarray
    base: PatchRows | None
    parities: bytes = b""
    offsets: np.ndarray | None = None
    tools: int | None = None
    shapes: np.ndarray | None = None


@dataclass(frozen=True)
class VideoTokens:
    """A video with motion; `motion_sequence.py` writes its pictures as one sequence of tokens.

    Attributes:
        size: height and width of its pictures.
        pictures_per_second: of the video.
        pictures: in the order in which they are decoded.
    """

    size: tuple[int, int]
    pictures_per_second: Fraction
    pictures: tuple[PictureTokens, ...]


def motion_tokens(codec: VisionFiles, data: bytes) -> Iterator[PictureTokens]:
    """The pictures of a `.josie` file of a video with motion, in the order in which they are decoded.

    Raises:
        FormatError: on damaged data, or if it holds no video with motion.
        ModelError: if another model made it.
    """
    stream = next((s for s in TokenFile.from_bytes(data, tables=codec.known_tables).streams if _moving(s)), None)
    if stream is None or not isinstance(stream.codes, MotionRows):
        raise FormatError("no video with motion in this file")
    yield from tokens_of(codec, codec.check_stream(stream.info), stream.codes.pictures)


def tokens_of(codec: VisionFiles, info: VisionInfo, payloads: Iterable[MotionPayload]) -> Iterator[PictureTokens]:
    """The pictures of a stream from its first on, each as it comes.

    Args:
        codec: the model that made it.
        info: header of the stream.
        payloads: what its blocks hold, in the order of the file.

    Raises:
        FormatError: on damaged data.
    """
    h, w = info.rows, info.columns
    syntax = syntax_of(h, w, None)
    for number, payload in enumerate(payloads):
        head, base = payload.head, None
        if payload.key:
            syntax = syntax_of(h, w, head.tools)
            if head.base:
                tables = codec.tables if head.coded else None
                unpack = unpack_still if head.still else unpack_rows
                base = unpack(head.base, h, w, info.levels, codec.codebook_size, head.coded, tables)
        picture = MotionPicture.empty(head.layer, len(head.references), h, w, head.varied, shaped(syntax))
        picture.shown, picture.sources = number + head.later, head.references
        if not payload.bare:
            decoder = BitDecoder(payload.bits)
            syntax.code(decoder, picture, head.step)
            check_end(decoder)
        shown = picture.shown
        references = tuple(shown + n for n in head.references)
        codes = to_codes(picture.levels)
        offsets = picture.offsets if head.varied else None
        kinds = shown, head.layer, head.step, references
        yield PictureTokens(
            *kinds, picture.uses, picture.vectors, codes, base, head.parities, offsets, head.tools, picture.shapes
        )


def from_motion_tokens(
    codec: VisionFiles, pictures: Iterable[PictureTokens], times: PictureTimes | None = None
) -> MotionRows:
    """The inverse: what `TokenStream.codes` of a video with motion holds, `times` (`MotionRows.times`) included.

    Raises:
        CodesError: if there is no picture, they are of different sizes, or the first is no key picture.
    """
    pictures = iter(pictures)
    first = next(pictures, None)
    if first is None:
        raise CodesError("a video with motion begins with a key picture")
    payloads = [*payloads_of(codec, itertools.chain([first], pictures))]
    if times is not None and len(times.durations) != len(payloads):
        raise CodesError(f"{len(times.durations)} times of {len(payloads)} pictures")
    return MotionRows(payloads, first.codes.shape[1], times)


def payloads_of(codec: VisionFiles, pictures: Iterable[PictureTokens]) -> Iterator[MotionPayload]:
    """The inverse of `tokens_of`.

    Raises:
        CodesError: if pictures are of different sizes, or the first is no key picture.
    """
    h = w = 0
    tools: int | None = None
    syntax = syntax_of(0, 0, None)
    for number, p in enumerate(pictures):
        if not number:
            h, w = p.codes.shape[1:]
            if p.layer:
                raise CodesError("a video with motion begins with a key picture")
        if p.codes.shape[1:] != (h, w) or p.uses.shape != (2 * h, 2 * w) or len(p.vectors) != len(p.references):
            raise CodesError(f"picture {number} does not fit the first one")
        if any(x is not None and x.shape != (h, w) for x in (p.offsets, p.shapes)):
            raise CodesError(f"offsets or shapes of picture {number} are not of its {h} x {w} patches")
        tools = p.tools if not p.layer else tools
        _check_tools(p, number, tools)
        base, coded = b"", False
        if not p.layer:
            syntax = syntax_of(h, w, p.tools)
            if p.base is not None:
                write = pack_still if (p.tools or 0) & STILL else pack_rows
                base, coded = write(p.base, codec.n_q, codec.codebook_size, codec.tables)
        varied = p.offsets is not None
        offsets = np.zeros((h, w), np.int8) if p.offsets is None else p.offsets
        levels = from_codes(p.codes)
        picture = MotionPicture(p.layer, len(p.references), p.uses, p.vectors, levels, offsets, varied, p.shapes)
        references = tuple(r - p.shown for r in p.references)
        picture.shown, picture.sources = p.shown, references
        bits = b""
        if varied or (p.codes >= 0).any() or p.layer or not (p.tools or 0) & STILL:
            encoder = BitEncoder()
            syntax.code(encoder, picture, p.step)
            bits = encoder.finish()
        head = PictureHead(p.layer, p.step, p.shown - number, references, base, coded, p.parities, varied, p.tools)
        yield MotionPayload(head, bits)


def _check_tools(picture: PictureTokens, number: int, tools: int | None) -> None:
    """Refuse a picture that cannot be written with the tools of its key picture."""
    known = tools is None or (tools & MIXED and not tools & ~TOOLS)
    still = not picture.layer and bool((tools or 0) & STILL)
    if still and not (picture.base is not None and picture.base.details and picture.parities):
        raise CodesError(f"picture {number}: a still picture without a base, its detail or parities")
    if not still and picture.base is not None and picture.base.details:
        raise CodesError(f"picture {number}: detail of a base, without that tool")
    own = picture.tools if picture.layer else (None if tools is None else 0)
    if not known or (own is None) != (tools is None) or (own or 0) & ~FILTER:
        raise CodesError(f"picture {number}: tools that no video has, or others than those of its key picture")
    if picture.shapes is not None and picture.shapes.any() and not (tools or 0) & SHAPES:
        raise CodesError(f"picture {number}: luma of patches as one block, without that tool")


def _moving(stream: object) -> bool:
    return isinstance(getattr(stream, "codes", None), MotionRows)

"""Pictures of a video with motion, as encoder and decoder step through them: what both must know and do alike."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ..bitstream.motion_mixed import MixedSyntax, Syntax, shaped, syntax_of
from ..bitstream.motion_payload import MOST_KEPT, MotionPayload
from ..bitstream.motion_syntax import UNIT, MotionPicture
from ..bitstream.patch_payload import unpack_rows
from ..bitstream.still_payload import unpack_still
from ..entropy.adaptive_bits import BitDecoder
from ..entropy.code_tables import EntropyTables
from ..entropy.range_coder import check_end
from ..errors import FormatError
from ..vision.motion_enhance import copied_blocks, enhanced
from ..vision.motion_field import MotionField, compensate
from ..vision.motion_planes import Planes
from ..vision.motion_residual import MAX_STEP, add_residual
from .motion_base import KeyNetwork, base_planes, same_base

GREY = 128


@dataclass
class Decoded:
    """What is known at some place of a stream.

    Attributes:
        syntax: with contexts as they have adapted; None before the first key picture.
        kept: the latest pictures that others may be predicted from, by when they are shown.
        coded: pictures so far, those before the first included.
    """

    syntax: Syntax | None = None
    kept: dict[int, Planes] = field(default_factory=dict)
    coded: int = 0

    def copy(self) -> Decoded:
        """The same, to go on by itself."""
        return Decoded(None if self.syntax is None else self.syntax.copy(), dict(self.kept), self.coded)

    def keep(self, shown: int, planes: Planes, layer: int) -> None:
        """Note a picture that was decoded."""
        self.coded += 1
        if layer < 2:
            self.kept[shown] = planes
            while len(self.kept) > MOST_KEPT:
                del self.kept[min(self.kept)]


def grey(h: int, w: int) -> Planes:
    """A picture of h x w patches that shows nothing."""
    return Planes(*(np.full((h * n, w * n), GREY, np.uint8) for n in (16, 8, 8)))


def filtered(planes: Planes, step: int, picture: MotionPicture, strength: int) -> Planes:
    """A decoded picture, filtered as it is shown and predicted from."""
    if not strength:
        return planes
    copied = copied_blocks(picture.uses, picture.vectors, picture.levels, picture.shapes)
    return enhanced(planes, step, UNIT * picture.offsets.astype(int), picture.layer, copied, strength)


class PictureDecoder:
    """Decodes pictures one after the other from a key picture on.

    Args:
        network: the model that made the bases of key pictures.
        height, width: of the pictures.
        levels: that patches of a base may have.
        tables: entropy tables of the model, if it has any.
    """

    def __init__(self, network: KeyNetwork, height: int, width: int, levels: int, tables: EntropyTables | None):
        self.network, self.height, self.width = network, height, width
        self.levels, self.tables = levels, tables
        self.h, self.w = network.grid(height, width)
        self.state = Decoded()

    def decode(self, payload: MotionPayload) -> tuple[int, Planes]:
        """When a picture is shown, and what it shows.

        Raises:
            FormatError: if it is not in order, or if what it is predicted from is not there.
        """
        head, state = payload.head, self.state
        if head.step > MAX_STEP:
            raise FormatError(f"a step of {head.step}")
        shown = state.coded + head.later
        if payload.key:
            state.syntax, state.kept = syntax_of(self.h, self.w, head.tools), {}
            references, prediction = [], self._base(payload)
        else:
            known = state.syntax is not None and isinstance(state.syntax, MixedSyntax) == (head.tools is not None)
            if not known or any(shown + n not in state.kept for n in head.references):
                raise FormatError(f"picture {shown} is predicted from one that is not there")
            references, prediction = [state.kept[shown + n] for n in head.references], None
        assert state.syntax is not None
        picture = MotionPicture.empty(head.layer, len(references), self.h, self.w, head.varied, shaped(state.syntax))
        picture.shown, picture.sources = shown, head.references
        if not payload.bare:
            decoder = BitDecoder(payload.bits)
            state.syntax.code(decoder, picture, head.step)
            check_end(decoder)
        if prediction is None:
            prediction = compensate([r.reference for r in references], MotionField(picture.uses, picture.vectors))
        if not payload.bare:
            offsets = UNIT * picture.offsets.astype(int)
            prediction = add_residual(prediction, picture.levels, head.step, offsets, picture.shapes)
        planes = filtered(prediction, head.step, picture, head.strength)
        state.keep(shown, planes, head.layer)
        return shown, planes

    def _base(self, payload: MotionPayload) -> Planes:
        if not payload.head.base:
            return grey(self.h, self.w)
        coded = payload.head.coded
        if coded and self.tables is None:
            raise FormatError("a base that is range coded, by a model without tables")
        if payload.head.still and self.network.detail is None:
            raise FormatError("a detail layer where there can be none")
        size, unpack = self.network.codebook_size, unpack_still if payload.head.still else unpack_rows
        rows = unpack(payload.head.base, self.h, self.w, self.levels, size, coded, self.tables)
        if (rows.codes >= size).any():
            raise FormatError("a code that the codebook does not have")
        if payload.head.parities:
            return same_base(self.network, rows, self.height, self.width, payload.head.parities)
        return base_planes(self.network, rows, self.height, self.width)

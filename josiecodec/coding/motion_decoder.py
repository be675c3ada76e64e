"""From blocks of a video with motion to pictures in the order in which they are shown."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction

import numpy as np

from ..bitstream.container import MAX_PAYLOAD, Block
from ..bitstream.header import VisionInfo
from ..bitstream.motion_payload import MAX_AWAY, MotionPayload, MotionRows
from ..entropy.code_tables import EntropyTables
from ..errors import CodesError, FormatError
from ..vision.motion_planes import Planes, to_rgb
from .motion_base import KeyNetwork
from .motion_pictures import PictureDecoder, grey

GAP_PER_BYTE = 16  # pictures that may be missing for each byte that is there
MAX_GAP_SECONDS = 600  # filled in at a stretch


class MotionDecoder:
    """Turns the blocks of a stream, one after the other, into pictures, float32 [3, H, W].

    Args:
        network: the model that made them.
        info: header of the stream.
        tables: entropy tables of the model, if it has any.
        salvage: what is missing shows the picture before, up to the next key picture; else it is an error.
        start: the first picture wanted; those before it are decoded from the last key picture before it on, if the
            blocks given begin there, and not shown.
    """

    def __init__(
        self,
        network: KeyNetwork,
        info: VisionInfo,
        tables: EntropyTables | None = None,
        salvage: bool = False,
        start: int = 0,
    ):
        self.network, self.info, self.salvage = network, info, salvage
        self.decoder = PictureDecoder(network, info.height, info.width, info.levels, tables)
        self.start = start
        self.shown = start  # pictures
        self.lost = 0  # pictures that could not be decoded
        self._bytes = 0  # of blocks so far
        self._ready: dict[int, Planes] = {}  # decoded, to be shown later
        self._last: Planes | None = None
        self._broken = True  # until a key picture comes

    def push(self, block: Block) -> Iterator[np.ndarray]:
        """The pictures that a block completes.

        Raises:
            FormatError: if it does not follow on the last one, or is not in order.
        """
        if not isinstance(block.codes, MotionRows):
            raise FormatError("frame groups without motion in a video with motion")
        self._bytes += block.size or MAX_PAYLOAD  # of one that was not read, nothing is known
        first = block.first // self.info.rows
        if block.first % self.info.rows:
            raise FormatError(f"a block that begins at row {block.first}, within a picture")
        state = self.decoder.state
        if first != state.coded:
            if not self.salvage and self.shown == self.start and self._broken:
                state.coded = first  # entered in the middle
            elif not self.salvage:
                raise FormatError(f"picture {state.coded} is missing")
            elif not self._may_follow(first):
                return  # a block out of place cannot be trusted
            else:
                state.coded, self._broken = first, True
        for payload in block.codes.pictures:
            yield from self._decode(payload)

    def finish(self) -> Iterator[np.ndarray]:
        """What is left when there are no more blocks.

        Raises:
            FormatError: if pictures are missing.
        """
        if self._ready:
            yield from self._show(max(self._ready) + 1, True)
        if self.info.length is not None and self.shown < self.info.length and not self.salvage:
            raise FormatError(f"the file holds {self.shown} of {self.info.length} pictures")

    def _may_follow(self, first: int) -> bool:
        """Whether a picture may come next when some are lost."""
        coded, length = self.decoder.state.coded, self.info.length
        known = max(coded, self.start) if self._broken and self.shown == self.start else coded
        gap = min(self.info.rate * MAX_GAP_SECONDS, Fraction(GAP_PER_BYTE * self._bytes))
        return coded <= first <= known + gap and (length is None or first < length)

    def _decode(self, payload: MotionPayload) -> Iterator[np.ndarray]:
        state = self.decoder.state
        if payload.key:
            yield from self._show(state.coded, True)  # nothing before it comes any more
        elif self._broken and self.salvage:
            state.coded, self.lost = state.coded + 1, self.lost + 1
            return
        coded = state.coded
        try:
            shown, planes = self.decoder.decode(payload)
            if shown < 0 or (self.info.length is not None and shown >= self.info.length):
                raise FormatError(f"picture {shown} of {self.info.length}")
            if abs(shown - coded) > MAX_AWAY or shown in self._ready or (shown < self.shown and shown >= self.start):
                raise FormatError(f"picture {shown} twice")
        except FormatError:
            if not self.salvage:
                raise
            state.coded, self._broken, self.lost = coded + 1, True, self.lost + 1
            return
        self._broken = False
        if shown >= self.start:
            self._ready[shown] = replace(planes)  # without what `planes.reference` keeps, which is 16 times as large
        yield from self._show(min(self._ready) if len(self._ready) > MAX_AWAY else 0, True)

    def _show(self, until: int, fill: bool) -> Iterator[np.ndarray]:
        """Pictures whose turn it is; those missing before `until` show the one before, if they may be missing."""
        while self.shown in self._ready or (fill and self.shown < until):
            planes = self._ready.pop(self.shown, None)
            if planes is None and not self.salvage:
                raise FormatError(f"picture {self.shown} is missing")
            self._last = planes or self._last or grey(self.decoder.h, self.decoder.w)
            self.shown += 1
            yield to_rgb(self._last, self.info.height, self.info.width)


def no_levels_left_out(n_q: int | None, levels: int) -> None:
    """Refuse to decode a video with motion with fewer levels.

    Raises:
        CodesError: if that is asked for.
    """
    if n_q is not None and n_q < levels:
        raise CodesError("levels of a video with motion cannot be left out: what is predicted needs them")

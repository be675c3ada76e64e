"""From pictures to rows of patches in a file, and back, group by group.

`GroupWriter` takes pictures as they come and gives the rows of a window of groups at a time, so that a budget can be
kept; `GroupDecoder` takes rows as they come and gives pictures. What is predicted from what goes on from window to
window, so there are no seams in time.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ..bitstream.container import Block, TokenWriter
from ..bitstream.header import VisionInfo, find_stream
from ..bitstream.josie_file import TokenFile
from ..bitstream.patch_payload import PatchRows
from ..errors import CodesError, FormatError
from ..nn.streaming import State
from ..settings import Rate
from ..vision.grouping import from_groups, padded, to_groups
from .rate_control import RowCoder
from .rdo import Group, restore

if TYPE_CHECKING:
    from .jovio import Jovio

WINDOW = 64  # groups that share a budget
AT_ONCE = 1 << 20  # pixels of all the groups that go through a network together
END_BYTES = 24  # an end record, about
LONGEST_GAP = 600  # seconds that are filled in at a stretch
SKIPPED = 1  # a mode with a prediction


class GroupWriter:
    """Codes pictures for a file.

    Args:
        model: the codec.
        rate: what they may take.
        size: height and width of the pictures.
        pictures_per_second: 0 for a still picture.
        overhead: bits that the rest of the file takes, out of the same budget.
        most: levels that a patch may have; None for those of `rate`, or all of the model's.
        predict: whether patches may be coded from the group before.
    """

    def __init__(
        self,
        model: Jovio,
        rate: Rate,
        size: tuple[int, int],
        pictures_per_second: Fraction,
        overhead: float = 0.0,
        most: int | None = None,
        predict: bool = True,
    ):
        self.model, self.rate, self.size = model, rate, size
        self.per_second = pictures_per_second
        most = rate.n_q if most is None else most
        self.levels = model.n_q if most is None else model.levels(most)
        self.overhead = overhead
        self.coder = RowCoder(model, self.levels, predict)
        self.taken = 0  # pictures
        self._state = State()
        self._waiting: list[Tensor] = []  # pictures of no group yet
        self._groups: list[Tensor] = []  # [1, 1, 6, H, W], not encoded yet
        self._latents: list[Tensor] = []  # [h, w, D] of this window
        self._pictures = 0  # of this window

    def add(self, picture: Tensor) -> list[PatchRows]:
        """Take a picture [3, H, W]; give the rows of the groups that are done, if any."""
        self._waiting.append(picture.to(self.model.device))
        first = not self.taken
        self.taken += 1
        self._pictures += 1
        if first or len(self._waiting) == self.model.config.group:
            self._gather(first)
        return self._window() if self.waiting >= WINDOW else []

    @property
    def waiting(self) -> int:
        """Groups of the window that has begun."""
        return len(self._latents) + len(self._groups)

    def finish(self) -> list[PatchRows]:
        """The rows of what is left."""
        if self._waiting:
            self._gather(False)
        return self._window()

    def _gather(self, first: bool) -> None:
        """Make a group of the pictures that wait; encode groups once there are enough for a batch."""
        video = torch.stack(self._waiting, 1) if len(self._waiting) > 1 else self._waiting[0].unsqueeze(1)
        self._waiting = []
        self._groups.append(to_groups(padded(video[None], self.model.patch), self.model.config.group, first))
        if len(self._groups) * self.size[0] * self.size[1] >= AT_ONCE:
            self._encode()

    @torch.no_grad()
    def _encode(self) -> None:
        if self._groups:
            groups = torch.cat(self._groups, 1) if len(self._groups) > 1 else self._groups[0]
            self._groups = []
            self._latents += list(self.model.latent(groups, self._state)[0])

    def _window(self) -> list[PatchRows]:
        self._encode()
        latents, self._latents = self._latents, []
        seconds = float(self._pictures / self.per_second) if self.per_second else 0.0
        bits = self.rate.bits(self.size[0] * self.size[1], self._pictures, seconds)
        self._pictures = 0
        if not latents:
            return []
        if self.rate.n_q is not None:
            groups = self.coder.uniform(latents, self.levels)
        elif bits is None:
            groups = self.coder.weighted(latents, self.rate.rd_lambda or self.model.settings.rd_lambda)
        else:
            groups = self.coder.within(latents, bits - self.overhead)
            self.overhead = 0.0
        return [g.rows for g in groups]


class GroupDecoder:
    """Turns the blocks of a stream of pictures, one after the other, into pictures [3, H, W].

    Args:
        model: the codec that made them.
        info: header of the stream.
        n_q: use at most so many levels.
        salvage: patches that are missing are predicted; else they are an error.
    """

    def __init__(self, model: Jovio, info: VisionInfo, n_q: int | None = None, salvage: bool = False):
        if n_q is not None and n_q < 1:
            raise CodesError(f"at least one level must be used, not {n_q}")
        self.model, self.info, self.salvage = model, info, salvage
        self.n_q = None if n_q is None or n_q >= info.levels else n_q
        self.shown = 0  # pictures
        self.reached = 0  # rows
        self._rows: list[PatchRows] = []  # of the group that is not complete yet
        self._groups: list[Group] = []  # not through the network yet
        self._before: Group | None = None
        self._state = State()
        self._begun = False

    def push(self, block: Block) -> Iterator[Tensor]:
        """The pictures that a block completes.

        Raises:
            FormatError: if it does not follow on the last one.
        """
        assert isinstance(block.codes, PatchRows)
        if block.first != self.reached:
            if not self.salvage:
                raise FormatError(f"row {self.reached} of patches is missing")
            most = self.info.total_rows
            gap = block.first - self.reached
            if gap < 0 or gap > self._longest_gap() or (most is not None and block.first + block.units > most):
                return  # a block out of place cannot be trusted
            while self.reached < block.first:
                yield from self._take(self._missing(min(block.first - self.reached, self.info.rows)))
        yield from self._take(block.codes)

    def finish(self) -> Iterator[Tensor]:
        """What is left when there are no more blocks.

        Raises:
            FormatError: if pictures are missing.
        """
        have = sum(len(r.counts) for r in self._rows)
        if have and self.salvage:
            yield from self._take(self._missing(self.info.rows - have))
        yield from self._synthesize()
        if self.info.length is not None and self.shown < self.info.length and not self.salvage:
            raise FormatError(f"the file holds {self.shown} of {self.info.length} pictures")

    def _longest_gap(self) -> int:
        """Rows that may be missing at a stretch: ten minutes of them."""
        groups = -(-self.info.rate * LONGEST_GAP // self.info.group) if self.info.rate else 1
        return int(groups) * self.info.rows

    def _missing(self, rows: int) -> PatchRows:
        maps = np.zeros((rows, self.info.columns), np.uint8)
        return PatchRows(maps + np.uint8(SKIPPED), maps, np.zeros(0, np.uint16))

    def _take(self, rows: PatchRows) -> Iterator[Tensor]:
        """Put rows to those that wait, and complete groups."""
        self.reached += len(rows.counts)
        self._rows.append(rows)
        if sum(len(r.counts) for r in self._rows) < self.info.rows:
            return
        pieces = PatchRows.joined(self._rows, self.info.columns).split(self.info.rows)
        self._rows = [] if len(pieces[-1].counts) == self.info.rows else [pieces.pop()]
        for piece in pieces:
            self._before = restore(self.model, piece if self.n_q is None else piece.trimmed(self.n_q), self._before)
            self._groups.append(self._before)
            if len(self._groups) * self.info.width * self.info.height >= AT_ONCE:
                yield from self._synthesize()

    @torch.no_grad()
    def _synthesize(self) -> Iterator[Tensor]:
        if not self._groups:
            return
        latents = torch.stack([g.latent for g in self._groups])[None]
        fidelity = torch.stack([g.fidelity for g in self._groups])[None]
        first, size, count = not self._begun, self.model.config.group, len(self._groups)
        pictures = count * size - (size - 1 if first else 0)
        self._groups, self._begun = [], True
        x = from_groups(self.model.synthesize(latents, fidelity, self._state), size, pictures, first)
        x = x[0, :, :, : self.info.height, : self.info.width].clamp(0, 1)
        for picture in x.unbind(1):
            if self.info.length is None or self.shown < self.info.length:
                self.shown += 1
                yield picture


def compress(model: Jovio, video: Tensor, rate: Rate, pictures_per_second: Fraction) -> bytes:
    """A video [1, 3, T, H, W] as the bytes of a file. See `Jovio.compress`."""
    out = io.BytesIO()
    size = (video.shape[-2], video.shape[-1])
    coder = GroupWriter(model, rate, size, pictures_per_second)
    info = model.stream_info(size, coder.levels, video.shape[2], pictures_per_second)
    writer = TokenWriter(out, [info], model.known_tables)
    coder.overhead = 8 * (writer.size + END_BYTES)
    for picture in video[0].unbind(1):
        for rows in coder.add(picture):
            writer.add_rows(0, rows)
    for rows in coder.finish():
        writer.add_rows(0, rows)
    writer.close([video.shape[2]])
    return out.getvalue()


def decompress(model: Jovio, data: bytes, n_q: int | None = None) -> Tensor:
    """The bytes of a file as a picture [3, H, W] or a video [3, T, H, W]. See `Jovio.decompress`."""
    file = TokenFile.from_bytes(data, tables=model.known_tables)
    stream = file.streams[find_stream([s.info for s in file.streams], "vision")]
    info, rows = model.check_stream(stream.info), stream.codes
    assert isinstance(rows, PatchRows)
    decoder = GroupDecoder(model, info, n_q)
    pictures = [*decoder.push(Block(0, 0, stream.units, rows)), *decoder.finish()]
    if not pictures:
        return torch.zeros(3, 0, info.height, info.width)
    return torch.stack(pictures, 1) if info.rate else pictures[0]

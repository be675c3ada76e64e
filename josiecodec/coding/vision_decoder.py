"""From rows of patches to pictures, frame group by frame group.

What is predicted goes on from block to block, so there are no seams in time. Nothing of the encoder is needed here.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import numpy as np
import torch
from torch import Tensor

from ..bitstream.container import MAX_PAYLOAD, Block
from ..bitstream.header import VisionInfo
from ..bitstream.patch_payload import PatchRows
from ..errors import CodesError, FormatError
from ..nn.streaming import State
from ..vision.grouping import from_groups
from ..vision.network import JovioNetwork
from .reconstruct import Group, reconstruct
from .still_decoder import LARGE, still_pixels
from .tensor_base import TensorBase

__all__ = ["LARGE", "GroupDecoder"]
BATCH_PIXELS = 1 << 20  # pixels of all the groups that go through the network together
GAP_PER_BYTE = 16  # pictures that may be missing for each byte that is there
MAX_GAP_SECONDS = 600  # filled in at a stretch
SKIPPED = 1  # a predicted mode; without levels such a patch is its prediction


class GroupDecoder:
    """Turns the blocks of a vision stream, one after the other, into pictures [3, H, W].

    Args:
        network: the model that made them.
        info: header of the stream.
        n_q: use at most so many levels.
        salvage: patches that are missing are predicted; else they are an error.

    Attributes:
        as_bytes: whether large still pictures, of more than `LARGE` patches, come out as bytes, in less memory.
    """

    def __init__(self, network: JovioNetwork, info: VisionInfo, n_q: int | None = None, salvage: bool = False):
        if n_q is not None and n_q < 1:
            raise CodesError(f"at least one level must be used, not {n_q}")
        if info.group != network.config.group:
            raise FormatError(f"frame groups of {info.group} pictures, by a model of groups of {network.config.group}")
        self.network, self.info, self.salvage = network, info, salvage
        self.n_q = None if n_q is None or n_q >= info.levels else n_q
        self.as_bytes = False
        self.shown = 0  # pictures
        self.reached = 0  # rows
        self._bytes = 0  # of blocks so far
        self._rows: list[PatchRows] = []  # of the group that is not complete yet
        self._groups: list[Group] = []  # not through the network yet
        self._reference: Group | None = None
        self._state = State()
        self._begun = False

    def push(self, block: Block) -> Iterator[Tensor]:
        """The pictures that a block completes.

        Raises:
            FormatError: if it does not follow on the last one.
        """
        if not isinstance(block.codes, PatchRows):
            raise FormatError("a picture with motion among frame groups without")
        self._bytes += block.size or MAX_PAYLOAD  # of one that was not read, nothing is known
        if block.first != self.reached:
            if not self.salvage:
                raise FormatError(f"row {self.reached} of patches is missing")
            total = self.info.total_rows
            gap = block.first - self.reached
            if gap < 0 or gap > self._max_gap() or (total is not None and block.first + block.units > total):
                return  # a block out of place cannot be trusted
            while self.reached < block.first:
                yield from self._take(self._missing(min(block.first - self.reached, self.info.rows)))
        if block.codes.details and (self.info.rate or self.network.detail is None):
            raise FormatError("a detail layer where there can be none")
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

    def _max_gap(self) -> int:
        """Rows that may be missing at a stretch: a few bytes are not believed to follow on many pictures."""
        if not self.info.rate:
            return self.info.rows
        pictures = min(self.info.rate * MAX_GAP_SECONDS, Fraction(GAP_PER_BYTE * self._bytes))
        return int(-(-pictures // self.info.group)) * self.info.rows

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
            rows = piece if self.n_q is None else piece.trimmed(self.n_q)
            self._reference = reconstruct(self.network, rows, self._reference)
            self._groups.append(self._reference)
            if len(self._groups) * self.info.width * self.info.height >= BATCH_PIXELS:
                yield from self._synthesize()

    @torch.no_grad()
    def _synthesize(self) -> Iterator[Tensor]:
        if not self._groups:
            return
        groups, self._groups = self._groups, []
        if not self.info.rate and not self._begun:
            yield self._still(groups[0])
            return
        latents = torch.stack([g.latent for g in groups])[None]
        levels = torch.stack([g.effective_levels for g in groups])[None]
        first, size = not self._begun, self.network.config.group
        pictures = len(groups) * size - (size - 1 if first else 0)
        self._begun = True
        x = from_groups(self.network.synthesize(latents, levels, self._state), size, pictures, first)
        x = x[0, :, :, : self.info.height, : self.info.width].clamp(0, 1)
        for picture in x.unbind(1):
            if self.info.length is None or self.shown < self.info.length:
                self.shown += 1
                yield picture

    def _still(self, group: Group) -> Tensor:
        """The picture of a group by itself, with its detail if it has any."""
        self._begun, self.shown = True, self.shown + 1
        pixels = still_pixels(TensorBase(self.network), group.rows, self.info, self.as_bytes)
        return torch.from_numpy(pixels).to(self.network.device)

"""From pictures to rows of patches at a wanted rate, frame group by frame group.

Pictures are taken as they come, and the rows of a window of groups are given at a time, so that a budget can be kept.
What is predicted from what goes on from window to window, so there are no seams in time.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import torch
from torch import Tensor

from ..bitstream.patch_payload import PatchRows
from ..entropy.code_tables import EntropyTables
from ..nn.streaming import State
from ..settings import EncoderSettings, Rate
from ..vision.grouping import padded, to_groups
from ..vision.network import JovioNetwork
from .rate_control import RowEncoder
from .vision_writer import END_BYTES, PictureEncoder, put, write_pictures

__all__ = ["END_BYTES", "GroupEncoder", "PictureEncoder", "put", "write_pictures"]

WINDOW = 64  # groups that share a budget
BATCH_PIXELS = 1 << 20  # pixels of all the groups that go through the network together


class GroupEncoder:
    """Encodes pictures for a file.

    Args:
        network: the model.
        rate: what they may take, see `settings.fitting_rate`.
        size: height and width of the pictures.
        pictures_per_second: 0 for a still picture.
        settings: of the encoder; None for those of the network.
        tables: entropy tables that the file will be written with, if the model has any.
        overhead: bits that the rest of the file takes, out of the same budget.
        max_levels: levels that a patch may have; None for those of `rate`, or all of the model's.
        predict: whether patches may be coded from the group before.
    """

    def __init__(
        self,
        network: JovioNetwork,
        rate: Rate,
        size: tuple[int, int],
        pictures_per_second: Fraction,
        *,
        settings: EncoderSettings | None = None,
        tables: EntropyTables | None = None,
        overhead: float = 0.0,
        max_levels: int | None = None,
        predict: bool = True,
    ):
        self.network, self.rate, self.size = network, rate, size
        self.settings = settings or network.settings
        self.per_second = pictures_per_second
        max_levels = rate.n_q if max_levels is None else max_levels
        self.levels = network.n_q if max_levels is None else network.levels(max_levels)
        self.overhead = overhead
        self.rows = RowEncoder(network, self.settings, tables, self.levels, predict)
        self.taken = 0  # pictures
        self.group = network.config.group
        self._state = State()
        self._waiting: list[Tensor] = []  # pictures of no group yet
        self._groups: list[Tensor] = []  # [1, 1, 6, H, W], not encoded yet
        self._latents: list[Tensor] = []  # [h, w, D] of this window
        self._pictures = 0  # of this window

    def add(self, picture: Tensor | np.ndarray) -> list[PatchRows]:
        """Take a picture [3, H, W] in [0, 1]; give the rows of the groups that are done, if any."""
        self._waiting.append(torch.as_tensor(picture).to(self.network.device))
        first = not self.taken
        self.taken += 1
        self._pictures += 1
        if first or len(self._waiting) == self.network.config.group:
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
        self._groups.append(to_groups(padded(video[None], self.network.patch), self.network.config.group, first))
        if len(self._groups) * self.size[0] * self.size[1] >= BATCH_PIXELS:
            self._encode()

    @torch.no_grad()
    def _encode(self) -> None:
        if self._groups:
            groups = torch.cat(self._groups, 1) if len(self._groups) > 1 else self._groups[0]
            self._groups = []
            self._latents += list(self.network.latent(groups, self._state)[0])

    def _window(self) -> list[PatchRows]:
        self._encode()
        latents, self._latents = self._latents, []
        seconds = float(self._pictures / self.per_second) if self.per_second else 0.0
        bits = self.rate.bits(self.size[0] * self.size[1], self._pictures, seconds)
        self._pictures = 0
        if not latents:
            return []
        if self.rate.n_q is not None:
            groups = self.rows.uniform(latents, self.levels)
        elif bits is None:
            groups = self.rows.with_lambda(latents, self.rate.rd_lambda or self.settings.rd_lambda)
        else:
            groups = self.rows.within(latents, bits - self.overhead)
            self.overhead = 0.0
        return [g.rows for g in groups]

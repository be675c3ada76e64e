"""From rows of patches to a still picture, whatever runs the networks."""

from __future__ import annotations

import numpy as np

from ..bitstream.container import Block
from ..bitstream.header import VisionInfo
from ..bitstream.patch_payload import PatchRows
from ..errors import CodesError, FormatError
from .detail_decoder import covered, in_grey, screens_of, with_detail
from .large_picture import decoded_rows
from .picture_network import DecodingNetwork
from .result import Progress, no_progress

READ_SHARE = 0.1  # of all work, about: reading codes
LARGE = 1 << 14  # patches above which a still picture with detail is decoded part by part


class StillDecoder:
    """Puts the blocks of a still picture together.

    Args:
        network: of the model that made it.
        info: header of the stream.
        n_q: use at most so many levels.
        salvage: patches that are missing have no levels; else they are an error.
        as_bytes: whether large pictures, of more than `LARGE` patches, come out as bytes, in less memory.
    """

    def __init__(
        self,
        network: DecodingNetwork,
        info: VisionInfo,
        n_q: int | None = None,
        salvage: bool = False,
        as_bytes: bool = False,
    ):
        if n_q is not None and n_q < 1:
            raise CodesError(f"at least one level must be used, not {n_q}")
        self.network, self.info, self.salvage, self.as_bytes = network, info, salvage, as_bytes
        self.n_q = None if n_q is None or n_q >= info.levels else n_q
        self.progress: Progress = no_progress  # told of large pictures
        self._rows: list[PatchRows] = []
        self.reached = 0  # rows of patches

    @property
    def whole(self) -> bool:
        """Whether all rows are there."""
        return self.reached >= self.info.rows

    def push(self, block: Block) -> None:
        """Take a block.

        Raises:
            FormatError: if it does not follow on the last one.
        """
        if not isinstance(block.codes, PatchRows):
            raise FormatError("a picture with motion among frame groups without")
        if block.first != self.reached:
            if not self.salvage:
                raise FormatError(f"row {self.reached} of patches is missing")
            if block.first < self.reached or block.first + block.units > self.info.rows:
                return  # a block out of place cannot be trusted
            self._miss(block.first)
        if block.codes.details and self.network.detail is None:
            raise FormatError("a detail layer where there can be none")
        self._rows.append(block.codes)
        self.reached += len(block.codes.counts)

    def finish(self) -> np.ndarray:
        """The picture [3, H, W] in [0, 1], or its bytes.

        Raises:
            FormatError: if rows are missing.
        """
        if not self.whole:
            if not self.salvage:
                raise FormatError(f"the file holds 0 of {self.info.length or 1} pictures")
            if not self._rows:
                raise FormatError("no whole picture in this file")
            self._miss(self.info.rows)
        rows = PatchRows.joined(self._rows, self.info.columns)
        rows = rows.split(self.info.rows)[0]
        return self.drawn(rows if self.n_q is None else rows.trimmed(self.n_q))

    def drawn(self, rows: PatchRows) -> np.ndarray:
        """What rows look like."""
        return still_pixels(self.network, rows, self.info, self.as_bytes, self.progress)

    def _miss(self, row: int) -> None:
        """Fill up to a row of patches."""
        maps = np.zeros((row - self.reached, self.info.columns), np.uint8)
        self._rows.append(PatchRows(maps, maps, np.zeros(0, np.uint16)))
        self.reached = row


def still_pixels(
    network: DecodingNetwork,
    rows: PatchRows,
    info: VisionInfo,
    as_bytes: bool = False,
    progress: Progress = no_progress,
) -> np.ndarray:
    """The picture [3, H, W] of rows, in [0, 1]; a large one in bytes, if `as_bytes`, with word of the share done.

    Raises:
        FormatError: if its detail is not in order.
    """
    if rows.details and rows.counts.size > LARGE and network.is_convolutional:
        return _large(network, rows, info, as_bytes, progress)
    screens = screens_of(rows, network.patch)
    if covered(rows, screens):  # nothing of the base is seen
        height, width = (n * network.patch for n in rows.counts.shape)
        x = np.zeros((1, 3, height, width), np.float32)
    else:
        x = network.base(rows)
    if rows.details:
        x = with_detail(network, x, rows, screens, info.grey)
    x = in_grey(x) if info.grey else x
    return x[0, :, : info.height, : info.width].clip(0, 1)


def _large(
    network: DecodingNetwork, rows: PatchRows, info: VisionInfo, as_bytes: bool, progress: Progress
) -> np.ndarray:
    """The same, part by part."""
    height, width, patch = info.height, info.width, network.patch
    out = np.empty((3, height, width), np.uint8 if as_bytes else np.float32)
    for first, pixels in decoded_rows(network, rows, info.grey):
        here = out[:, first * patch : first * patch + pixels.shape[1]]
        pixels = pixels[:, : here.shape[1], :width]
        here[...] = np.rint(pixels * np.float32(255)) if as_bytes else pixels
        progress(READ_SHARE + (1 - READ_SHARE) * min(first * patch + pixels.shape[1], height) / height)
    return out

"""Pictures with alpha: what colours are coded where nothing is seen, and alpha from the blocks of a file."""

from __future__ import annotations

import numpy as np

from ..bitstream.container import Block
from ..bitstream.header import AlphaInfo
from ..errors import FormatError

OPAQUE = 255
NOTHING = 0.5  # colour of a picture of which nothing is seen


def with_smooth_colors(rgb: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Colours [3, H, W] with those that are not seen replaced by what continues the others smoothly, and so costs
    next to no bits: means of ever larger squares (pull and push, Gortler et al. 1996).

    Args:
        rgb: float32 [3, H, W].
        alpha: uint8 [H, W].
    """
    seen = (alpha > 0).astype(np.float32)
    if seen.all():
        return rgb
    if not seen.any():
        return np.full_like(rgb, NOTHING)
    return _filled(rgb, seen)


def _filled(colors: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Colours [3, h, w] where they are seen [h, w], and beside those what a picture of half the size has."""
    if seen.all():
        return colors
    share = _halved(seen)
    mean = _halved(colors * seen) / np.maximum(share, np.float32(1e-6))
    coarse = _filled(mean, (share > 0).astype(np.float32))
    wide = _doubled(_doubled(coarse, -1), -2)[..., : seen.shape[0], : seen.shape[1]]
    return np.where(seen > 0, colors, wide)


def _halved(x: np.ndarray) -> np.ndarray:
    """Means over squares of two by two of [..., h, w], of fewer at odd edges."""
    for axis in (-1, -2):
        size = x.shape[axis]
        first, second = _cut(x, axis, slice(0, None, 2)), _cut(x, axis, slice(1, None, 2))
        sums = first.copy()
        _cut(sums, axis, slice(0, size // 2))[...] = (_cut(first, axis, slice(0, size // 2)) + second) / 2
        x = sums
    return x


def _doubled(x: np.ndarray, axis: int) -> np.ndarray:
    """Twice as many by linear interpolation."""
    before = np.concatenate([_cut(x, axis, slice(0, 1)), _cut(x, axis, slice(0, -1))], axis)
    after = np.concatenate([_cut(x, axis, slice(1, None)), _cut(x, axis, slice(-1, None))], axis)
    shape = list(x.shape)
    shape[axis] *= 2
    out = np.empty(shape, x.dtype)
    _cut(out, axis, slice(0, None, 2))[...] = 0.25 * before + 0.75 * x
    _cut(out, axis, slice(1, None, 2))[...] = 0.75 * x + 0.25 * after
    return out


def _cut(x: np.ndarray, axis: int, part: slice) -> np.ndarray:
    """A part along the last axis, or the one before it."""
    return x[..., part] if axis == -1 else x[..., part, :]


class AlphaDecoder:
    """Puts the blocks of a stream of alpha together.

    Args:
        info: its header.
        salvage: rows that are missing are opaque, and noted in `problems`; else they are an error.
    """

    def __init__(self, info: AlphaInfo, salvage: bool = False):
        self.info, self.salvage = info, salvage
        self.problems: list[str] = []
        self._parts: list[np.ndarray] = []
        self.reached = 0  # rows of pixels

    @property
    def whole(self) -> bool:
        """Whether all rows are there."""
        return self.reached >= self.info.height

    def push(self, block: Block) -> None:
        """Take a block.

        Raises:
            FormatError: if it does not follow on the last one, or goes beyond the picture.
        """
        fits = self.reached <= block.first and block.first + block.units <= self.info.height
        if not fits or (block.first != self.reached and not self.salvage):
            if self.salvage:
                return
            raise FormatError(f"row {self.reached} of alpha is missing")
        self._miss(block.first)
        self._parts.append(np.asarray(block.codes))
        self.reached = block.first + block.units

    def finish(self) -> np.ndarray:
        """Alpha, uint8 [H, W].

        Raises:
            FormatError: if rows are missing.
        """
        if not self.whole and not self.salvage:
            raise FormatError(f"the file holds {self.reached} of {self.info.height} rows of alpha")
        self._miss(self.info.height)
        return np.concatenate(self._parts)

    def _miss(self, row: int) -> None:
        """Fill up to a row."""
        if row > self.reached:
            self.problems.append(f"rows {self.reached} to {row - 1} of alpha are missing, and opaque now")
            self._parts.append(np.full((row - self.reached, self.info.width), OPAQUE, np.uint8))
            self.reached = row

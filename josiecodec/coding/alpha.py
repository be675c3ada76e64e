"""Pictures with alpha: what colours are coded where nothing is seen, and alpha from the blocks of a file."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from ..bitstream.container import Block
from ..bitstream.header import AlphaInfo
from ..errors import FormatError

OPAQUE = 255
NOTHING = 0.5  # colour of a picture of which nothing is seen


def with_smooth_colors(rgb: Tensor, alpha: Tensor) -> Tensor:
    """Colours [3, H, W] with those that are not seen replaced by what continues the others smoothly, and so costs
    next to no bits: means of ever larger squares (pull and push, Gortler et al. 1996).

    Args:
        rgb: float [3, H, W].
        alpha: uint8 [H, W].
    """
    seen = (alpha > 0).to(rgb.dtype)[None, None]
    if bool(seen.all()):
        return rgb
    if not bool(seen.any()):
        return torch.full_like(rgb, NOTHING)
    return _filled(rgb[None], seen)[0]


def _filled(colors: Tensor, seen: Tensor) -> Tensor:
    """Colours [1, 3, h, w] where they are seen, and beside those what a picture of half the size has."""
    height, width = seen.shape[-2:]
    if bool(seen.all()):
        return colors
    share = F.avg_pool2d(seen, 2, ceil_mode=True)
    mean = F.avg_pool2d(colors * seen, 2, ceil_mode=True) / share.clamp_min(1e-6)
    coarse = _filled(mean, (share > 0).to(share.dtype))
    wide = F.interpolate(coarse, scale_factor=2, mode="bilinear", align_corners=False)[..., :height, :width]
    return torch.where(seen > 0, colors, wide)


class AlphaDecoder:
    """Puts the blocks of a stream of alpha together.

    Args:
        info: its header.
        salvage: rows that are missing are opaque, and noted in `problems`; else they are an error.
    """

    def __init__(self, info: AlphaInfo, salvage: bool = False):
        self.info, self.salvage = info, salvage
        self.problems: list[str] = []
        self._parts: list[Tensor] = []
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
        self._parts.append(torch.as_tensor(block.codes))
        self.reached = block.first + block.units

    def finish(self) -> Tensor:
        """Alpha, uint8 [H, W].

        Raises:
            FormatError: if rows are missing.
        """
        if not self.whole and not self.salvage:
            raise FormatError(f"the file holds {self.reached} of {self.info.height} rows of alpha")
        self._miss(self.info.height)
        return torch.cat(self._parts)

    def _miss(self, row: int) -> None:
        """Fill up to a row."""
        if row > self.reached:
            self.problems.append(f"rows {self.reached} to {row - 1} of alpha are missing, and opaque now")
            self._parts.append(torch.full((row - self.reached, self.info.width), OPAQUE, dtype=torch.uint8))
            self.reached = row

"""Small versions of pictures, decoded from their base alone: the detail layer is left out, and tiles are made smaller
as they come out of the network, so that this takes little time and memory."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from ..bitstream.header import VisionInfo
from ..errors import CodecError
from ..vision.network import JovioNetwork
from ..vision.tiling import tiled
from .detail_decoder import covered, in_grey, screens_of
from .reconstruct import Group
from .vision_decoder import GroupDecoder

SMALL = 0.5  # of the whole size, up to which detail is left out


@dataclass(frozen=True)
class PreviewSize:
    """What a preview has to fit in; it keeps its aspect, and never is larger than the picture.

    Attributes:
        width, height: of the box, in pixels.
    """

    width: int
    height: int

    def __post_init__(self) -> None:
        if min(self.width, self.height) < 1:
            raise CodecError(f"a preview has at least 1 x 1 pixels, not {self.width} x {self.height}")

    @staticmethod
    def of(size: int | tuple[int, int] | PreviewSize) -> PreviewSize:
        """From the longest side, or width and height of the box.

        Raises:
            CodecError: if it is not positive.
        """
        if isinstance(size, PreviewSize):
            return size
        return PreviewSize(size, size) if isinstance(size, int) else PreviewSize(*size)

    def fitting(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of the preview of a picture."""
        scale = min(1.0, self.width / width, self.height / height)
        return max(1, round(height * scale)), max(1, round(width * scale))


def resized(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Pictures [C, H, W] in [0, 1] at a smaller height and width."""
    if x.shape[-2:] == size:
        return x
    return F.interpolate(x[None], size, mode="bilinear", antialias=True, align_corners=False)[0].clamp(0, 1)


class PreviewDecoder(GroupDecoder):
    """As `GroupDecoder`, of a still picture alone, which comes out small.

    Args:
        network, info, n_q, salvage: as there.
        size: height and width wanted.
    """

    def __init__(self, network: JovioNetwork, info: VisionInfo, n_q: int | None, salvage: bool, size: tuple[int, int]):
        super().__init__(network, info, n_q, salvage)
        self.size = size

    def _still(self, group: Group) -> Tensor:
        if min(self.size[0] / self.info.height, self.size[1] / self.info.width) > SMALL:
            return resized(super()._still(group), self.size)
        self._begun, self.shown = True, self.shown + 1
        factor = 1  # by which tiles are made smaller
        while self.network.patch % (2 * factor) == 0 and 2 * factor * max(self.size) <= max(
            self.info.height, self.info.width
        ):
            factor *= 2
        x = self._shrunk(group, factor)
        x = in_grey(x) if self.info.grey else x
        height, width = (-(-n // factor) for n in (self.info.height, self.info.width))
        return resized(x[0, :, :height, :width].clamp(0, 1), self.size)

    def _shrunk(self, group: Group, factor: int) -> Tensor:
        """The base and patches of few colours, [1, 3, h / factor, w / factor] of whole patches."""
        network, patch = self.network, self.network.patch
        screens = screens_of(group.rows, patch)
        height, width = (n * patch // factor for n in group.rows.counts.shape)
        if covered(group.rows, screens):
            x = torch.zeros(1, 3, height, width, device=network.device)
        else:

            def run(z: Tensor, counts: Tensor) -> Tensor:
                whole = network.still_picture(z[0].permute(1, 2, 0), counts[0]).clamp(0, 1)
                return F.avg_pool2d(whole, factor)

            inputs = (group.latent[None].permute(0, 3, 1, 2), group.effective_levels[None])
            x = tiled(run, inputs, (1, 1), patch // factor, network.still_margin)
        for part, screen in zip(group.rows.details, screens):
            if screen is not None:
                side = patch // factor
                here = x[0, :, part.first * side : part.last * side]
                inside = torch.from_numpy(screen.patches.repeat(side, 0).repeat(side, 1)).to(x.device)
                pixels = torch.from_numpy(screen.pixels()).to(x.device).permute(2, 0, 1).float() / 255
                here.copy_(torch.where(inside, F.avg_pool2d(pixels[None], factor)[0], here))
        return x

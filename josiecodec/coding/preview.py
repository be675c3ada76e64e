"""Small versions of pictures, decoded from their base alone: the detail layer is left out, of very small ones the
network, too, and tiles are made smaller as they come, so that this takes little time and memory."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from ..bitstream.header import VisionInfo
from ..errors import CodecError
from ..vision.block_transform import COEFFICIENTS, from_coefficients
from ..vision.detail_layer import DetailLayer
from ..vision.detail_network import LATENT, WEIGHT
from ..vision.network import JovioNetwork
from ..vision.tiling import tiled
from .detail_decoder import covered, in_grey, screens_of
from .reconstruct import Group
from .vision_decoder import GroupDecoder

SMALL = 0.5  # of the whole size, up to which detail is left out
TINY = 0.34  # of the whole size, up to which a linear picture will do


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


def linear_picture(layer: DetailLayer, latents: Tensor) -> Tensor:
    """Latents [h, w, D] -> picture [1, 3, H, W], about: the linear picture that a detail layer knows, without the
    network. It takes a thirtieth of the time, and is 1.5 dB less like the original at a third of its size."""
    h, w, _ = latents.shape
    x = latents @ (layer.tensor("matrix").float() / WEIGHT) + layer.tensor("offset").float() / (LATENT * WEIGHT)
    blocks = round((x.shape[-1] // COEFFICIENTS) ** 0.5)  # of a patch, on a side
    x = x.view(h, w, blocks, blocks, COEFFICIENTS).transpose(1, 2).reshape(1, h * blocks, w * blocks, COEFFICIENTS)
    return from_coefficients(x) / 255


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
            layer = network.detail
            quick = layer if max(self.size) <= TINY * max(self.info.height, self.info.width) else None

            def run(z: Tensor, counts: Tensor) -> Tensor:
                latents = z[0].permute(1, 2, 0)
                whole = network.still_picture(latents, counts[0]) if quick is None else linear_picture(quick, latents)
                return F.avg_pool2d(whole.clamp(0, 1), factor)

            inputs = (group.latent[None].permute(0, 3, 1, 2), group.effective_levels[None])
            x = tiled(run, inputs, (1, 1), patch // factor, 0 if quick is not None else network.still_margin)
        for part, screen in zip(group.rows.details, screens):
            if screen is not None:
                side = patch // factor
                here = x[0, :, part.first * side : part.last * side]
                inside = torch.from_numpy(screen.patches.repeat(side, 0).repeat(side, 1)).to(x.device)
                pixels = torch.from_numpy(screen.pixels()).to(x.device).permute(2, 0, 1).float() / 255
                here.copy_(torch.where(inside, F.avg_pool2d(pixels[None], factor)[0], here))
        return x

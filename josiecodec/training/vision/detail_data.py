"""What a detail layer learns from: crops of pictures, their decoded bases, and the codes of these."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ...coding.jovio import Jovio
from ...coding.picture_prices import MOST_DEAR
from ...coding.picture_tools import usual_price
from ...coding.rate_control import RowEncoder
from ...coding.reconstruct import base_codes
from ...vision.block_transform import to_coefficients
from ...vision.visual_weights import band_weights, window_weights
from .data import DataConfig, Pictures, PictureSampler

BASE_LAMBDAS = (0.008, 0.4)  # that bases are coded at, drawn evenly on a logarithmic scale
BEAMS = 4
Report = Callable[[str], None]


@dataclass(frozen=True)
class DetailCrops:
    """N crops of one size.

    Attributes:
        pictures, bases: uint8 [N, 3, S, S].
        latents: int16 [N, h, w, D], quantized latents as `JovioNetwork.whole_latents` gives them.
        counts: uint8 [N, h, w], levels of each patch.
        windows: float [N, 5, S / 8, S / 8], see `vision/visual_weights.py`.
    """

    pictures: Tensor
    bases: Tensor
    latents: Tensor
    counts: Tensor
    windows: Tensor

    def __len__(self) -> int:
        return len(self.pictures)

    def chosen(self, index: Tensor) -> DetailCrops:
        """Some of them."""
        index = index.to(self.pictures.device)
        return DetailCrops(*(part[index] for part in self._parts()))

    def to(self, device: torch.device) -> DetailCrops:
        """The same on a device."""
        return DetailCrops(*(part.to(device) for part in self._parts()))

    def _parts(self) -> tuple[Tensor, ...]:
        return self.pictures, self.bases, self.latents, self.counts, self.windows

    def floats(self) -> tuple[Tensor, Tensor]:
        """Pictures and bases as float [N, 3, S, S] in [0, 1]."""
        return self.pictures.float() / 255, self.bases.float() / 255

    def missing(self) -> Tensor:
        """Coefficients of what the bases lack, float [N, S / 8, S / 8, 192] in units of 8-bit pixels."""
        pictures, bases = self.floats()
        return 255 * to_coefficients(pictures - bases)

    def prices(self, weighting: Tensor, dependent: bool = False) -> Tensor:
        """Of a bit of each coefficient, in units of its step squared, as an encoder has them that weighs errors with
        these powers [N], and quantizes dependently or not: float [N, S / 8, S / 8, 192]."""
        bands = torch.from_numpy(band_weights()).to(self.windows)
        weights = torch.einsum("njhw,jk->nhwk", self.windows, bands).log()
        lighter = weights.mean((1, 2, 3), keepdim=True) - weights
        dearer = (weighting.to(weights).view(-1, 1, 1, 1) * lighter).exp()
        return usual_price(dependent) * dearer.clamp(1 / MOST_DEAR, MOST_DEAR)


@torch.no_grad()
def detail_crops(
    codec: Jovio, pictures: Pictures, config: DataConfig, count: int, seed: int = 0, report: Report = print
) -> DetailCrops:
    """Draw crops and code their bases at random lambdas.

    Args:
        codec: the model, whose base stays as it is.
        pictures: what to draw from.
        config: how; videos are left out.
        count: how many.
        seed: of what is drawn.
        report: is told how far it is, now and then.
    """
    sampler = PictureSampler(pictures, config, codec.config.group, seed)
    low, high = (math.log(v) for v in BASE_LAMBDAS)
    begin = said = time.monotonic()
    parts: list[tuple[Tensor, ...]] = []
    for number in range(count):
        groups = sampler.batch(1)[:, :1].to(codec.device)
        rd_lambda = math.exp(low + (high - low) * float(torch.rand((), generator=sampler.random)))
        encoder = RowEncoder(codec, codec.settings, codec.tables, codec.n_q, False)
        group = encoder.coded(codec.latent(groups)[0, 0], rd_lambda, BEAMS)
        decoded = codec.synthesize(group.latent[None, None], group.effective_levels[None, None])[0, 0, :3]
        latents = codec.whole_latents(base_codes(codec, group.rows)).view(*group.rows.counts.shape, -1)
        counts = torch.from_numpy(group.rows.counts)
        windows = torch.from_numpy(window_weights(groups[0, :1, :3]))
        parts.append((_bytes(groups[0, 0, :3]), _bytes(decoded), latents.short().cpu(), counts, windows))
        if time.monotonic() - said > 30:
            said = time.monotonic()
            report(f"{number + 1} of {count} crops, {(said - begin) / (number + 1) * (count - number - 1):.0f} s left")
    return DetailCrops(*(torch.stack(part) for part in zip(*parts)))


def _bytes(x: Tensor) -> Tensor:
    return (x.clamp(0, 1) * 255).round().byte().cpu()

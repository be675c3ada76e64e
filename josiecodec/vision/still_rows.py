"""The decoded base of a large still picture, some rows of patches at a time, exactly as in one piece."""

from __future__ import annotations

import torch
from torch import Tensor

from .convnet import ConvDecoder
from .network import COARSE_TILE, JovioNetwork
from .tiling import tiled

BAND = 48  # rows of patches whose coarse half is computed together
KEPT = 2  # such bands, as rows may lie across an edge


class StillRows:
    """Rows of a picture, best asked for from top to bottom.

    Args:
        network: the model.
        latent: quantized latents [h, w, D].
        counts: levels of each patch, int [h, w].
    """

    def __init__(self, network: JovioNetwork, latent: Tensor, counts: Tensor):
        assert isinstance(network.decoder, ConvDecoder)
        self.network, self.decoder = network, network.decoder
        self.latent, self.counts = latent[None].permute(0, 3, 1, 2), counts[None]
        self.far, self.near = network.still_margins
        self._bands: dict[int, Tensor] = {}

    @torch.no_grad()
    def rows(self, first: int, last: int) -> Tensor:
        """Rows of patches as pixels [1, 3, H, W], not clipped to [0, 1] yet."""
        top, bottom = max(0, first - self.near), min(self.latent.shape[2], last + self.near)
        numbers = range(top // BAND, -(-bottom // BAND))
        hidden = torch.cat([self._band(k)[:, :, max(top - k * BAND, 0) : bottom - k * BAND] for k in numbers], 2)

        def pixels(z: Tensor, y: Tensor) -> Tensor:
            return self.decoder.pixels(z.permute(0, 2, 3, 1), y.permute(0, 2, 3, 1))[:, :3]

        patch = self.network.patch
        found = tiled(pixels, (self.latent[:, :, top:bottom], hidden), (1, 1), patch, self.near)
        return found[:, :, (first - top) * patch : (last - top) * patch]

    def _band(self, number: int) -> Tensor:
        if number not in self._bands:
            while len(self._bands) >= KEPT:
                del self._bands[min(self._bands, key=lambda k: -abs(k - number))]  # the farthest
            begin, end = number * BAND, min((number + 1) * BAND, self.latent.shape[2])
            top, bottom = max(0, begin - self.far), min(self.latent.shape[2], end + self.far)

            def hidden(z: Tensor, counts: Tensor) -> Tensor:
                return self.decoder.hidden(z.permute(0, 2, 3, 1), counts).permute(0, 3, 1, 2)

            inputs = (self.latent[:, :, top:bottom], self.counts[:, top:bottom])
            whole = tiled(hidden, inputs, (1, 1), 1, self.far, COARSE_TILE)
            self._bands[number] = whole[:, :, begin - top : end - top].clone()
        return self._bands[number]

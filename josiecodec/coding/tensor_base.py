"""The decoding networks of a `Jovio` on NumPy arrays, as `picture_network.py` describes."""

from __future__ import annotations

from contextlib import AbstractContextManager

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ..bitstream.patch_payload import PatchRows
from ..vision.detail_layer import DetailLayer
from ..vision.detail_steps import DetailSteps
from ..vision.network import JovioNetwork
from ..vision.rows_ahead import RowsAhead
from ..vision.still_rows import BAND, StillRows
from ..vision.tiling import tiled
from .reconstruct import base_codes, reconstruct


class TensorBase:
    """A `DecodingNetwork` that torch runs.

    Args:
        network: the model.
    """

    def __init__(self, network: JovioNetwork):
        self.network, self.settings = network, network.settings
        self.n_q, self.patch, self.codebook_size = network.n_q, network.patch, network.codebook_size
        self.detail: DetailLayer | None = network.detail
        self.is_convolutional = network.is_convolutional

    @torch.no_grad()
    def base(self, rows: PatchRows) -> np.ndarray:
        """See `DecodingNetwork`."""
        group = reconstruct(self.network, rows, None)
        with full_precision():
            return as_array(self.network.still_picture(group.latent, group.effective_levels))

    @torch.no_grad()
    def small_base(self, rows: PatchRows, factor: int) -> np.ndarray:
        """See `DecodingNetwork`."""
        group = reconstruct(self.network, rows, None)

        def run(z: Tensor, counts: Tensor) -> Tensor:
            whole = self.network.still_picture(z[0].permute(1, 2, 0), counts[0])
            return functional.avg_pool2d(whole.clamp(0, 1), factor)

        inputs = (group.latent[None].permute(0, 3, 1, 2), group.effective_levels[None])
        return as_array(tiled(run, inputs, (1, 1), self.patch // factor, self.network.still_margin))

    def base_rows(self, rows: PatchRows) -> TensorRows:
        """See `DecodingNetwork`."""
        group = reconstruct(self.network, rows, None)
        return TensorRows(StillRows(self.network, group.latent, group.effective_levels))

    @torch.no_grad()
    def whole_latents(self, rows: PatchRows) -> np.ndarray:
        """See `DecodingNetwork`."""
        return as_array(self.network.whole_latents(base_codes(self.network, rows))).reshape(*rows.counts.shape, -1)

    @torch.no_grad()
    def residual(self, symbols: np.ndarray, steps: DetailSteps, shapes: np.ndarray | None = None) -> np.ndarray:
        """See `DecodingNetwork`."""
        assert self.detail is not None
        return as_array(self.detail.residual(self.tensor(symbols), steps, shapes))

    @torch.no_grad()
    def smoothed(self, base: np.ndarray, residual: np.ndarray, steps: DetailSteps) -> np.ndarray:
        """See `DecodingNetwork`."""
        layer = self.detail
        assert layer is not None

        def run(b: Tensor, r: Tensor) -> Tensor:
            return layer.smoothed(b, r, steps)

        inputs = (self.tensor(base), self.tensor(residual))
        return as_array(tiled(run, inputs, (self.patch, self.patch), self.patch, layer.margin))

    def tensor(self, x: np.ndarray) -> Tensor:
        """An array on the device of the model."""
        return torch.from_numpy(x).to(self.network.device)


class TensorRows:
    """`StillRows` on NumPy arrays."""

    def __init__(self, still: StillRows):
        height, patch = still.latent.shape[2], still.network.patch
        self._pixels = RowsAhead(lambda first, last: as_array(still.rows(first, last)), height, BAND, 2, patch)

    def rows(self, first: int, last: int) -> np.ndarray:
        """See `BaseRows`."""
        return self._pixels.rows(first, last)


def full_precision() -> AbstractContextManager[None]:
    """Without the shortened numbers that some devices multiply by default: key pictures of videos need that."""
    return torch.backends.cudnn.flags(enabled=torch.backends.cudnn.enabled, allow_tf32=False)


def as_array(x: Tensor) -> np.ndarray:
    """A tensor as an array."""
    found: np.ndarray = x.cpu().numpy()
    return found

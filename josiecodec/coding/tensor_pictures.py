"""The networks of a `Jovio` on NumPy arrays, as `picture_network.py` describes."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ..bitstream.patch_payload import PatchRows
from ..entropy.code_tables import EntropyTables
from ..settings import EncoderSettings
from ..vision.block_transform import to_coefficients
from ..vision.detail_layer import DetailLayer
from ..vision.detail_steps import DetailSteps
from ..vision.network import JovioNetwork
from ..vision.still_rows import StillRows
from ..vision.tiling import tiled
from ..vision.visual_weights import window_weights
from .rate_control import RowEncoder
from .reconstruct import base_codes, reconstruct


class TensorPictures:
    """A `PictureNetwork` that torch runs.

    Args:
        network: the model.
    """

    def __init__(self, network: JovioNetwork):
        self.network, self.settings = network, network.settings
        self.n_q, self.patch, self.codebook_size = network.n_q, network.patch, network.codebook_size
        self.detail: DetailLayer | None = network.detail
        self.is_convolutional = network.is_convolutional

    def still_latent(self, picture: np.ndarray) -> Tensor:
        """See `PictureNetwork`; on the device of the model."""
        with torch.no_grad():
            return self.network.still_latent(self._tensor(picture))

    def rows_encoder(self, settings: EncoderSettings, tables: EntropyTables | None, max_levels: int) -> RowEncoder:
        """See `PictureNetwork`."""
        return RowEncoder(self.network, settings, tables, max_levels, False)

    @torch.no_grad()
    def base(self, rows: PatchRows) -> np.ndarray:
        """See `PictureNetwork`."""
        group = reconstruct(self.network, rows, None)
        return _array(self.network.still_picture(group.latent, group.effective_levels))

    @torch.no_grad()
    def small_base(self, rows: PatchRows, factor: int) -> np.ndarray:
        """See `PictureNetwork`."""
        group = reconstruct(self.network, rows, None)

        def run(z: Tensor, counts: Tensor) -> Tensor:
            whole = self.network.still_picture(z[0].permute(1, 2, 0), counts[0])
            return functional.avg_pool2d(whole.clamp(0, 1), factor)

        inputs = (group.latent[None].permute(0, 3, 1, 2), group.effective_levels[None])
        return _array(tiled(run, inputs, (1, 1), self.patch // factor, self.network.still_margin))

    def base_rows(self, rows: PatchRows) -> TensorRows:
        """See `PictureNetwork`."""
        group = reconstruct(self.network, rows, None)
        return TensorRows(StillRows(self.network, group.latent, group.effective_levels))

    @torch.no_grad()
    def whole_latents(self, rows: PatchRows) -> np.ndarray:
        """See `PictureNetwork`."""
        return _array(self.network.whole_latents(base_codes(self.network, rows))).reshape(*rows.counts.shape, -1)

    @torch.no_grad()
    def residual(self, symbols: np.ndarray, steps: DetailSteps) -> np.ndarray:
        """See `PictureNetwork`."""
        assert self.detail is not None
        return _array(self.detail.residual(self._tensor(symbols), steps))

    @torch.no_grad()
    def smoothed(self, base: np.ndarray, residual: np.ndarray, steps: DetailSteps) -> np.ndarray:
        """See `PictureNetwork`."""
        layer = self.detail
        assert layer is not None

        def run(b: Tensor, r: Tensor) -> Tensor:
            return layer.smoothed(b, r, steps)

        inputs = (self._tensor(base), self._tensor(residual))
        return _array(tiled(run, inputs, (self.patch, self.patch), self.patch, layer.margin))

    @torch.no_grad()
    def coefficients(self, pixels: np.ndarray) -> np.ndarray:
        """See `PictureNetwork`."""
        return _array(to_coefficients(self._tensor(pixels))[0])

    def window_weights(self, picture: np.ndarray) -> np.ndarray:
        """See `PictureNetwork`."""
        return window_weights(self._tensor(picture))

    def _tensor(self, x: np.ndarray) -> Tensor:
        return torch.from_numpy(x).to(self.network.device)


class TensorRows:
    """`StillRows` on NumPy arrays."""

    def __init__(self, still: StillRows):
        self._still = still

    def rows(self, first: int, last: int) -> np.ndarray:
        """See `BaseRows`."""
        return _array(self._still.rows(first, last))


def _array(x: Tensor) -> np.ndarray:
    found: np.ndarray = x.cpu().numpy()
    return found

"""The networks of a `Jovio` on NumPy arrays, as `picture_network.py` describes."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ..entropy.code_tables import EntropyTables
from ..settings import EncoderSettings
from ..vision.block_transform import to_coefficients
from ..vision.visual_weights import window_weights
from .rate_control import RowEncoder
from .tensor_base import TensorBase, as_array


class TensorPictures(TensorBase):
    """A `PictureNetwork` that torch runs."""

    def still_latent(self, picture: np.ndarray) -> Tensor:
        """See `PictureNetwork`; on the device of the model."""
        with torch.no_grad():
            return self.network.still_latent(self.tensor(picture))

    def rows_encoder(self, settings: EncoderSettings, tables: EntropyTables | None, max_levels: int) -> RowEncoder:
        """See `PictureNetwork`."""
        return RowEncoder(self.network, settings, tables, max_levels, False)

    @torch.no_grad()
    def coefficients(self, pixels: np.ndarray) -> np.ndarray:
        """See `PictureNetwork`."""
        return as_array(to_coefficients(self.tensor(pixels))[0])

    def window_weights(self, picture: np.ndarray) -> np.ndarray:
        """See `PictureNetwork`."""
        return window_weights(self.tensor(picture))

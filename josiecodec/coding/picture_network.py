"""What a codec of vision offers to those who code still pictures, whatever runs its networks.

`tensor_pictures.py` does it with torch, `runtime/picture_codec.py` without. Pictures are NumPy arrays here; neither
this module nor what drives it (`picture_file.py`, `picture_encoder.py`, `still_decoder.py`) imports torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from ..bitstream.patch_payload import PatchRows
from ..entropy.code_tables import EntropyTables
from ..settings import EncoderSettings
from ..vision.config import DetailConfig
from ..vision.detail_network import DetailNetwork
from ..vision.detail_steps import DetailSteps


class DetailNumbers(Protocol):
    """The whole numbers of a detail layer, see `DetailLayer`."""

    config: DetailConfig
    passes: tuple[np.ndarray, ...]

    @property
    def margin(self) -> int: ...
    def numbers(self, name: str) -> np.ndarray: ...
    def network(self) -> DetailNetwork: ...


class CodedRows(Protocol):
    """A group of patches as a `RowCoder` gives it."""

    @property
    def rows(self) -> PatchRows: ...


class RowCoder(Protocol):
    """Codes the base of pictures, see `RowEncoder`. Latents are those of a `PictureNetwork`."""

    rd_lambda: float

    def uniform(self, latents: Sequence[Any], n_q: int) -> Sequence[CodedRows]: ...
    def with_lambda(self, latents: Sequence[Any], rd_lambda: float) -> Sequence[CodedRows]: ...
    def coded(self, latent: Any, rd_lambda: float, beams: int) -> CodedRows: ...
    def within(self, latents: Sequence[Any], bits: float) -> Sequence[CodedRows]: ...


class BaseRows(Protocol):
    """The decoded base of a large picture, some rows of patches at a time."""

    def rows(self, first: int, last: int) -> np.ndarray:
        """Rows as pixels [1, 3, H, W], not clipped to [0, 1] yet; best asked for from top to bottom. They are not to be
        changed."""


class DecodingNetwork(Protocol):
    """The networks of a codec of vision that draw still pictures [1, 3, H, W] of whole patches, float32 in [0, 1].

    Attributes:
        detail: the numbers of its detail layer, or None.
    """

    settings: EncoderSettings

    @property
    def detail(self) -> DetailNumbers | None: ...
    @property
    def n_q(self) -> int: ...
    @property
    def patch(self) -> int: ...
    @property
    def codebook_size(self) -> int: ...
    @property
    def is_convolutional(self) -> bool:
        """Whether patches only depend on those around."""

    def base(self, rows: PatchRows) -> np.ndarray:
        """The decoded base of a picture, not clipped to [0, 1] yet."""

    def small_base(self, rows: PatchRows, factor: int) -> np.ndarray:
        """The decoded base [1, 3, H / factor, W / factor], clipped: means over squares of its pixels."""

    def base_rows(self, rows: PatchRows) -> BaseRows:
        """The same of a large picture; of a convolutional network."""

    def whole_latents(self, rows: PatchRows) -> np.ndarray:
        """Quantized latents in whole units, the same on every machine: integers [h, w, D]."""

    def residual(self, symbols: np.ndarray, steps: DetailSteps, shapes: np.ndarray | None = None) -> np.ndarray:
        """Coefficients [2 h, 2 w, 192] in units of their steps, of these blocks -> what they add to the base; in half
        steps with dependent quantization."""

    def smoothed(self, base: np.ndarray, residual: np.ndarray, steps: DetailSteps) -> np.ndarray:
        """Base and residual put together and smoothed."""


class PictureNetwork(DecodingNetwork, Protocol):
    """All networks of a codec of vision for still pictures."""

    def still_latent(self, picture: np.ndarray) -> Any:
        """A picture, or its bytes -> latents [h, w, D], which have a shape and are cut by rows."""

    def rows_encoder(self, settings: EncoderSettings, tables: EntropyTables | None, max_levels: int) -> RowCoder:
        """What codes bases."""

    def coefficients(self, pixels: np.ndarray) -> np.ndarray:
        """The block transform of pixels: float32 [2 h, 2 w, 192]."""

    def window_weights(self, picture: np.ndarray) -> np.ndarray:
        """See `vision/window_weights.py`; of a picture, or its bytes."""


class NetworkOwner(Protocol):
    """A codec of vision as files of pictures meet it. Its members are those of `Jovio`, if nothing else is said."""

    config: Any
    settings: EncoderSettings
    tables: EntropyTables | None

    @property
    def known_tables(self) -> Any: ...
    @property
    def n_q(self) -> int: ...
    @property
    def patch(self) -> int: ...
    def levels(self, n_q: int | None, settings: EncoderSettings | None = None) -> int: ...
    def stream_info(self, size: tuple[int, int], levels: int, pictures: int | None, *, grey: bool = False) -> Any: ...
    def check_stream(self, info: Any) -> Any: ...

    def picture_network(self) -> PictureNetwork:
        """Its networks for still pictures."""

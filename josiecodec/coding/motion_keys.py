"""Bases of key pictures of a video that is encoded with motion, whatever runs the networks of the model."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, Protocol

import numpy as np

from ..bitstream.patch_payload import pack_rows
from ..entropy.code_tables import EntropyTables
from ..settings import EncoderSettings
from ..vision.motion_planes import Planes, to_rgb
from ..vision.motion_residual import step_size
from .motion_base import KeyNetwork, protected_base
from .motion_choice import LAMBDA
from .motion_pictures import grey
from .picture_network import NetworkOwner

SAME_BASE = 12  # by how much steps may differ for a picture to keep its base
BASE_LAMBDA = 20.0  # of a base beside that of the levels: it is only to be a beginning

Base = tuple[bytes, bool, bytes, Planes]


class VideoNetwork(KeyNetwork, NetworkOwner, Protocol):
    """A codec of vision as encoders of videos with motion meet it. Its members are those of `Jovio`."""

    def stream_info(
        self,
        size: tuple[int, int],
        levels: int,
        pictures: int | None,
        rate: Fraction = ...,
        group: int = ...,
        grey: bool = ...,
    ) -> Any: ...


class KeyBases:
    """Makes bases of key pictures, and keeps them for when a window is coded again.

    Args:
        network: the model.
        settings: of the encoder.
        tables: entropy tables of the model, if it has any.
        size: height and width of the pictures.
    """

    def __init__(
        self, network: VideoNetwork, settings: EncoderSettings, tables: EntropyTables | None, size: tuple[int, int]
    ):
        self.network, self.settings, self.tables, self.size = network, settings, tables, size
        self._pictures = network.picture_network()
        self._latents: dict[int, Any] = {}
        self._bases: dict[tuple[int, int], Base] = {}

    def forget(self) -> None:
        """All of a window that is done."""
        self._latents, self._bases = {}, {}

    def base(self, shown: int, planes: Planes, step: int) -> Base:
        """The base of a key picture: its payload, whether it is range coded, its parities, and what it shows."""
        near = [s for n, s in self._bases if n == shown and abs(s - step) <= SAME_BASE]
        if near:
            step = near[0]
        if (shown, step) not in self._bases:
            self._bases[shown, step] = self._coded(shown, planes, step)
        return self._bases[shown, step]

    def _coded(self, shown: int, planes: Planes, step: int) -> Base:
        network, levels = self.network, self.network.n_q
        if shown not in self._latents:
            self._latents[shown] = self._pictures.still_latent(padded(to_rgb(planes, *self.size), network.patch)[None])
        rows_encoder = self._pictures.rows_encoder(self.settings, self.tables, levels)
        rd_lambda = BASE_LAMBDA * LAMBDA * (step_size(step, False) / 16 / 255) ** 2
        rows = rows_encoder.coded(self._latents[shown], rd_lambda, self.settings.beams).rows
        payload, coded = pack_rows(rows, levels, network.codebook_size, self.tables)
        shows, parities = protected_base(network, rows, *self.size)
        if not parities or not rows.counts.any():
            return b"", False, b"", grey(*network.grid(*self.size))
        return payload, coded, parities, shows


def padded(x: np.ndarray, patch: int) -> np.ndarray:
    """A picture [3, H, W], edges repeated to the right and below until both sides are multiples of `patch`."""
    height, width = x.shape[-2:]
    return np.pad(x, ((0, 0), (0, -height % patch), (0, -width % patch)), "edge")

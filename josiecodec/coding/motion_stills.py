"""Key pictures of videos as still pictures with a detail layer, at the step that suits what is predicted from them."""

from __future__ import annotations

import math

import numpy as np

from ..bitstream.motion_payload import MAX_BASE
from ..bitstream.still_payload import pack_still
from ..entropy.code_tables import EntropyTables
from ..settings import EncoderSettings
from ..vision.detail_steps import FINEST, PER_OCTAVE
from ..vision.motion_planes import Planes, to_rgb
from .motion_base import protected_base
from .motion_keys import Base, VideoNetwork, padded
from .motion_rate import patch_bits
from .picture_base import LAST_STEP, PictureBase
from .picture_tools import Tools

STEP_RATIO = 1.45  # of a step of the detail, over that of levels, at the same lambda
SPREAD = 1.0  # power of the lambda of a patch beside that of the picture
DEAREST = 4.0  # that a bit of a patch can be beside the usual one
MOTION_OCTAVE = 16  # steps of levels that are twice as large
COARSE = 100.0  # step of the detail beyond which bases take fewer bits, too
PER_STEP = 4  # parts of a step of the detail that are told apart


class KeyStills:
    """Makes still pictures of key pictures, and keeps them for when a window is coded again.

    Args:
        network: a model with a detail layer.
        settings: of the encoder.
        tables: entropy tables of the model, if it has any.
        size: height and width of the pictures.
    """

    def __init__(
        self, network: VideoNetwork, settings: EncoderSettings, tables: EntropyTables | None, size: tuple[int, int]
    ):
        self.network, self.size = network, size
        self.tools = Tools.of(network.picture_network(), settings, tables)
        self._bases: dict[int, PictureBase] = {}
        self._stills: dict[tuple[int, int], Base | None] = {}

    def forget(self) -> None:
        """All of a window that is done."""
        self._bases, self._stills = {}, {}

    def still(self, shown: int, planes: Planes, wanted: np.ndarray, errors: np.ndarray) -> Base | None:
        """A key picture: its payload, whether it is range coded, its parities, and what it shows; None if it cannot be
        coded that way.

        Args:
            shown: its place in time.
            planes: what it is to show.
            wanted: float [h, w], the steps of levels that its patches would have.
            errors: float [h, w], absolute errors of its patches as they are predicted from themselves.
        """
        usual = float(np.average(wanted, weights=patch_bits(errors, wanted, True)))
        place = round(PER_STEP * detail_step(usual))
        if (shown, place) not in self._stills:
            self._stills[shown, place] = self._coded(shown, planes, wanted - usual, place / PER_STEP)
        return self._stills[shown, place]

    def _coded(self, shown: int, planes: Planes, coarser: np.ndarray, step: float) -> Base | None:
        network, tools = self.network, self.tools
        if shown not in self._bases:
            picture = padded(to_rgb(planes, *self.size), network.patch)[None]
            dearer = 2 ** (2 * max(step - COARSE, 0.0) / PER_OCTAVE)
            self._bases[shown] = PictureBase.coded(tools, picture, tools.network.still_latent(picture), dearer)
        base = self._bases[shown]
        base.prices = (2.0 ** (2 * SPREAD * coarser / MOTION_OCTAVE)).clip(1 / DEAREST, DEAREST)
        index = min(round(step), LAST_STEP)
        rows = base.with_detail(tools.fineness(index, 2 ** (2 * (step - index) / PER_OCTAVE)))
        if len(rows.details) != len(base.parts):  # more than a block holds
            return None
        payload, coded = pack_still(rows, network.n_q, network.codebook_size, tools.tables)
        shows, parities = protected_base(network, rows, *self.size, base.decoded)
        return (payload, coded, parities, shows) if parities and len(payload) <= MAX_BASE else None


def detail_step(step: float) -> float:
    """The step of the detail at the lambda of a step of levels; what is between two steps, or
    beyond the last one, is for the price of bits."""
    place = PER_OCTAVE * (math.log2(STEP_RATIO / FINEST) + step / MOTION_OCTAVE)
    return max(place, 0.0)

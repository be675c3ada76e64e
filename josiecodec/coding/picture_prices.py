"""How much bits of coefficients cost beside each other: less where an error counts in structural similarity."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from ..vision.window_weights import band_weights
from .detail_decoder import blocks_of
from .picture_tools import Tools
from .screen import ScreenPicture

MOST_DEAR = 12.0  # that a bit can be beside the average


class BitPrices:
    """The prices of bits in a picture.

    Args:
        tools: what it is encoded with.
        picture: [1, 3, H, W] of whole patches, in [0, 1], or bytes.
        parts: rows of patches that are coded together, as first and behind the last.
        kept: others, whose prices are kept.
        screen: its patches of few colours, which have no coefficients; None if there are none.
    """

    def __init__(
        self,
        tools: Tools,
        picture: np.ndarray,
        parts: list[tuple[int, int]],
        kept: list[tuple[int, int]],
        screen: ScreenPicture | None,
    ):
        self.tools, self.picture, self.parts, self.kept, self.screen = tools, picture, parts, kept, screen
        self._dear: dict[tuple[int, int], np.ndarray] = {}

    @cached_property
    def _windows(self) -> np.ndarray:
        return self.tools.network.window_weights(self.picture)

    def _weights(self, part: tuple[int, int]) -> np.ndarray:
        """Logarithms of what an error of each coefficient counts in structural similarity, [2 h, 2 w, 192]."""
        here = self._windows[:, 2 * part[0] : 2 * part[1]]
        weights: np.ndarray = np.log(here.transpose(1, 2, 0) @ band_weights().astype(np.float32))
        return weights

    @cached_property
    def _usual_weight(self) -> float:
        total, count = 0.0, 0
        for part in self.parts:
            weights = self._weights(part)
            if self.screen is not None:
                weights = weights[~blocks_of(self.screen.patches[part[0] : part[1]])]
            total, count = total + float(weights.sum(dtype=np.float64)), count + weights.size
        return total / max(count, 1)

    def dearer(self, part: tuple[int, int]) -> np.ndarray:
        """How much a bit of each coefficient costs beside the usual one, float32 [2 h, 2 w, 192]."""
        dearer = self._dear.get(part)
        if dearer is None:
            weights = self._weights(part).astype(np.float32, copy=False)
            weights -= np.float32(self._usual_weight)
            weights *= np.float32(-self.tools.tuning.weighting)
            dearer = np.exp(weights, out=weights).clip(1 / MOST_DEAR, MOST_DEAR, out=weights)
            if self.tools.coder.shapes:  # the same in a whole patch, for blocks may be longer
                h, w = dearer.shape[0] // 2, dearer.shape[1] // 2
                mean = dearer.reshape(h, 2, w, 2, -1).mean((1, 3))
                dearer = mean.repeat(2, 0).repeat(2, 1)
            if part in self.kept:
                self._dear[part] = dearer
        return dearer

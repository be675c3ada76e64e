"""Palettes for parts of pictures that have few colours, as screenshots and drawings."""

from __future__ import annotations

from dataclasses import dataclass
from heapq import heappop, heappush

import numpy as np

from ..entropy.index_map import MAX_COLORS

MAX_DISTINCT = 1 << 13  # colours that are told apart
ROUNDS = 6  # of k-means
WORTH = 5.0  # lambda over the mean squared error that a pixel in no run may have, see `Colors.palette`


@dataclass(frozen=True)
class Colors:
    """The colours of some pixels.

    Attributes:
        values: float64 [N, 3], the distinct ones, in units of 8-bit pixels.
        counts: int64 [N], how many pixels have each.
        which: int64 [...], the colour of each pixel.
        edges: bool [...], pixels inside that differ from the one to the left or above.
    """

    values: np.ndarray
    counts: np.ndarray
    which: np.ndarray
    edges: np.ndarray

    @staticmethod
    def of(pixels: np.ndarray, inside: np.ndarray) -> Colors:
        """Colours of the pixels uint8 [H, W, 3] that are `inside`, bool [H, W]; of others any one."""
        shift = 0
        packed = pixels.astype(np.int64)
        while True:
            rounded = packed >> shift
            keys = (rounded[..., 0] << 16) + (rounded[..., 1] << 8) + rounded[..., 2]
            found = np.unique(keys[inside])
            if len(found) <= MAX_DISTINCT or shift == 7:
                break
            shift += 1
        which = np.searchsorted(found, keys).clip(0, len(found) - 1)
        own, chosen = which[inside], packed[inside].astype(np.float64)
        counts = np.bincount(own, minlength=len(found))
        sums = [np.bincount(own, chosen[:, channel], len(found)) for channel in range(3)]
        return Colors(np.stack(sums, 1) / counts[:, None], counts, which, _edges(keys, inside))

    def palette(self, rd_lambda: float) -> np.ndarray:
        """So many colours uint8 [K, 3], in order of brightness, that more would not be worth their bits."""
        allowed = rd_lambda / WORTH * int(self.edges.sum()) + 1e-9
        groups = self._split(allowed)
        centres = np.stack([self._mean(members) for members in groups])
        for _ in range(ROUNDS):
            nearest = self.errors(centres).argmin(1)
            used = np.unique(nearest)
            centres = np.stack([self._mean(np.flatnonzero(nearest == k)) for k in used])
        rounded = np.unique(centres.round().clip(0, 255).astype(np.uint8), axis=0)
        return rounded[np.argsort(rounded.astype(np.int64) @ (2, 5, 1), kind="stable")]

    def errors(self, centres: np.ndarray) -> np.ndarray:
        """Squared errors [N, K] of each colour."""
        return np.square(self.values[:, None] - centres.astype(np.float64)).sum(-1)

    def _mean(self, members: np.ndarray) -> np.ndarray:
        return np.average(self.values[members], axis=0, weights=self.counts[members])

    def _split(self, allowed: float) -> list[np.ndarray]:
        """Groups of colours: the one that is worst is split along its longest axis until all together are good."""
        waiting: list[tuple[float, int, np.ndarray, np.ndarray]] = []
        total, number = 0.0, 0

        def put(members: np.ndarray) -> float:
            nonlocal number
            own, weights = self.values[members], self.counts[members]
            offset = own - np.average(own, axis=0, weights=weights)
            spread = (offset * weights[:, None]).T @ offset
            projected = offset @ np.linalg.eigh(spread)[1][:, -1]
            heappush(waiting, (-float(np.trace(spread)), number, members, projected))
            number += 1
            return float(np.trace(spread))

        total += put(np.arange(len(self.values)))
        while total > allowed and len(waiting) < MAX_COLORS:
            error, _, members, projected = heappop(waiting)
            if error > -1e-6 or len(members) == 1:
                heappush(waiting, (error, number, members, projected))
                break
            upper = projected > 0
            total += error + put(members[upper]) + put(members[~upper])
        return [members for _, _, members, _ in waiting]


def _edges(keys: np.ndarray, inside: np.ndarray) -> np.ndarray:
    differs = np.zeros(keys.shape, bool)
    differs[:, 1:] |= keys[:, 1:] != keys[:, :-1]
    differs[1:] |= keys[1:] != keys[:-1]
    return differs & inside

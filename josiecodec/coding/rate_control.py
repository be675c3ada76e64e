"""From latents to rows of patches at a wanted rate.

The weight of a bit (see `adaptive.py`) is the knob. Given a budget it is found by trying: all groups of a window are
coded with a weight, their bytes counted exactly as they will be written, and the weight moved until they fit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ..bitstream.patch_payload import vision_bytes
from .rdo import Alone, Group, alone, candidates, carry_out, decide

if TYPE_CHECKING:
    from .jovio import Jovio

TOLERANCE, NEAR = 0.01, 0.05  # of the logarithm of a rate
TRIES = 12
VIDEO_BEAMS = 4
QUICK_BEAMS = 2  # where only the weight is wanted
FAR = 4  # how far a weight may move in a rough search
REMEMBERED = 1 << 18  # patches whose costs are kept while a weight is searched for, half a kilobyte each
LIGHTEST, HEAVIEST = 1e-7, 1e2


class RowCoder:
    """Codes groups one after the other, remembering what predictions are made from.

    Args:
        model: the codec.
        most: levels a patch may have at most.
        predict: whether to try predictions from the group before.
    """

    def __init__(self, model: Jovio, most: int | None = None, predict: bool = True):
        self.model = model
        self.predict = predict
        self.most = most or model.n_q
        self.before: Group | None = None
        self.weight = model.settings.rd_lambda
        self.saving = 0.0  # of the context network: what it adds to the logarithm of a size

    def uniform(self, latents: Sequence[Tensor], n_q: int) -> list[Group]:
        """Code groups [h, w, D] with `n_q` levels in every patch."""
        groups = []
        for latent in latents:
            found = candidates(self.model, latent, None, n_q)
            everything = torch.full((latent.shape[0] * latent.shape[1],), n_q, device=latent.device)
            choice = (torch.zeros_like(everything), everything)
            groups.append(carry_out(self.model, found, choice, _shape(latent), None))
        return self._remember(groups)

    def weighted(self, latents: Sequence[Tensor], weight: float) -> list[Group]:
        """Code groups with a weight."""
        self.weight = weight
        return self._remember(self._run(latents, weight, None, self._beams(latents)))

    def within(self, latents: Sequence[Tensor], bits: float) -> list[Group]:
        """Code groups so that they take about `bits` bits together."""
        weight, beams = self.weight, self._beams(latents)
        if beams > 1:
            # The weight is first found with quick searches, which come near what thorough ones will take.
            weight, _ = self._matched(latents, bits, weight, QUICK_BEAMS if len(latents) == 1 else 1, NEAR)
        self.weight, groups = self._matched(latents, bits, weight, beams, TOLERANCE)
        return self._remember(groups)

    def _matched(
        self, latents: Sequence[Tensor], bits: float, weight: float, beams: int, enough: float
    ) -> tuple[float, list[Group]]:
        """The weight at which groups take about `bits` bits, and what they become."""
        low, high = LIGHTEST, HEAVIEST  # too many bits, too few
        patches = sum(latent.shape[0] * latent.shape[1] for latent in latents)
        cache: dict[int, Alone] | None = {} if patches <= REMEMBERED else None
        best: tuple[float, float, list[Group]] = (math.inf, weight, [])
        points: list[tuple[float, float]] = []
        wanted = math.log(max(bits, 1))
        for _ in range(TRIES):
            groups = self._run(latents, weight, cache, beams)
            taken = self._size(groups, False) + self.saving
            if abs(taken - wanted) < enough or not points:
                exact = self._size(groups, True)
                self.saving, taken = self.saving + exact - taken, exact
            if abs(taken - wanted) < best[0]:
                best = (abs(taken - wanted), weight, groups)
            if best[0] < enough or high / low < 1.001:
                break
            low, high = (weight, high) if taken > wanted else (low, weight)
            points.append((math.log(weight), taken))
            weight = _next(points, wanted, low, high)
        return best[1], best[2]

    def _size(self, groups: list[Group], exactly: bool) -> float:
        """Logarithm of the bits that groups take in a file."""
        size, tables = self.model.codebook_size, self.model.tables
        return math.log(max(8 * sum(vision_bytes(g.rows, self.most, size, tables, exactly) for g in groups), 1))

    def _beams(self, latents: Sequence[Tensor]) -> int:
        """Sums kept in searches: fewer in videos, most of which is predicted."""
        return self.model.settings.beams if len(latents) == 1 else min(self.model.settings.beams, VIDEO_BEAMS)

    def _run(
        self, latents: Sequence[Tensor], weight: float, cache: dict[int, Alone] | None, beams: int | None = None
    ) -> list[Group]:
        """Code groups with a weight; `cache` keeps what does not depend on the group before."""
        before, groups = self.before, []
        for index, latent in enumerate(latents):
            own = cache.get(index) if cache is not None else None
            if cache is not None and (own is None or own.weight > weight):
                # A little more is found out than is asked, for the weights that will be tried next.
                least = weight / (FAR if beams == 1 else 1 + NEAR * 4)
                own = cache[index] = alone(self.model, latent, self.most, least, beams=beams)
            latent_before = before.latent if before is not None and self.predict else None
            found = candidates(self.model, latent, latent_before, self.most, weight, own, beams)
            before = carry_out(self.model, found, decide(self.model, found, weight), _shape(latent), before)
            groups.append(before)
        return groups

    def _remember(self, groups: list[Group]) -> list[Group]:
        self.before = groups[-1] if groups else self.before
        return groups


def _shape(latent: Tensor) -> tuple[int, int]:
    return latent.shape[0], latent.shape[1]


def _next(points: list[tuple[float, float]], wanted: float, low: float, high: float) -> float:
    """The weight to try next: on the line through the last two points, else in the middle of the bracket."""
    x, y = points[-1]
    slope = -0.6  # as a rule, of log bits over log weight
    if len(points) > 1 and points[-2][0] != x:
        found = (y - points[-2][1]) / (x - points[-2][0])
        slope = found if -3 < found < -0.05 else slope
    guess = math.exp(min(max(x + (wanted - y) / slope, -30.0), 30.0))
    return guess if len(points) < 6 and low < guess < high else math.sqrt(low * high)

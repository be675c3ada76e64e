"""From latents to rows of patches at a wanted rate.

The weight of a bit (see `adaptive.py`) is the knob. Given a budget it is found by trying: all groups of a window are
coded with a weight, their bytes counted exactly as they will be written, and the weight moved until they fit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ..errors import CodecError
from ..tokens.container import visual_bytes
from .adaptive import Alone, Group, alone, candidates, carry_out, decide

if TYPE_CHECKING:
    from .jovio import Jovio

TOLERANCE = 0.01
TRIES = 12
REMEMBERED = 1 << 18  # patches whose costs are kept while a weight is searched for, half a kilobyte each
LIGHTEST, HEAVIEST = 1e-7, 1e2


@dataclass(frozen=True)
class Rate:
    """What a picture or video may take; at most one of these.

    Attributes:
        n_q: so many levels in every patch, nothing predicted.
        bpp: bits per pixel (and picture) of the whole file.
        kbps: of a video, thousands of bits per second of the whole file.
        weight: of a bit against squared error; the more, the fewer bits. The same weight is the same quality.
    """

    n_q: int | None = None
    bpp: float | None = None
    kbps: float | None = None
    weight: float | None = None

    def __post_init__(self) -> None:
        given = [v for v in (self.n_q, self.bpp, self.kbps, self.weight) if v is not None]
        if len(given) > 1:
            raise CodecError("give only one of n_q, bpp, kbps and weight")
        if not all(0 < v < math.inf for v in given):
            raise CodecError("a rate must be positive and finite")

    def bits(self, pixels: int, pictures: int, seconds: float) -> float | None:
        """The budget of so many pictures of so many pixels each; None if there is none."""
        if self.bpp is not None:
            return self.bpp * pixels * pictures
        return None if self.kbps is None else 1000 * self.kbps * seconds


class RowCoder:
    """Codes groups one after the other, remembering what predictions are made from.

    Args:
        model: the codec.
        most: levels a patch may have at most.
    """

    def __init__(self, model: Jovio, most: int | None = None):
        self.model = model
        self.most = most or model.n_q
        self.before: Group | None = None
        self.weight = model.config.weight

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
        return self._remember(self._run(latents, weight, None))

    def within(self, latents: Sequence[Tensor], bits: float) -> list[Group]:
        """Code groups so that they take about `bits` bits together."""
        size = self.model.codebook_size
        low, high = LIGHTEST, HEAVIEST  # too many bits, too few
        patches = sum(latent.shape[0] * latent.shape[1] for latent in latents)
        cache: dict[int, Alone] | None = {} if patches <= REMEMBERED else None
        best: tuple[float, float, list[Group]] | None = None
        points: list[tuple[float, float]] = []
        weight = self.weight
        for _ in range(TRIES):
            groups = self._run(latents, weight, cache)
            taken = 8 * sum(visual_bytes(g.rows, self.most, size, self.model.tables) for g in groups)
            off = abs(math.log(max(taken, 1) / max(bits, 1)))
            if best is None or off < best[0]:
                best = (off, weight, groups)
            if off < TOLERANCE or high / low < 1.001:
                break
            low, high = (weight, high) if taken > bits else (low, weight)
            points.append((math.log(weight), math.log(max(taken, 1))))
            weight = _next(points, math.log(max(bits, 1)), low, high)
        assert best is not None
        self.weight = best[1]
        return self._remember(best[2])

    def _run(self, latents: Sequence[Tensor], weight: float, cache: dict[int, Alone] | None) -> list[Group]:
        """Code groups with a weight; `cache` keeps what does not depend on the group before."""
        before, groups = self.before, []
        for index, latent in enumerate(latents):
            own = cache.get(index) if cache is not None else None
            if cache is not None and (own is None or own.weight > weight):
                # Of one picture everything is found out at once, of many a little more than is asked.
                own = cache[index] = alone(self.model, latent, self.most, weight / 4 if len(latents) > 1 else 0.0)
            latent_before = None if before is None else before.latent
            found = candidates(self.model, latent, latent_before, self.most, weight, own)
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

"""From latents to rows of patches at a wanted rate.

The knob is lambda (see `rdo.py`). Given a budget it is found by trying: all groups of a window are coded with a lambda,
their bytes counted exactly as they will be written, and lambda moved until they fit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from ..bitstream.patch_payload import vision_bytes
from ..entropy.code_tables import EntropyTables
from ..settings import EncoderSettings
from ..vision.network import JovioNetwork
from .rdo import IntraSearch, apply_choice, choose_modes, mode_costs, search_intra
from .reconstruct import Group

TOLERANCE, ROUGH_TOLERANCE = 0.01, 0.05  # of the logarithm of a rate
MAX_TRIES = 12
VIDEO_BEAMS = 4
ROUGH_BEAMS = 2  # where only lambda is wanted
LAMBDA_RANGE = 4  # how far lambda may move in a rough search before an intra search has to be repeated
MAX_CACHED_PATCHES = 1 << 18  # whose costs are kept while lambda is searched for, half a kilobyte each
MIN_LAMBDA, MAX_LAMBDA = 1e-7, 1e2


class RowEncoder:
    """Codes frame groups one after the other, each with the one before as the reference of its predictions.

    Args:
        network: the model.
        settings: of the encoder.
        tables: entropy tables that the rows will be written with, if the model has any.
        max_levels: levels that a patch may have.
        predict: whether to try predictions from the group before.
    """

    def __init__(
        self,
        network: JovioNetwork,
        settings: EncoderSettings,
        tables: EntropyTables | None,
        max_levels: int,
        predict: bool = True,
    ):
        self.network, self.settings, self.tables = network, settings, tables
        self.predict = predict
        self.max_levels = max_levels
        self.reference: Group | None = None
        self.rd_lambda = settings.rd_lambda
        self.context_gain = 0.0  # what the context model adds to the logarithm of a size

    def uniform(self, latents: Sequence[Tensor], n_q: int) -> list[Group]:
        """Code groups [h, w, D] with `n_q` levels in every patch."""
        groups = []
        for latent in latents:
            own = self._intra(latent, n_q, -1.0, self.settings.beams)
            costs = mode_costs(self.network, latent, None, own)
            counts = torch.full((latent.shape[0] * latent.shape[1],), n_q, device=latent.device)
            choice = (torch.zeros_like(counts), counts)
            groups.append(apply_choice(self.network, costs, choice, _shape(latent), None))
        return self._remember(groups)

    def with_lambda(self, latents: Sequence[Tensor], rd_lambda: float) -> list[Group]:
        """Code groups at a lambda."""
        self.rd_lambda = rd_lambda
        return self._remember(self._run(latents, rd_lambda, None, self._beams(latents)))

    def coded(self, latent: Tensor, rd_lambda: float, beams: int) -> Group:
        """Code a group [h, w, D] by itself at a lambda, with so many hypotheses."""
        return self._run([latent], rd_lambda, None, beams)[0]

    def within(self, latents: Sequence[Tensor], bits: float) -> list[Group]:
        """Code groups so that they take about `bits` bits together."""
        rd_lambda, beams = self.rd_lambda, self._beams(latents)
        if beams > 1:
            # Lambda is first found with quick searches, which come near what thorough ones will take.
            rough = ROUGH_BEAMS if len(latents) == 1 else 1
            rd_lambda, _ = self._matched(latents, bits, rd_lambda, rough, ROUGH_TOLERANCE)
        self.rd_lambda, groups = self._matched(latents, bits, rd_lambda, beams, TOLERANCE)
        return self._remember(groups)

    def _matched(
        self, latents: Sequence[Tensor], bits: float, rd_lambda: float, beams: int, tolerance: float
    ) -> tuple[float, list[Group]]:
        """The lambda at which groups take about `bits` bits, and what they become."""
        low, high = MIN_LAMBDA, MAX_LAMBDA  # too many bits, too few
        patches = sum(latent.shape[0] * latent.shape[1] for latent in latents)
        cache: dict[int, IntraSearch] | None = {} if patches <= MAX_CACHED_PATCHES else None
        best: tuple[float, float, list[Group]] = (math.inf, rd_lambda, [])
        points: list[tuple[float, float]] = []
        wanted = math.log(max(bits, 1))
        for _ in range(MAX_TRIES):
            groups = self._run(latents, rd_lambda, cache, beams)
            taken = self._log_bits(groups, False) + self.context_gain
            if abs(taken - wanted) < tolerance or not points:
                exact = self._log_bits(groups, True)
                self.context_gain, taken = self.context_gain + exact - taken, exact
            if abs(taken - wanted) < best[0]:
                best = (abs(taken - wanted), rd_lambda, groups)
            if best[0] < tolerance or high / low < 1.001:
                break
            low, high = (rd_lambda, high) if taken > wanted else (low, rd_lambda)
            points.append((math.log(rd_lambda), taken))
            rd_lambda = _next(points, wanted, low, high)
        return best[1], best[2]

    def _log_bits(self, groups: list[Group], exactly: bool) -> float:
        """Logarithm of the bits that groups take in a file."""
        size, tables = self.network.codebook_size, self.tables
        total = sum(vision_bytes(g.rows, self.max_levels, size, tables, exactly) for g in groups)
        return math.log(max(8 * total, 1))

    def _beams(self, latents: Sequence[Tensor]) -> int:
        """Hypotheses of the beam searches: fewer in videos, most of which is predicted."""
        return self.settings.beams if len(latents) == 1 else min(self.settings.beams, VIDEO_BEAMS)

    def _intra(self, latent: Tensor, max_levels: int, min_lambda: float, beams: int) -> IntraSearch:
        return search_intra(
            self.network,
            latent,
            max_levels,
            min_lambda,
            beams=beams,
            masking=self.settings.masking,
            tables=self.tables,
        )

    def _run(
        self, latents: Sequence[Tensor], rd_lambda: float, cache: dict[int, IntraSearch] | None, beams: int
    ) -> list[Group]:
        """Code groups at a lambda; `cache` keeps what does not depend on the group before."""
        reference, groups = self.reference, []
        for index, latent in enumerate(latents):
            own = cache.get(index) if cache is not None else None
            if own is None or own.min_lambda > rd_lambda:
                min_lambda = rd_lambda
                if cache is not None:  # a little more is searched than is asked, for the lambdas tried next
                    min_lambda /= LAMBDA_RANGE if beams == 1 else 1 + ROUGH_TOLERANCE * 4
                own = self._intra(latent, self.max_levels, min_lambda, beams)
                if cache is not None:
                    cache[index] = own
            predicted_from = reference.latent if reference is not None and self.predict else None
            costs = mode_costs(self.network, latent, predicted_from, own, rd_lambda, self.tables)
            choice = choose_modes(self.network, costs, rd_lambda)
            reference = apply_choice(self.network, costs, choice, _shape(latent), reference)
            groups.append(reference)
        return groups

    def _remember(self, groups: list[Group]) -> list[Group]:
        self.reference = groups[-1] if groups else self.reference
        return groups


def _shape(latent: Tensor) -> tuple[int, int]:
    return latent.shape[0], latent.shape[1]


def _next(points: list[tuple[float, float]], wanted: float, low: float, high: float) -> float:
    """The lambda to try next: on the line through the last two points, else in the middle of the bracket."""
    x, y = points[-1]
    slope = -0.6  # as a rule, of log bits over log lambda
    if len(points) > 1 and points[-2][0] != x:
        measured = (y - points[-2][1]) / (x - points[-2][0])
        slope = measured if -3 < measured < -0.05 else slope
    guess = math.exp(min(max(x + (wanted - y) / slope, -30.0), 30.0))
    return guess if len(points) < 6 and low < guess < high else math.sqrt(low * high)

"""Looking for the lambda at which pictures fit a rate, whatever codes them.

The knob is lambda (see `rdo.py`). Given a budget it is found by trying: all groups of a window are coded with a lambda,
their bytes counted exactly as they will be written, and lambda moved until they fit.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Generic, TypeVar

from ..bitstream.patch_payload import vision_bytes
from ..entropy.code_tables import EntropyTables
from ..settings import EncoderSettings
from .picture_network import CodedRows

G = TypeVar("G", bound=CodedRows)  # a group as it is coded
TOLERANCE, ROUGH_TOLERANCE = 0.01, 0.05  # of the logarithm of a rate
MAX_TRIES = 12
VIDEO_BEAMS = 4
ROUGH_BEAMS = 2  # where only lambda is wanted
LAMBDA_RANGE = 4  # how far lambda may move in a rough search before an intra search has to be repeated
MAX_CACHED_PATCHES = 1 << 18  # whose costs are kept while lambda is searched for, half a kilobyte each
MIN_LAMBDA, MAX_LAMBDA = 1e-7, 1e2
# Of the searches for codes, see `rdo.py`.
MAX_GAIN = 0.6  # of the error that is left, the most that one more level takes away
CLEAR, USUAL = 0.3, 2.0  # squared error that one level leaves over: below the first all patches are as smooth
MAX_LAMBDA_SCALE = 10.0


class RateSearch(ABC, Generic[G]):
    """Codes frame groups one after the other.

    Args:
        settings: of the encoder.
        tables: entropy tables that the rows will be written with, if the model has any.
        max_levels: levels that a patch may have.
        codebook_size: of the model.
    """

    def __init__(self, settings: EncoderSettings, tables: EntropyTables | None, max_levels: int, codebook_size: int):
        self.settings, self.tables, self.max_levels, self.codebook_size = settings, tables, max_levels, codebook_size
        self.rd_lambda = settings.rd_lambda
        self.context_gain = 0.0  # what the context model adds to the logarithm of a size

    @abstractmethod
    def run(self, latents: Sequence[Any], rd_lambda: float, cache: dict[int, Any] | None, beams: int) -> list[G]:
        """Code groups at a lambda; `cache` keeps what does not depend on the group before."""

    @abstractmethod
    def _intra(self, latent: Any, max_levels: int, min_lambda: float, beams: int) -> Any:
        """Search for the codes of a group by itself, for all lambdas from `min_lambda` on, which the result names."""

    def searched(self, cache: dict[int, Any] | None, index: int, latent: Any, rd_lambda: float, beams: int) -> Any:
        """The search of a group by itself, from the cache where that one went as far."""
        own = cache.get(index) if cache is not None else None
        if own is None or own.min_lambda > rd_lambda:
            min_lambda = rd_lambda
            if cache is not None:  # a little more is searched than is asked, for the lambdas tried next
                min_lambda /= LAMBDA_RANGE if beams == 1 else 1 + ROUGH_TOLERANCE * 4
            own = self._intra(latent, self.max_levels, min_lambda, beams)
            if cache is not None:
                cache[index] = own
        return own

    def remember(self, groups: list[G]) -> list[G]:
        """Take note of groups that are final."""
        return groups

    def with_lambda(self, latents: Sequence[Any], rd_lambda: float) -> list[G]:
        """Code groups at a lambda."""
        self.rd_lambda = rd_lambda
        return self.remember(self.run(latents, rd_lambda, None, self._beams(latents)))

    def coded(self, latent: Any, rd_lambda: float, beams: int) -> G:
        """Code a group [h, w, D] by itself at a lambda, with so many hypotheses."""
        return self.run([latent], rd_lambda, None, beams)[0]

    def within(self, latents: Sequence[Any], bits: float) -> list[G]:
        """Code groups so that they take about `bits` bits together."""
        rd_lambda, beams = self.rd_lambda, self._beams(latents)
        if beams > 1:
            # Lambda is first found with quick searches, which come near what thorough ones will take.
            rough = ROUGH_BEAMS if len(latents) == 1 else 1
            rd_lambda, _ = self._matched(latents, bits, rd_lambda, rough, ROUGH_TOLERANCE)
        self.rd_lambda, groups = self._matched(latents, bits, rd_lambda, beams, TOLERANCE)
        return self.remember(groups)

    def _matched(
        self, latents: Sequence[Any], bits: float, rd_lambda: float, beams: int, tolerance: float
    ) -> tuple[float, list[G]]:
        """The lambda at which groups take about `bits` bits, and what they become."""
        low, high = MIN_LAMBDA, MAX_LAMBDA  # too many bits, too few
        patches = sum(latent.shape[0] * latent.shape[1] for latent in latents)
        cache: dict[int, Any] | None = {} if patches <= MAX_CACHED_PATCHES else None
        best: tuple[float, float, list[G]] = (math.inf, rd_lambda, [])
        points: list[tuple[float, float]] = []
        wanted = math.log(max(bits, 1))
        for _ in range(MAX_TRIES):
            groups = self.run(latents, rd_lambda, cache, beams)
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

    def _log_bits(self, groups: list[G], exactly: bool) -> float:
        """Logarithm of the bits that groups take in a file."""
        size, tables = self.codebook_size, self.tables
        total = sum(vision_bytes(g.rows, self.max_levels, size, tables, exactly) for g in groups)
        return math.log(max(8 * total, 1))

    def _beams(self, latents: Sequence[Any]) -> int:
        """Hypotheses of the beam searches: fewer in videos, most of which is predicted."""
        return self.settings.beams if len(latents) == 1 else min(self.settings.beams, VIDEO_BEAMS)


def _next(points: list[tuple[float, float]], wanted: float, low: float, high: float) -> float:
    """The lambda to try next: on the line through the last two points, else in the middle of the bracket."""
    x, y = points[-1]
    slope = -0.6  # as a rule, of log bits over log lambda
    if len(points) > 1 and points[-2][0] != x:
        measured = (y - points[-2][1]) / (x - points[-2][0])
        slope = measured if -3 < measured < -0.05 else slope
    guess = math.exp(min(max(x + (wanted - y) / slope, -30.0), 30.0))
    return guess if len(points) < 6 and low < guess < high else math.sqrt(low * high)

"""Steps that make a window fit its budget: a forecast from the lookahead, set right by what pictures really take."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..vision.motion_planes import PATCH
from ..vision.motion_residual import MAX_STEP
from .motion_lookahead import COARSEST, FINEST, Lookahead
from .motion_plan import Planned

LEAST, MOST = -FINEST, MAX_STEP - COARSEST  # steps of a window
EVEN = 6.0  # by how much steps may differ within a window that is as it should be
OFF = 4.0, 8.0  # by how much the step turns out to be wrong behind the first part, and the second, to begin again
FREEDOM = 12.0  # by how much they may differ from the one that was meant
_GRID = np.arange(0.0, MAX_STEP + 1, 4.0)
# bits of a patch: flat + 256 slope log2(1 + (error of a pixel / (width step)) ^ power), as fitted to clips, of key
# pictures and of others
_KEY = {"width": 0.22, "slope": 0.48, "power": 2.6, "flat": 3.4}
_OTHER = {"width": 0.13, "slope": 0.14, "power": 1.67, "flat": 0.12}


class Forecast:
    """What the pictures of a window will take.

    Attributes:
        layers: int [P] of the pictures.
    """

    def __init__(self, pictures: Sequence[Planned], ahead: Lookahead):
        self.layers = np.array([p.layer for p in pictures])
        self._bits = np.stack([_forecast(ahead.errors(p), ahead.offsets[p.shown], p.layer == 0) for p in pictures])

    def bits(self, step: float | np.ndarray) -> np.ndarray:
        """Of each picture [P] at a step, or at one each."""
        place = np.clip(np.asarray(step) / 4.0, 0, len(_GRID) - 1.001)
        n = np.broadcast_to(place.astype(int), len(self.layers))
        part, rows = place - n, np.arange(len(self.layers))
        return 2 ** ((1 - part) * self._bits[rows, n] + part * self._bits[rows, n + 1])


def _forecast(errors: np.ndarray, offsets: np.ndarray, key: bool) -> np.ndarray:
    """log2 of the bits of a picture at the steps of the grid."""
    return np.asarray(np.log2(patch_bits(errors.ravel(), _GRID[:, None] + offsets.ravel(), key).sum(-1)))


def patch_bits(errors: np.ndarray, steps: np.ndarray, key: bool) -> np.ndarray:
    """What patches of a picture take, about, with these absolute errors of their predictions, and steps."""
    how = _KEY if key else _OTHER
    ratio = errors / (PATCH * PATCH) / (how["width"] * 2 ** (steps / 16))
    return np.asarray(how["slope"] * PATCH * PATCH * np.log2(1 + ratio ** how["power"]) + how["flat"])


class Course:
    """One run through a window: says the step of the next picture, and is told what it took.

    Args:
        forecast: of the window.
        budget: in bits.
        ratios: of what pictures of each layer took to what was forecast, in earlier windows.
        before: the run before, if there was one.
    """

    def __init__(self, forecast: Forecast, budget: float, ratios: np.ndarray, before: Course | None = None):
        self.forecast, self.budget = forecast, budget
        self.prior, self._own = ratios, None if before is None else before.own_ratios
        self.steps: list[float] = []
        self.sizes: list[float] = []
        self.start = self._solved()

    @property
    def bits(self) -> float:
        """So far."""
        return sum(self.sizes)

    @property
    def spread(self) -> float:
        """By how much the steps differ: four standard deviations, by bits."""
        steps, bits = np.array(self.steps), np.array(self.sizes)
        mean = np.average(steps, weights=bits)
        return float(4 * np.average((steps - mean) ** 2, weights=bits) ** 0.5)

    def next_step(self) -> float:
        """The step that will use up the budget."""
        return min(max(self._solved(), self.start - FREEDOM), self.start + FREEDOM)

    def took(self, step: float, bits: float) -> None:
        """Note a picture."""
        self.steps.append(step)
        self.sizes.append(bits)

    @property
    def own_ratios(self) -> np.ndarray:
        """Of each picture what it took to what was forecast at its step."""
        return np.array(self.sizes) / self.forecast.bits(np.array(self.steps))

    @property
    def ratios(self) -> np.ndarray:
        """The same by layer [3], with the earlier ones as if they were of one picture."""
        done = len(self.sizes)
        out = np.array(self.prior)
        known = self.forecast.bits(np.array([*self.steps, *[0.0] * (len(self.forecast.layers) - done)]))[:done]
        for layer in range(3):
            of: np.ndarray = self.forecast.layers[:done] == layer
            if of.any():
                one = known[of].mean()
                out[layer] = (out[layer] * one + np.array(self.sizes)[of].sum()) / (one + known[of].sum())
        return out

    def _solved(self) -> float:
        """The step with which what is left takes what is left of the budget."""
        done = len(self.sizes)
        ratios = self.ratios[self.forecast.layers]
        if self._own is not None:
            ratios = self._own
            if done:
                steps = np.array([*self.steps, *[0.0] * (len(ratios) - done)])
                ratios = ratios * (self.bits / (ratios * self.forecast.bits(steps))[:done].sum())
        left = max(self.budget - self.bits, self.budget / 5000)
        low, high = LEAST, MOST
        for _ in range(16):
            middle = (low + high) / 2
            if (ratios * self.forecast.bits(middle))[done:].sum() > left:
                low = middle
            else:
                high = middle
        return (low + high) / 2

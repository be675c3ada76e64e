"""Coding the patches of a picture that have few colours, at a lambda or in a number of bits."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..bitstream.screen_payload import Screen, pack_screen
from ..entropy.index_map import Wanted
from .screen_colors import Colors

PIXEL_LAMBDA = 0.3  # of lambda, where colours are chosen: a pixel out of place also spoils what comes after it
LEAST_LAMBDA, MOST_LAMBDA = 0.05, 1e5
FIRST_BITS = 3.5  # of a change of colour at a lambda of 1
SLOPE = -0.2  # of the logarithm of a size over that of lambda, as a rule
NEAR = 0.02  # of the logarithm of a size
MAX_TRIES = 4
SEARCHED = 2  # parts that a lambda is looked for on
MARGINAL = 0.6  # of the bits of a patch, that would be saved without it: the others have learned from it
SAMPLED = 4  # every so many rows of pixels are looked at
EQUAL = 0.6  # share of pixels that are like the one to the left, in a patch that is taken for drawn
SOME_EQUAL = 0.4  # the same in a patch that is tried, once there are such patches
NEARLY = 6  # by which pixels may differ that are alike but for the traces of a codec
FEW = 8  # colours of the pixels looked at, in a patch that is taken for drawn whatever their order, as dither has them
SOME_FEW = 24  # the same in a patch that is tried
CONTRAST = 48  # between pixels of a patch that has something drawn on it
FLAT = 0.9  # share of equal pixels, and of such patches, in a picture that is worth a try without contrast
DRAWN = 0.02  # share of such patches in a picture that is worth a try


@dataclass(frozen=True)
class CodedScreen:
    """What patches have become.

    Attributes:
        data: their bytes.
        screen: what a decoder makes of them.
    """

    data: bytes
    screen: Screen


def likely_patches(rows: np.ndarray, patch: int) -> np.ndarray | None:
    """Patches bool [h, w] of a picture that may have few colours, among them those that another codec has blurred a
    little; None if too few are as they were drawn. A quick look, which photographs do not pass.

    Args:
        rows: uint8 [h * patch / `SAMPLED`, w * patch, 3], every so many rows of its pixels.
        patch: side of a patch in pixels.
    """
    if patch % SAMPLED:
        return None
    shape = (SAMPLED * len(rows) // patch, patch // SAMPLED, rows.shape[1] // patch, patch)
    change = np.full(rows.shape[:2], 255, np.uint8)
    change[:, 1:] = (np.maximum(rows[:, 1:], rows[:, :-1]) - np.minimum(rows[:, 1:], rows[:, :-1])).max(-1)
    exact, nearly = ((change <= most).reshape(shape).mean((1, 3)) for most in (0, NEARLY))
    green = rows[..., 1].reshape(shape)
    drawn = green.max((1, 3)) - green.min((1, 3)) >= CONTRAST
    distinct = _distinct(rows, shape)
    likely: np.ndarray = (nearly >= SOME_EQUAL) | (distinct <= SOME_FEW)
    flat = bool((exact >= FLAT).mean() >= FLAT)
    return likely if flat or (((exact >= EQUAL) | (distinct <= FEW)) & drawn).mean() >= DRAWN else None


def _distinct(rows: np.ndarray, shape: tuple[int, int, int, int]) -> np.ndarray:
    """How many colours the pixels of each patch have, int64 [h, w]; `shape` as patches and their rows and columns."""
    packed = (rows[..., 0].astype(np.int32) << 16) + (rows[..., 1].astype(np.int32) << 8) + rows[..., 2]
    ordered = np.sort(packed.reshape(shape).swapaxes(1, 2).reshape(shape[0], shape[2], -1), -1)
    count: np.ndarray = 1 + (ordered[..., 1:] != ordered[..., :-1]).sum(-1)
    return count


class ScreenPicture:
    """Codes some patches of a picture.

    Args:
        pixels: uint8 [h * patch, w * patch, 3].
        patches: bool [h, w], which ones.
        patch: their side in pixels.
        parts: rows of patches that are coded together, as first and behind the last.
    """

    def __init__(self, pixels: np.ndarray, patches: np.ndarray, patch: int, parts: list[tuple[int, int]]):
        self.pixels, self.patches, self.patch, self.parts = pixels, patches, patch, parts
        self._encoders: dict[tuple[int, int], _Part] = {}
        self._coded: dict[tuple[tuple[int, int], float], CodedScreen] = {}
        self.known = (1.0, 0.0)  # a lambda, and the bits at it

    def coded(self, part: tuple[int, int], rd_lambda: float) -> CodedScreen:
        """The patches of some rows at a lambda, of a squared error in units of 8-bit pixels; no bytes if there are
        none."""
        key = (part, rd_lambda)
        if key not in self._coded:
            self._coded[key] = self._part(part).coded(rd_lambda)
        return self._coded[key]

    def _part(self, part: tuple[int, int]) -> _Part:
        if part not in self._encoders:
            edge = slice(part[0] * self.patch, part[1] * self.patch)
            self._encoders[part] = _Part(self.pixels[edge], self.patches[part[0] : part[1]], self.patch)
        return self._encoders[part]

    def size(self, rd_lambda: float) -> float:
        """Bits at a lambda."""
        return 8.0 * sum(len(self.coded(part, rd_lambda).data) for part in self.parts)

    def bits(self, rd_lambda: float) -> float:
        """Bits at a lambda, about."""
        return self.known[1] * (rd_lambda / self.known[0]) ** SLOPE

    def measure(self, rd_lambda: float) -> float:
        """Know how many bits there are at a lambda; gives the logarithm of how far off it was."""
        before, self.known = self.bits(rd_lambda), (rd_lambda, self.size(rd_lambda))
        return math.log(max(self.known[1], 1.0) / max(before, 1.0))

    def some(self, patches: np.ndarray, rd_lambda: float) -> ScreenPicture:
        """Some of these patches, and what they would take, about; all of them have been coded at a lambda."""
        new = ScreenPicture(self.pixels, patches, self.patch, self.parts)
        changes = np.concatenate([self._part(part).changes() for part in self.parts])
        share = float(changes[patches].sum() / max(changes.sum(), 1.0))
        new.known = (rd_lambda, share * self.size(rd_lambda))
        return new

    def costs(self, rd_lambda: float) -> np.ndarray:
        """What each patch [h, w] costs: squared error + lambda x bits, about."""
        found = np.zeros(self.patches.shape)
        for part in self.parts:
            coded = self.coded(part, rd_lambda)
            found[part[0] : part[1]] = self._part(part).costs(coded, rd_lambda)
        return found

    def within(self, bits: float) -> float:
        """The lambda at which the patches take so many bits, or a little less. Of a large picture it is looked for on
        two parts."""
        changes = [float(self._part(part).changes().sum()) for part in self.parts]
        third = len(self.parts) // 3
        some = range(len(self.parts)) if len(self.parts) <= SEARCHED else (third, 2 * third)
        known = ScreenPicture(self.pixels, self.patches, self.patch, [self.parts[k] for k in some])
        known._encoders, known._coded = self._encoders, self._coded
        if not sum(changes):
            return LEAST_LAMBDA  # one colour takes next to nothing
        share = sum(changes[k] for k in some) / sum(changes)
        rd_lambda = known._searched(share * bits, sum(changes[k] for k in some))
        off = math.log(max(self.size(rd_lambda), 1.0) / max(bits, 1.0)) if len(self.parts) > SEARCHED else 0.0
        return rd_lambda if abs(off) < NEAR else min(rd_lambda * math.exp(-off / SLOPE), MOST_LAMBDA)

    def _searched(self, bits: float, changes: float) -> float:
        low, high = LEAST_LAMBDA, MOST_LAMBDA  # too many bits, few enough
        rd_lambda = min(max((bits / max(changes, 1.0) / FIRST_BITS) ** (1 / SLOPE), 10 * low), high / 50)
        points: list[tuple[float, float]] = []
        for _ in range(MAX_TRIES):
            off = math.log(max(self.size(rd_lambda), 1.0) / max(bits, 1.0))
            points.append((math.log(rd_lambda), off))
            low, high = (rd_lambda, high) if off > 0 else (low, rd_lambda)
            if -NEAR < off <= 0 or high / low < 1.02:
                break
            slope = SLOPE
            if len(points) > 1:
                measured = (off - points[-2][1]) / (points[-1][0] - points[-2][0])
                slope = measured if -1.5 < measured < -0.05 else slope
            guess = math.exp(min(max(points[-1][0] - (off + NEAR / 2) / slope, -20.0), 20.0))
            rd_lambda = guess if low < guess < high else math.sqrt(low * high)
        return high


class _Part:
    """Codes the patches of some rows."""

    def __init__(self, pixels: np.ndarray, patches: np.ndarray, patch: int):
        self.pixels, self.patches, self.patch = pixels, patches, patch
        self.inside = patches.repeat(patch, 0).repeat(patch, 1)

    @cached_property
    def _colors(self) -> Colors:
        return Colors.of(self.pixels, self.inside)

    def coded(self, rd_lambda: float) -> CodedScreen:
        if not self.patches.any():
            return CodedScreen(b"", Screen(self.patches, np.zeros((0, 3), np.uint8), self.inside.astype(np.uint8)))
        colors = self._colors
        palette = colors.palette(rd_lambda)
        errors = colors.errors(palette)
        nearest = errors.argmin(1)
        costs = (errors / (rd_lambda * PIXEL_LAMBDA)).astype(np.float64)
        data, screen = pack_screen(self.patches, palette, self.patch, _rows(colors.which, nearest, costs))
        return CodedScreen(data, screen)

    def costs(self, coded: CodedScreen, rd_lambda: float) -> np.ndarray:
        """Costs of patches; bits are taken to be where colours change."""
        error = np.where(self.inside, np.square(self.pixels.astype(np.float64) - coded.screen.pixels()).sum(-1), 0.0)
        changes = self.changes()
        bits = MARGINAL * 8 * len(coded.data) * changes / max(changes.sum(), 1.0)
        return self._per_patch(error) + rd_lambda * bits

    def changes(self) -> np.ndarray:
        """How often colours change in each patch."""
        return self._per_patch(self._colors.edges) if self.patches.any() else np.zeros(self.patches.shape)

    def _per_patch(self, values: np.ndarray) -> np.ndarray:
        height, width = self.patches.shape
        return values.reshape(height, self.patch, width, self.patch).sum((1, 3), dtype=np.float64)


def _rows(which: np.ndarray, nearest: np.ndarray, costs: np.ndarray) -> Iterator[Wanted]:
    for row in which:
        own = nearest[row]
        ends = np.append(np.flatnonzero(own[1:] != own[:-1]) + 1, len(own))
        same = ends[np.searchsorted(ends, np.arange(len(own)), side="right")]
        yield Wanted(costs, row, own, same)

"""Still pictures with a detail layer: at a lambda, or so that base and detail fit a budget.

A base with detail is best coded at the same lambda whatever the rate, and the step of the detail makes the difference.
Where that base alone takes too much, a picture is coded as without the layer. Patches of few colours, as screenshots
and drawings have them, are coded by themselves where that costs less.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from ..bitstream.container import MAX_PAYLOAD
from ..bitstream.patch_payload import DetailPart, PatchRows, vision_bytes
from ..bitstream.screen_payload import Screen
from ..entropy.code_tables import EntropyTables
from ..media.pixels import as_floats
from ..settings import EncoderSettings, Rate, checked_levels
from ..vision.detail_steps import FINEST, PER_OCTAVE, STEPS
from .detail_decoder import covered, in_grey, screens_of, with_detail
from .picture_base import BASE_SHARE, COARSEST, ROUGHLY, PictureBase
from .picture_network import PictureNetwork
from .picture_sizes import LARGE, parts_of
from .picture_tools import BASE_LAMBDA, Fineness, Tools
from .result import Progress, no_progress
from .screen import SAMPLED, ScreenPicture, likely_patches
from .vision_writer import END_BYTES

USUAL_LAMBDA, USUAL_STEP = 0.03, 75.0  # of a base alone, and of a detail that is worth as much
FIRST_STEP = 92  # that is tried
FINER = 24  # steps by which patches of few colours make a picture finer, to begin with
MOSTLY = 0.8  # share of patches that must look like few colours, for all of them to be tried
GOOD_ENOUGH = 1e-4  # mean squared error at which nothing else is tried then
SLACK = 1.05  # of a budget, by which ways may miss it
SMOOTHED_BYTES = 4  # of a part whose base is smoothed, and no more
MATTERS = 0.02  # of a budget that smoothing takes: it is tried without, too
USUAL_SLOPE = 1.7  # of the logarithm of lambda over that of bits


def step_for(rd_lambda: float) -> int:
    """The step that is worth as much as a lambda of a base alone; beyond `COARSEST` the base alone is better."""
    size = max(rd_lambda / USUAL_LAMBDA * USUAL_STEP, FINEST)
    return min(STEPS - 1, round(PER_OCTAVE * math.log2(size / FINEST)))


class StillEncoder:
    """Encodes one picture for a file, as `GroupEncoder` does, without a detail layer.

    Args:
        network: the model.
        rate: what the file may take.
        size: height and width.
        settings: of the encoder; None for those of the network.
        tables: entropy tables that the file will be written with.
    """

    def __init__(
        self,
        network: PictureNetwork,
        rate: Rate,
        size: tuple[int, int],
        settings: EncoderSettings | None,
        tables: EntropyTables | None,
    ):
        self.network, self.rate, self.size = network, rate, size
        self.settings, self.tables = settings or network.settings, tables
        self.levels = network.n_q if rate.n_q is None else checked_levels(rate.n_q, self.settings, network.n_q)
        self.overhead = 0.0  # bits that the rest of the file takes
        self.progress: Progress = no_progress
        self.taken = 0
        self._pictures: list[np.ndarray] = []

    def add(self, picture: np.ndarray) -> list[PatchRows]:
        """Take the picture [3, H, W], in [0, 1] or bytes."""
        self.taken += 1
        self._pictures.append(picture)
        return []

    def finish(self) -> list[PatchRows]:
        """Its rows."""
        picture = padded(self._pictures.pop()[None], self.network.patch)
        return [self._coded(picture, self.rate.bits(self.size[0] * self.size[1], 1, 0.0))]

    def _coded(self, picture: np.ndarray, bits: float | None) -> PatchRows:
        latents = [self.network.still_latent(as_floats(picture))]
        rows = self.network.rows_encoder(self.settings, self.tables, self.levels)
        if self.rate.n_q is not None:
            return rows.uniform(latents, self.levels)[0].rows
        if bits is None:
            return rows.with_lambda(latents, self.rate.rd_lambda or self.settings.rd_lambda)[0].rows
        return rows.within(latents, bits - self.overhead)[0].rows


class DetailEncoder(StillEncoder):
    """The same with a detail layer.

    Args:
        network: a model that has one.
        rate: what the file may take; not a number of levels.
        size, settings, tables: as there.
        grey: whether it is a picture of greys, and the file says so.
    """

    def __init__(
        self,
        network: PictureNetwork,
        rate: Rate,
        size: tuple[int, int],
        settings: EncoderSettings | None,
        tables: EntropyTables | None,
        grey: bool = False,
    ):
        super().__init__(network, rate, size, settings, tables)
        self.tools = Tools.of(network, self.settings, tables, grey)
        self.known: list[OnePicture] = []  # the picture, if it was encoded at another rate before; else it is put in

    def _coded(self, picture: np.ndarray, bits: float | None) -> PatchRows:
        tools = replace(self.tools, progress=self.progress)
        if not self.known:
            self.known.append(OnePicture(tools, picture))
        one = self.known[0]
        one.tools = tools
        if bits is None:
            rows = one.at(self.rate.rd_lambda or tools.settings.rd_lambda)
        else:
            rows = one.within(bits - self.overhead)
        self.progress(1.0)
        return rows


def padded(x: np.ndarray, patch: int) -> np.ndarray:
    """Pictures [..., H, W], edges repeated to the right and below until both sides are multiples of `patch`."""
    height, width = x.shape[-2:]
    edges = [(0, 0)] * (x.ndim - 2) + [(0, -height % patch), (0, -width % patch)]
    return np.pad(x, edges, "edge") if edges[-1][1] or edges[-2][1] else x


@dataclass(frozen=True)
class _Way:
    """A way to code a picture: its rows, and their patches of few colours if these are known."""

    rows: PatchRows
    screens: list[Screen | None] | None = None


class OnePicture:
    """A picture [1, 3, H, W] of whole patches, and the ways to code it."""

    def __init__(self, tools: Tools, picture: np.ndarray):
        self.tools, self.network, self.picture = tools, tools.network, picture
        self.latent = tools.network.still_latent(picture)
        self._known_base: PictureBase | None = None
        self.likely = likely_patches(_pixels(picture[..., SAMPLED // 2 :: SAMPLED, :]), self.network.patch)

    @cached_property
    def pixels(self) -> np.ndarray:
        """uint8 [H, W, 3]."""
        return _pixels(self.picture)

    def at(self, rd_lambda: float) -> PatchRows:
        """At a lambda of a base alone."""
        step = step_for(rd_lambda)
        if step <= COARSEST:
            base, at = self._base(), self.tools.fineness(step)
            screen = self._screen(base, at)
            return (base if screen is None else base.beside(screen)).with_detail(at)
        return self._smoothed(self.tools.rows_encoder().with_lambda([self.latent], rd_lambda)[0].rows)

    def within(self, bits: float) -> PatchRows:
        """In a number of bits, about."""
        ways: list[_Way] = []
        if self.likely is not None and self.likely.mean() >= MOSTLY:
            alone = self._screen_alone(bits)
            fits = alone is not None and self._bits(alone) <= SLACK * bits
            if alone is not None and fits and self._error(alone) <= GOOD_ENOUGH * self.picture.size:
                return alone.rows
            ways += [alone] if alone is not None else []
        base = self._base()
        fitting = base.fitting(bits, FIRST_STEP, ROUGHLY if self.tools.effort.foresees else 0.0)
        if fitting is not None:
            ways.append(_Way(base.corrected(bits, fitting)))
        if fitting is None or fitting.step > COARSEST:
            ways.append(_Way(self._alone(base, bits)))
        for dearer in self.tools.effort.bases:
            if dearer != 1 and fitting is not None:
                other = PictureBase.coded(self.tools, self.picture, self.latent, dearer)
                at = other.fitting(bits, fitting.step)
                ways += [] if at is None else [_Way(other.corrected(bits, at))]
        if self.likely is not None:
            step = COARSEST if fitting is None else fitting.step
            beside = self._with_screen(base, bits, max(step - FINER, 0))
            ways += [] if beside is None else [beside]
        return self._best(ways, bits).rows

    def _best(self, ways: list[_Way], bits: float) -> _Way:
        """The one of the least error of those that fit a budget; the smallest one if none does."""
        if len(ways) == 1:
            return ways[0]
        fitting = [way for way in ways if self._bits(way) <= SLACK * bits]
        if not fitting:
            return min(ways, key=self._bits)
        return min(fitting, key=self._error) if len(fitting) > 1 else fitting[0]

    def _bits(self, way: _Way) -> float:
        """What a way takes, to within a few bytes."""
        return 8.0 * vision_bytes(way.rows, self.network.n_q, self.network.codebook_size, self.tools.tables)

    def _base(self) -> PictureBase:
        if self._known_base is None:
            self._known_base = PictureBase.coded(self.tools, self.picture, self.latent)
        else:
            self._known_base = self._known_base.anew(self.tools)
            self.tools.progress(BASE_SHARE)
        return self._known_base

    def _alone(self, base: PictureBase, bits: float) -> PatchRows:
        rd_lambda = BASE_LAMBDA * max(base.bits / max(bits, 1.0), 1.0) ** USUAL_SLOPE  # to be tried first
        smoothing = 8.0 * SMOOTHED_BYTES * len(base.parts) if self.tools.coder.bases else 0.0
        rows = self._smoothed(self._codes(bits - smoothing, rd_lambda))
        if not smoothing or rows.counts.size > LARGE or (rows.details and smoothing < MATTERS * bits):
            return rows
        plain = self._codes(bits, rd_lambda)  # what smoothing takes may be better spent on codes
        return rows if rows.details and self._error(_Way(rows)) < self._error(_Way(plain)) else plain

    def _codes(self, bits: float, rd_lambda: float) -> PatchRows:
        """A base that takes about so many bits; `rd_lambda` is tried first."""
        alone = self.tools.rows_encoder()
        alone.rd_lambda = rd_lambda
        return alone.within([self.latent], bits)[0].rows

    def _smoothed(self, rows: PatchRows) -> PatchRows:
        """A base without coefficients, smoothed if the layer can do that, and the picture is better so."""
        if not self.tools.coder.bases:
            return rows
        data = self.tools.coder.without(self.tools.steps(STEPS - 1))
        parts = parts_of(*rows.counts.shape)
        smooth = replace(rows, details=tuple(DetailPart(a, b - a, data) for a, b in parts))
        if rows.counts.size > LARGE:  # whose whole errors would take much memory
            return smooth
        return smooth if self._error(_Way(smooth)) < self._error(_Way(rows)) else rows

    def _with_screen(self, base: PictureBase, bits: float, step: int) -> _Way | None:
        """With patches of few colours beside others, chosen at about this step; None if that does not pay."""
        at = self.tools.fineness(step)
        screen = self._screen(base, at)
        if screen is None or screen.patches.all():
            return None
        beside = base.beside(screen)
        fitting = beside.fitting(bits, step)
        return None if fitting is None else _Way(beside.corrected(bits, fitting))

    def _screen(self, base: PictureBase, at: Fineness) -> ScreenPicture | None:
        """The patches whose few colours cost less than base and detail do; None if there are none."""
        if self.likely is None:
            return None
        every = ScreenPicture(self.pixels, self.likely, self.network.patch, base.parts)
        cheaper = self.likely & (every.costs(at.rd_lambda) < base.costs(at))
        return every.some(cheaper, at.rd_lambda) if cheaper.any() else None

    def _screen_alone(self, bits: float) -> _Way | None:
        """Nothing but patches of few colours; None if that takes more than a block has room for."""
        assert self.likely is not None
        height, columns = self.likely.shape
        empty = np.zeros((height, columns), np.uint8)
        rows = PatchRows(empty, empty, np.zeros(0, np.uint16))
        screen = ScreenPicture(self.pixels, empty == 0, self.network.patch, parts_of(height, columns))
        bits -= 8 * (END_BYTES + vision_bytes(rows, self.network.n_q, self.network.codebook_size, self.tools.tables))
        rd_lambda = screen.within(bits - 8 * 4 * len(screen.parts))
        coded = [screen.coded(part, rd_lambda) for part in screen.parts]
        if max(len(c.data) for c in coded) > MAX_PAYLOAD // 2:
            return None
        details = [DetailPart(a, b - a, b"", c.data) for (a, b), c in zip(screen.parts, coded)]
        return _Way(replace(rows, details=tuple(details)), [c.screen for c in coded])

    def _error(self, way: _Way) -> float:
        """Squared error of what a decoder makes of it, in units of whole range."""
        screens = way.screens or screens_of(way.rows, self.network.patch)
        if covered(way.rows, screens):
            decoded = np.zeros(self.picture.shape, np.float32)
        else:
            decoded = self.network.base(way.rows)
        grey = self.tools.coder.grey
        decoded = with_detail(self.network, decoded, way.rows, screens, grey).clip(0, 1)
        decoded = in_grey(decoded) if grey else decoded
        return float(np.square(decoded - as_floats(self.picture)).sum())


def _pixels(picture: np.ndarray) -> np.ndarray:
    """[1, 3, H, W] in [0, 1], or bytes -> uint8 [H, W, 3]."""
    values = picture[0] if picture.dtype == np.uint8 else np.rint(picture[0] * np.float32(255)).astype(np.uint8)
    return np.ascontiguousarray(values.transpose(1, 2, 0))


def still_encoder(
    network: PictureNetwork,
    rate: Rate,
    size: tuple[int, int],
    settings: EncoderSettings | None = None,
    tables: EntropyTables | None = None,
    grey: bool = False,
) -> StillEncoder:
    """What encodes a still picture: with the detail layer where there is one, and no number of levels is asked for."""
    if network.detail is None or rate.n_q is not None:
        return StillEncoder(network, rate, size, settings, tables)
    return DetailEncoder(network, rate, size, settings, tables, grey)

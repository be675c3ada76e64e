"""The base of a still picture, and what the detail beside it takes at each fineness."""

from __future__ import annotations

import copy
import itertools
import math
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np

from ..bitstream.bitpacking import packed_size
from ..bitstream.container import MAX_PAYLOAD
from ..bitstream.patch_payload import DetailPart, PatchRows
from ..media.pixels import as_floats
from ..vision.block_shapes import to_shapes
from ..vision.dependent_steps import HALF
from ..vision.detail_shapes import SHRINK
from ..vision.detail_steps import PER_OCTAVE, STEPS, DetailSteps
from .detail import ChosenDetail
from .detail_decoder import blocks_of, in_grey
from .picture_network import BaseRows
from .picture_prices import BitPrices
from .picture_sizes import LARGE, PRICED, base_bytes, parts_of, power_of, priced
from .picture_tools import BASE_LAMBDA, Fineness, Tools
from .screen import ScreenPicture
from .vision_writer import END_BYTES

COARSEST = 112  # index of the last step that is better than base alone as a rule
LAST_STEP = 120  # that is tried
SAMPLED_ROWS = 4  # rows of patches at a stretch of these
HALVED = 1 << 14  # patches above which what is wanted is kept in half precision, and shapes of blocks once for all
LATENTS_SHARE, BASE_SHARE = 0.05, 0.2  # of all work, about, that is done when these are
DETAIL_SHARES = (0.4, 0.8, 1.0)  # when each look at the whole picture begins, and when the last one ends
STRETCHES = 3  # of a large picture, that sizes are estimated from
CLOSE_STEP = 8  # steps by which shapes may have been chosen for another
ROUGHLY = 0.06  # how near a size has to come, in its logarithm, for what the filter adds to be foreseen
NEAR_STEP = 0.0125  # of the logarithm of a size: half of what one step makes
FAR_OFF = 0.05  # of it, too: more than the price of bits is to make up for
SETTLED = 0.25  # share of a picture behind which its parts say how far off the whole will be
MIXED_GAIN = 0.976  # of bits of coefficients with mixed probabilities over those said, as a rule
MAP_BYTES = 2  # of a patch, more than its mode and level count take


class PictureBase:
    """A picture's base, and what the detail would take beside it.

    Args:
        tools: what it is encoded with.
        picture: [1, 3, H, W] of whole patches, in [0, 1], or bytes.
        rows: of the base.
        screen: its patches of few colours, which have neither base nor detail; None if there are none.
    """

    def __init__(self, tools: Tools, picture: np.ndarray, rows: PatchRows, screen: ScreenPicture | None = None):
        self.tools, self.network, self.picture, self.rows, self.screen = tools, tools.network, picture, rows, screen
        self.counts = rows.counts
        height, columns = self.counts.shape
        self.parts = parts_of(height, columns)
        self.bits = 8 * base_bytes(rows, tools)
        stretches = max(1, tools.effort.sampled // (SAMPLED_ROWS * columns))
        self.sample = self.parts
        if stretches * SAMPLED_ROWS < height:
            starts = np.linspace(0, height - SAMPLED_ROWS, stretches).round().astype(int)
            if self.counts.size > LARGE:  # a few, and not what is at the edges
                starts = np.linspace(0, height - SAMPLED_ROWS, STRETCHES + 2).round().astype(int)[1:-1]
            self.sample = [(int(first), int(first) + SAMPLED_ROWS) for first in starts]
        self._rows_of: dict[tuple[int, int], tuple[np.ndarray, np.ndarray]] = {}
        self._prices = BitPrices(tools, picture, self.parts, self.sample, screen)
        self.prices: np.ndarray | None = None  # [h, w], what a bit of each patch costs beside the usual one
        self._decoded_last: tuple[tuple[int, int], np.ndarray] | None = None  # of a large picture
        self._decoded_sample: dict[tuple[int, int], np.ndarray] = {}  # of it, too
        self._begin()

    @staticmethod
    def coded(tools: Tools, picture: np.ndarray, latent: Any, dearer: float = 1.0) -> PictureBase:
        """The base of a picture with latents [h, w, D], at the usual lambda times `dearer`."""
        rows = tools.rows_encoder()
        parts, found = parts_of(*latent.shape[:2]), []
        for a, b in parts:
            found.append(rows.coded(latent[a:b], dearer * BASE_LAMBDA, tools.beams).rows)
            tools.progress(LATENTS_SHARE + (BASE_SHARE - LATENTS_SHARE) * b / len(latent))
        return PictureBase(tools, picture, PatchRows.joined(found, latent.shape[1]))

    def anew(self, tools: Tools) -> PictureBase:
        """The same base for another rate: what was chosen beside it is forgotten, what it looks like is not."""
        other = copy.copy(self)
        other.tools = tools
        other._begin()
        return other

    def _begin(self) -> None:
        """Forget all that depends on a rate."""
        # Of bits of the whole over those said of the sample.
        self.gain = MIXED_GAIN if self.tools.coder.dependent else 1.0
        self.power = PRICED  # of bits over their price, with the sign turned around
        self._foreseen: Fineness | None = None
        self._wanted: dict[tuple[int, int], np.ndarray] = {}
        self._shapes: dict[tuple[tuple[int, int], int], np.ndarray] = {}  # of parts, and the step they were chosen for
        self._said: dict[Fineness, float] = {}  # bits of the detail of the whole, by those of the sample
        self._plain = np.zeros(len(self.counts))  # bits of the detail of each row where nothing was foreseen
        self._spread = 1.0  # of bits of a row of all parts over those of one of the sample

    def beside(self, screen: ScreenPicture) -> PictureBase:
        """The same base without the patches that have few colours."""
        counts = np.where(screen.patches, 0, self.counts).astype(np.uint8)
        kept = np.repeat(~screen.patches.reshape(-1), self.counts.reshape(-1))
        return PictureBase(self.tools, self.picture, PatchRows(self.rows.modes, counts, self.rows.codes[kept]), screen)

    def decoded_rows(self, part: tuple[int, int]) -> np.ndarray:
        """Pixels [1, 3, H, W] of some rows of patches, in [0, 1]; of a large picture they are not kept."""
        if self.counts.size <= LARGE or not self.network.is_convolutional:
            edge = slice(part[0] * self.network.patch, part[1] * self.network.patch)
            return self.decoded[..., edge, :]
        if part in self._decoded_sample:
            return self._decoded_sample[part]
        if self._decoded_last is None or self._decoded_last[0] != part:
            decoded = np.clip(self._base_rows.rows(*part), 0, 1)
            self._decoded_last = part, in_grey(decoded) if self.tools.coder.grey else decoded
            if part in self.sample:
                self._decoded_sample[part] = self._decoded_last[1]
        return self._decoded_last[1]

    @cached_property
    def _base_rows(self) -> BaseRows:
        return self.network.base_rows(self.rows)

    @cached_property
    def decoded(self) -> np.ndarray:
        """[1, 3, H, W] in [0, 1]."""
        decoded = self.network.base(self.rows)
        decoded = np.clip(decoded, 0, 1, out=decoded)
        return in_grey(decoded) if self.tools.coder.grey else decoded

    @cached_property
    def latents(self) -> np.ndarray:
        """As the network of the detail layer takes them, [h, w, D]."""
        return self.network.whole_latents(self.rows).astype(np.int32)

    def choose(self, part: tuple[int, int], at: Fineness, spread: np.ndarray | None = None) -> ChosenDetail:
        """The detail of some rows of patches; `spread` as of `DetailCoder.choose`."""
        return self._choose(part, self.wanted(part), at, spread)

    def _choose(
        self, part: tuple[int, int], wanted: np.ndarray, at: Fineness, spread: np.ndarray | None = None
    ) -> ChosenDetail:
        first, last = part
        price = at.bit_price * self._prices.dearer(part)
        if self.prices is not None:
            price = price * blocks_of(self.prices[first:last])[..., None].astype(np.float32)
        skipped = None if self.screen is None else blocks_of(self.screen.patches[first:last])
        steps = self.tools.steps(at.step)
        shapes = self._shapes_of(part, wanted, at.step, steps, price, skipped)
        wanted = self._shaped(wanted, shapes) / steps.sizes().astype(np.float32)
        return self.tools.coder.choose(*self._here(part), wanted, steps, price, skipped, spread, shapes)

    def _shapes_of(
        self,
        part: tuple[int, int],
        wanted: np.ndarray,
        step: int,
        steps: DetailSteps,
        price: np.ndarray,
        skipped: np.ndarray | None,
    ) -> np.ndarray | None:
        """Shapes of blocks, the same whenever a step is tried, so that a size once estimated holds."""
        if not self.tools.coder.shapes:
            return None
        near = ((abs(key[1] - step), key) for key in self._shapes if key[0] == part)
        off, close = min(near, default=(STEPS, (part, step)))
        close = close if off <= CLOSE_STEP else (part, step)
        known = self._shapes.get(close)
        if known is None:
            known = self.tools.coder.shapes_for(*self._here(part), wanted, steps, price, skipped)
            assert known is not None
            self._shapes[part, step] = known
        return known

    def _here(self, part: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
        """Latents and level counts of some rows; the same arrays whenever they are asked for again."""
        if part not in self._rows_of:
            self._rows_of[part] = self.latents[part[0] : part[1]], self.counts[part[0] : part[1]]
        return self._rows_of[part]

    @staticmethod
    def _shaped(wanted: np.ndarray, shapes: np.ndarray | None) -> np.ndarray:
        if shapes is None:
            return wanted
        return to_shapes(wanted, shapes)

    def wanted(self, part: tuple[int, int]) -> np.ndarray:
        """Coefficients of what the base lacks in some rows of patches, in units of 8-bit pixels; if the filter is
        foreseen, without what it will add."""
        wanted = self._wanted.get(part)
        if wanted is None and self._foreseen is not None and part not in self.parts:
            wanted = self._wanted[part] = self._foreseen_rows(part)
        if wanted is None:
            edge = slice(part[0] * self.network.patch, part[1] * self.network.patch)
            original, decoded = as_floats(self.picture[..., edge, :]), self.decoded_rows(part)
            wanted = 255 * self.network.coefficients(original - decoded)
            if self._foreseen is not None:
                if self.screen is not None:
                    decoded = self._beside_screen(part, original, decoded)
                wanted -= self._added(part, decoded, wanted, self._foreseen)
            if self.counts.size > HALVED and part not in self.sample:
                wanted = wanted.astype(np.float16)
            self._wanted[part] = wanted
        return wanted.astype(np.float32, copy=False)

    def _foreseen_rows(self, part: tuple[int, int]) -> np.ndarray:
        """`wanted` of rows that are no part by themselves: those of the parts that they lie in."""
        found = []
        for first, last in self.parts:
            if first < part[1] and last > part[0]:
                rows = slice(2 * max(part[0] - first, 0), 2 * (min(part[1], last) - first))
                found.append(self.wanted((first, last))[rows])
        return np.concatenate(found)

    def foresee(self, at: Fineness) -> None:
        """From here on, want what is missing beside what the filter adds to detail of this fineness."""
        self._foreseen = at
        self._wanted.clear()
        self._said.clear()

    def _beside_screen(self, part: tuple[int, int], original: np.ndarray, decoded: np.ndarray) -> np.ndarray:
        """Some rows with patches of few colours in their places, about."""
        assert self.screen is not None
        side = self.network.patch
        return np.where(self.screen.patches[part[0] : part[1]].repeat(side, 0).repeat(side, 1), original, decoded)

    def _added(self, part: tuple[int, int], base: np.ndarray, wanted: np.ndarray, at: Fineness) -> np.ndarray:
        """Coefficients of what the filter adds to some rows, in units of 8-bit pixels."""
        bits = np.zeros(wanted.shape[:2])
        chosen = self._choose(part, wanted, at, bits)
        self._plain[part[0] : part[1]] = bits.reshape(part[1] - part[0], -1).sum(1)
        residual = self.network.residual(chosen.levels, chosen.steps, chosen.shapes)
        added = self.network.smoothed(base, residual, chosen.steps) - base - residual
        coefficients: np.ndarray = 255 * self.network.coefficients(added)
        return coefficients

    def costs(self, at: Fineness) -> np.ndarray:
        """What each patch [h, w] costs with base and detail: squared error + lambda x bits, about."""
        per_code = self.bits / max(int(self.counts.sum()), 1)
        costs, sizes = self.counts * (per_code * at.rd_lambda), self.tools.steps(at.step).sizes()
        for part in self.parts:
            h, w = 2 * (part[1] - part[0]), 2 * self.counts.shape[1]
            bits = np.zeros((h, w))
            detail = self.choose(part, at, bits)
            chosen = detail.levels.astype(np.float32)
            steps = chosen / (HALF if self.tools.coder.dependent else 1)
            left = self._shaped(self.wanted(part), detail.shapes) - sizes * (steps - SHRINK * np.sign(chosen))
            block = np.square(left).sum(-1) + at.rd_lambda * bits
            costs[part[0] : part[1]] += block.reshape(h // 2, 2, w // 2, 2).sum((1, 3))
        return costs

    def estimated_bits(self, at: Fineness) -> float:
        """Bits of base, detail and patches of few colours together, about."""
        screen = 0.0 if self.screen is None else self.screen.bits(at.rd_lambda)
        return self.gain * self.said(at) + self.bits + screen + 8 * (END_BYTES + 4 * len(self.parts))

    def said(self, at: Fineness) -> float:
        """Bits of the detail, about, by those of the sample."""
        if at not in self._said:
            sampled = sum(last - first for first, last in self.sample)
            each = self._spread * len(self.counts) / sampled
            self._said[at] = each * sum(self.choose(part, at).bits for part in self.sample)
        return self._said[at]

    def fitting(self, bits: float, step: int, close: float = 0.0) -> Fineness | None:
        """The fineness at which base and detail take about so many bits; None if none is coarse enough.

        Args:
            bits: of both.
            step: that is tried first.
            close: how near is near enough, in the logarithm, if that is more than the effort's.
        """
        if self.bits >= bits:
            return None
        close = max(close, self.tools.effort.close)
        low, high = -1, LAST_STEP + 1  # too many bits, too few
        points: list[tuple[int, float]] = []
        while high - low > 1 and len(points) < self.tools.effort.tries:
            points.append((step, math.log(self.estimated_bits(self.tools.fineness(step)) / max(bits, 1.0))))
            off = points[-1][1]
            low, high = (step, high) if off > 0 else (low, step)
            if abs(off) <= max(close, NEAR_STEP):
                return self._finely(step, off, bits, close)
            slope = -0.025
            if len(points) > 1:
                measured = (off - points[-2][1]) / (step - points[-2][0])
                slope = measured if -0.2 < measured < -0.004 else slope
            following = round(min(max(step - off / slope, -1e6), 1e6))
            step = following if low < following < high else (low + high) // 2
        if low >= LAST_STEP:
            return None
        step, off = min(points, key=lambda point: abs(point[1]))
        return self._finely(max(step, 0), off, bits, close) if abs(off) < FAR_OFF else self.tools.fineness(max(step, 0))

    def _finely(self, step: int, off: float, bits: float, close: float) -> Fineness:
        """A step where all takes exp(`off`) times these bits, with a price of bits that makes up for that."""
        dearer = priced(off * bits / max(bits - self.bits, 0.1 * bits), self.power)
        if 2 * abs(off) <= close or dearer == 1:
            return self.tools.fineness(step, dearer)
        plain, changed = (self.said(self.tools.fineness(step, times)) for times in (1.0, dearer))
        self.power = power_of(changed, plain, dearer)
        return self.tools.fineness(step, priced(off * bits / max(bits - self.bits, 0.1 * bits), self.power))

    def corrected(self, bits: float, at: Fineness) -> PatchRows:
        """The rows with detail at this fineness, or at a better one where estimates have misled."""
        if self.tools.effort.foresees:
            self.foresee(at)
            self._compare()
            at = self.fitting(bits, at.step) or at
        best: tuple[float, list[DetailPart]] = (math.inf, [])
        for begin, end in itertools.pairwise(DETAIL_SHARES):
            rest = bits - self.bits - 8 * (END_BYTES + 4 * len(self.parts))
            if self.screen is not None:
                rest -= self.screen.bits(at.rd_lambda)
            taken, details = self._packed(at, (begin, end), rest)
            more = 0.0 if self.screen is None else self.screen.measure(at.rd_lambda)
            off = math.log(max(taken, 1.0) / max(rest, 1.0))
            whole = max(abs(more), abs(off) * min(max(rest / bits, 0.0), 1.0))
            best = min(best, (whole, details), key=lambda found: found[0])
            if whole < self.tools.effort.close or rest <= 0:
                break
            self.gain *= min(max(taken / rest, 0.5), 2.0)
            if abs(off) <= 2 * NEAR_STEP and not more:
                at = replace(at, bit_price=at.bit_price * priced(off, self.power))
            else:
                at = self.fitting(bits, at.step) or at
        return self._rows(best[1])

    def _compare(self) -> None:
        """Foresee the filter in the whole picture, and so find what all parts take beside those of the sample."""
        for part in self.parts:
            self.wanted(part)
        some = np.concatenate([self._plain[first:last] for first, last in self.sample])
        if some.any():
            self._spread = float(self._plain.mean() / some.mean())

    def with_detail(self, at: Fineness) -> PatchRows:
        """The rows with detail at a fineness."""
        if self.tools.effort.foresees:
            self.foresee(at)
        return self._rows(self._packed(at)[1])

    def _packed(
        self, at: Fineness, share: tuple[float, float] = (0.0, 1.0), rest: float | None = None
    ) -> tuple[float, list[DetailPart]]:
        """Bits taken of the detail of all parts, and their bytes: part by part, for a picture may be large.

        Args:
            at: the fineness.
            share: what of all work is done when this begins and ends.
            rest: bits that the detail may take; what parts take more or less is made up for by the price of bits of
                those behind them.
        """
        taken, here, done = 0.0, at, 0.0
        details: list[DetailPart] = []
        waiting, ahead = self.parts[::-1], float(self._plain.sum())
        while waiting:
            first, last = waiting.pop()
            bits, part = self._part(first, last, here)
            if part is None and last - first > 1:  # more than a block holds
                middle = (first + last) // 2
                waiting += [(middle, last), (first, middle)]
                continue
            for step in range(at.step + PER_OCTAVE, STEPS, PER_OCTAVE):
                if part is None:  # a row of thousands of patches
                    bits, part = self._part(first, last, self.tools.fineness(step))
            if part is not None:
                taken += 8 * len(part.data) if self.tools.coder.dependent else bits
                details.append(part)
            done += float(self._plain[first:last].sum())
            if rest is not None and SETTLED * ahead < done < ahead:
                off = math.log(max(taken * (ahead / done - 1), 1.0) / max(rest - taken, 1.0))
                here = replace(at, bit_price=at.bit_price * priced(off, self.power))
            self.tools.progress(share[0] + (share[1] - share[0]) * last / len(self.counts))
        return taken, details

    def _part(self, first: int, last: int, at: Fineness) -> tuple[float, DetailPart | None]:
        """Bits of the detail of some rows, about, and what they have if it fits a block beside the codes."""
        counts, bits, data, screen = self.counts[first:last], 0.0, b"", b""
        if self.screen is not None:
            screen = self.screen.coded((first, last), at.rd_lambda).data
        if self.screen is None or not self.screen.patches[first:last].all():
            chosen = self.choose((first, last), at)
            skipped = None if self.screen is None else blocks_of(self.screen.patches[first:last])
            bits, data = chosen.bits, self.tools.coder.pack(chosen, counts, skipped)
        codes = packed_size(int(counts.sum()), self.network.codebook_size) + MAP_BYTES * counts.size
        fits = len(data) + len(screen) + codes + 16 <= MAX_PAYLOAD
        return bits, DetailPart(first, last - first, data, screen) if fits else None

    def _rows(self, details: list[DetailPart]) -> PatchRows:
        return PatchRows(self.rows.modes, self.rows.counts, self.rows.codes, tuple(details))

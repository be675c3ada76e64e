"""Still pictures with a detail layer: at a lambda, or so that base and detail fit a budget.

A base with detail is best coded at the same lambda whatever the rate, and the step of the detail makes the difference.
Where that base alone takes too much, a picture is coded as without the layer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from ..bitstream.bitpacking import packed_size
from ..bitstream.container import MAX_PAYLOAD
from ..bitstream.patch_payload import DetailPart, PatchRows, block_rows, vision_bytes
from ..entropy.code_tables import EntropyTables
from ..settings import EncoderSettings, Rate
from ..vision.block_transform import to_coefficients
from ..vision.detail_layer import FINEST, PER_OCTAVE, STEPS, step_size
from ..vision.detail_network import LATENT
from ..vision.grouping import padded
from ..vision.network import JovioNetwork
from .detail import ChosenDetail, DetailCoder
from .rate_control import RowEncoder
from .rdo import masking_scale
from .reconstruct import base_codes
from .vision_encoder import END_BYTES, GroupEncoder

BIT_PRICE = 0.125  # of a bit of the detail, in units of the step squared
BASE_LAMBDA = 0.036  # of a base with detail, whatever the step
USUAL_LAMBDA, USUAL_STEP = 0.03, 75.0  # of a base alone, and of a detail that is worth as much
COARSEST = 112  # index of the last step that is better than base alone
FIRST_STEP = 92  # that is tried
USUAL_SLOPE = 1.7  # of the logarithm of lambda over that of bits
DETAIL_MASKING = 0.5  # power of the base's masking
MOST_DEAR = 4.0  # that a bit can be beside the average
SAMPLED = 1024  # patches that sizes are estimated from
SAMPLED_ROWS = 4  # rows of patches at a stretch of these
CLOSE = 0.004  # of the logarithm of a size
DEARER = 1.35  # by which the price of a bit is raised to see what it gives
MAX_TRIES = 7
MAP_BYTES = 2  # of a patch, more than its mode and level count take


def step_for(rd_lambda: float) -> int:
    """The step that is worth as much as a lambda of a base alone; beyond `COARSEST` the base alone is better."""
    size = max(rd_lambda / USUAL_LAMBDA * USUAL_STEP, FINEST)
    return min(STEPS - 1, round(PER_OCTAVE * math.log2(size / FINEST)))


@dataclass(frozen=True)
class Fineness:
    """How finely the detail is coded.

    Attributes:
        step: index of the step.
        bit_price: of a bit, in units of the step squared.
    """

    step: int
    bit_price: float = BIT_PRICE


class DetailEncoder:
    """Encodes one picture for a file, as `GroupEncoder` does.

    Args:
        network: a model with a detail layer.
        rate: what the file may take; not a number of levels.
        size: height and width.
        settings: of the encoder; None for those of the network.
        tables: entropy tables that the file will be written with.
    """

    def __init__(
        self,
        network: JovioNetwork,
        rate: Rate,
        size: tuple[int, int],
        settings: EncoderSettings | None,
        tables: EntropyTables | None,
    ):
        assert network.detail is not None
        self.network, self.layer, self.rate, self.size = network, network.detail, rate, size
        self.settings = settings or network.settings
        self.levels = network.n_q
        self.tables = tables
        self.coder = DetailCoder(network.detail)
        self.overhead = 0.0  # bits that the rest of the file takes
        self.taken = 0
        self._pictures: list[Tensor] = []

    def add(self, picture: Tensor) -> list[PatchRows]:
        """Take the picture [3, H, W]."""
        self.taken += 1
        self._pictures.append(picture.to(self.network.device))
        return []

    @torch.no_grad()
    def finish(self) -> list[PatchRows]:
        """Its rows."""
        picture = padded(self._pictures.pop()[None], self.network.patch)
        latent = self.network.still_latent(picture)
        bits = self.rate.bits(self.size[0] * self.size[1], 1, 0.0)
        if bits is None:
            rd_lambda = self.rate.rd_lambda or self.settings.rd_lambda
            step = step_for(rd_lambda)
            if step <= COARSEST:
                return [_Base(self, picture, latent).with_detail(Fineness(step))]
            return [self._alone().with_lambda([latent], rd_lambda)[0].rows]
        return self._within(picture, latent, bits - self.overhead)

    def _alone(self) -> RowEncoder:
        return RowEncoder(self.network, self.settings, self.tables, self.levels, False)

    def _within(self, picture: Tensor, latent: Tensor, bits: float) -> list[PatchRows]:
        base = _Base(self, picture, latent)
        fitting = base.fitting(bits, FIRST_STEP)
        if fitting is not None:
            return [base.corrected(bits, fitting)]
        alone = self._alone()
        alone.rd_lambda = BASE_LAMBDA * max(base.bits / max(bits, 1.0), 1.0) ** USUAL_SLOPE  # to be tried first
        return [alone.within([latent], bits)[0].rows]


class _Base:
    """A picture's base, and what the detail would take beside it."""

    def __init__(self, encoder: DetailEncoder, picture: Tensor, latent: Tensor):
        self.encoder, self.network, self.picture = encoder, encoder.network, picture
        height, columns = latent.shape[:2]
        rows_at_once = block_rows(columns)
        self.parts = [(first, min(first + rows_at_once, height)) for first in range(0, height, rows_at_once)]
        rows = RowEncoder(self.network, encoder.settings, encoder.tables, encoder.levels, False)
        found = [rows.coded(latent[a:b], BASE_LAMBDA, encoder.settings.beams) for a, b in self.parts]
        self.rows = PatchRows.joined([group.rows for group in found], columns)
        self.quantized = torch.cat([group.latent for group in found])
        self.effective_levels = torch.cat([group.effective_levels for group in found])
        self.counts = self.rows.counts
        self.bits = 8 * vision_bytes(self.rows, encoder.levels, self.network.codebook_size, encoder.tables)
        stretches = max(1, SAMPLED // (SAMPLED_ROWS * self.counts.shape[1]))
        self.sample = self.parts
        if stretches * SAMPLED_ROWS < height:
            starts = np.linspace(0, height - SAMPLED_ROWS, stretches).round().astype(int)
            self.sample = [(int(first), int(first) + SAMPLED_ROWS) for first in starts]
        self.gain = 1.0  # of bits of the whole over those of the sample
        self._wanted: dict[tuple[int, int], np.ndarray] = {}

    @cached_property
    def decoded(self) -> Tensor:
        """[1, 3, H, W] in [0, 1]."""
        return self.network.still_picture(self.quantized, self.effective_levels).clamp_(0, 1)

    @cached_property
    def latents(self) -> np.ndarray:
        """As the network of the detail layer takes them, [h, w, D]."""
        latents = self.network.whole_latents(base_codes(self.network, self.rows)).cpu().numpy()
        return latents.reshape(*self.counts.shape, -1)

    @cached_property
    def prices(self) -> np.ndarray:
        """How dear a bit is in each block beside the others, [2 h, 2 w, 1]: dearer in busy patches, by the masking."""
        latents = torch.from_numpy(self.latents).float().flatten(0, 1) / LATENT
        scale = masking_scale(self.network, latents.to(self.network.device), self.encoder.settings.masking)
        price = scale.cpu().numpy().astype(np.float64) ** DETAIL_MASKING
        price = (price / np.exp(np.log(price).mean())).clip(1 / MOST_DEAR, MOST_DEAR).reshape(self.counts.shape)
        return price.repeat(2, 0).repeat(2, 1)[..., None]

    def choose(self, part: tuple[int, int], at: Fineness) -> ChosenDetail:
        """The detail of some rows of patches."""
        first, last = part
        wanted = self._wanted.get(part)
        if wanted is None:
            edge = slice(first * self.network.patch, last * self.network.patch)
            missing = self.picture[..., edge, :] - self.decoded[..., edge, :]
            wanted = 255 * to_coefficients(missing)[0].cpu().numpy()
            if part in self.sample:
                self._wanted[part] = wanted
        here = self.latents[first:last], self.counts[first:last]
        price = at.bit_price * self.prices[2 * first : 2 * last]
        return self.encoder.coder.choose(*here, wanted / step_size(at.step), at.step, price)

    def estimated_bits(self, at: Fineness) -> float:
        """Bits of base and detail together, about."""
        sampled = sum(last - first for first, last in self.sample)
        bits = sum(self.choose(part, at).bits for part in self.sample)
        return self.gain * bits * len(self.counts) / sampled + self.bits + 8 * (END_BYTES + 4 * len(self.parts))

    def fitting(self, bits: float, step: int) -> Fineness | None:
        """The fineness at which base and detail take about so many bits; None if none is coarse enough."""
        if self.bits >= bits:
            return None
        low, high = -1, COARSEST + 1  # too many bits, too few
        points: list[tuple[int, float]] = []
        while high - low > 1 and len(points) < MAX_TRIES:
            points.append((step, math.log(self.estimated_bits(Fineness(step)) / max(bits, 1.0))))
            off = points[-1][1]
            low, high = (step, high) if off > 0 else (low, step)
            if abs(off) < CLOSE:
                return Fineness(step)
            slope = -0.025
            if len(points) > 1:
                measured = (off - points[-2][1]) / (step - points[-2][0])
                slope = measured if -0.2 < measured < -0.004 else slope
            following = round(min(max(step - off / slope, -1e6), 1e6))
            step = following if low < following < high else (low + high) // 2
        if low >= COARSEST:
            return None
        # The finer of two neighbours, and each bit a little dearer.
        finer = [(off, step) for step, off in points if off > 0]
        if not finer:
            return Fineness(max(min(points, key=lambda point: abs(point[1]))[0], 0))
        off, step = min(finer)
        dearer = Fineness(step, DEARER * BIT_PRICE)
        gained = off - math.log(self.estimated_bits(dearer) / max(bits, 1.0))
        share = off / max(gained, 1e-6)
        if share > 1.5 and high <= COARSEST:  # dearer bits do not save enough
            return Fineness(high)
        return Fineness(step, BIT_PRICE * DEARER ** min(share, 2.0))

    def corrected(self, bits: float, at: Fineness) -> PatchRows:
        """The rows with detail at this fineness, or at a better one where the sample has misled."""
        for _ in range(2):
            total, details = self._packed(at)
            if self.sample == self.parts:
                break
            sampled = sum(last - first for first, last in self.sample)
            estimate = sum(self.choose(part, at).bits for part in self.sample) * len(self.counts) / sampled
            gain = total / max(estimate, 1.0)
            if abs(math.log(max(gain / self.gain, 1e-3))) < 2 * CLOSE:
                break
            self.gain = gain
            at = self.fitting(bits, at.step) or at
        return self._rows(details)

    def with_detail(self, at: Fineness) -> PatchRows:
        """The rows with detail at a fineness."""
        return self._rows(self._packed(at)[1])

    def _packed(self, at: Fineness) -> tuple[float, list[DetailPart]]:
        """Bits of the detail of all parts, about, and their bytes: part by part, for a picture may be large."""
        total, details = 0.0, []
        waiting = self.parts[::-1]
        while waiting:
            first, last = waiting.pop()
            bits, data = self._part(first, last, at)
            if data is None and last - first > 1:  # more than a block holds
                middle = (first + last) // 2
                waiting += [(middle, last), (first, middle)]
                continue
            for step in range(at.step + PER_OCTAVE, STEPS, PER_OCTAVE):
                if data is None:  # a row of thousands of patches
                    bits, data = self._part(first, last, Fineness(step))
            if data is not None:
                total += bits
                details.append(DetailPart(first, last - first, data))
        return total, details

    def _part(self, first: int, last: int, at: Fineness) -> tuple[float, bytes | None]:
        """Bits of the detail of some rows, about, and its bytes if they fit a block beside the codes."""
        chosen = self.choose((first, last), at)
        data = self.encoder.coder.pack(chosen)
        counts = self.counts[first:last]
        codes = packed_size(int(counts.sum()), self.network.codebook_size) + MAP_BYTES * counts.size
        return chosen.bits, data if len(data) + codes + 16 <= MAX_PAYLOAD else None

    def _rows(self, details: list[DetailPart]) -> PatchRows:
        return PatchRows(self.rows.modes, self.rows.counts, self.rows.codes, tuple(details))


def still_encoder(
    network: JovioNetwork,
    rate: Rate,
    size: tuple[int, int],
    settings: EncoderSettings | None = None,
    tables: EntropyTables | None = None,
) -> GroupEncoder | DetailEncoder:
    """What encodes a still picture: with the detail layer where there is one, and no number of levels is asked for."""
    if network.detail is None or rate.n_q is not None:
        return GroupEncoder(network, rate, size, Fraction(0), settings=settings, tables=tables)
    return DetailEncoder(network, rate, size, settings, tables)

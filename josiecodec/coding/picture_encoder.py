"""Still pictures with a detail layer: base and detail at one lambda, or so that both fit a budget.

The finer the step of the detail, the less a level of the base is worth, but they go together: `step_for` says which step
suits which lambda. At low rates the base alone is best, and a picture is coded as without the layer.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import torch
from torch import Tensor

from ..bitstream.patch_payload import DetailPart, PatchRows, block_rows, vision_bytes
from ..entropy.code_tables import EntropyTables
from ..settings import EncoderSettings, Rate
from ..vision.block_transform import to_coefficients
from ..vision.detail_layer import FINEST, PER_OCTAVE, STEPS, step_size
from ..vision.grouping import padded, to_groups
from ..vision.network import JovioNetwork
from .detail import ChosenDetail, DetailCoder
from .rate_control import ROUGH_BEAMS, RowEncoder
from .reconstruct import Group, base_codes
from .vision_encoder import END_BYTES, GroupEncoder

BIT_PRICE = 0.125  # of a bit of the detail, in units of the step squared
USUAL_LAMBDA, USUAL_STEP = 0.04, 60.0  # that go together; lambda grows as the step does
COARSEST = 118  # index of the last step that is better than base alone
SAMPLED = 1024  # patches that sizes are estimated from
SAMPLED_ROWS = 4  # rows of patches at a stretch of these
CLOSE = 0.006  # of a size
MAX_TRIES = 7


def lambda_for(step: int) -> float:
    """The lambda of the base that suits a step."""
    return USUAL_LAMBDA * step_size(step) / USUAL_STEP


def step_for(rd_lambda: float) -> int:
    """The step that suits a lambda of the base; of those beyond `COARSEST` the base alone is better."""
    size = max(rd_lambda / USUAL_LAMBDA * USUAL_STEP, FINEST)
    return min(STEPS - 1, round(PER_OCTAVE * math.log2(size / FINEST)))


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
        latent = self.network.latent(to_groups(picture.unsqueeze(2), self.network.config.group))[0, 0]
        bits = self.rate.bits(self.size[0] * self.size[1], 1, 0.0)
        if bits is None:
            rd_lambda = self.rate.rd_lambda or self.settings.rd_lambda
            step = step_for(rd_lambda)
            base = _Base(self, picture, latent, rd_lambda, self.settings.beams)
            return [base.group.rows if step > COARSEST else base.with_detail(step)]
        return self._within(picture, latent, bits - self.overhead)

    def _within(self, picture: Tensor, latent: Tensor, bits: float) -> list[PatchRows]:
        per_pixel = max(bits, 1.0) / (self.size[0] * self.size[1])
        first = 0.016 * per_pixel**-0.85  # what usually suits such a rate
        step = step_for(first)
        if step <= COARSEST + PER_OCTAVE:
            rough = _Base(self, picture, latent, lambda_for(min(step, COARSEST)), ROUGH_BEAMS)
            step = rough.fitting_step(bits, min(step, COARSEST))
            if step <= COARSEST:
                base = _Base(self, picture, latent, lambda_for(step), self.settings.beams)
                step = base.fitting_step(bits, step)
                return [base.with_detail(min(step, STEPS - 1))]
        alone = RowEncoder(self.network, self.settings, self.tables, self.levels, False)
        return [alone.within([latent], bits)[0].rows]


class _Base:
    """A picture's base, coded at a lambda, and what the detail would take beside it."""

    def __init__(self, encoder: DetailEncoder, picture: Tensor, latent: Tensor, rd_lambda: float, beams: int):
        self.encoder, self.network, self.picture = encoder, encoder.network, picture
        rows = RowEncoder(self.network, encoder.settings, encoder.tables, encoder.levels, False)
        self.group: Group = rows.coded(latent, rd_lambda, beams)
        decoded = self.network.synthesize(self.group.latent[None, None], self.group.effective_levels[None, None])
        self.decoded = decoded[0, :, :3].clamp(0, 1)
        self.counts = self.group.rows.counts
        self.latents = self.network.whole_latents(base_codes(self.network, self.group.rows)).cpu().numpy()
        self.latents = self.latents.reshape(*self.counts.shape, -1)
        size, rows_at_once = self.network.codebook_size, block_rows(self.group.rows)
        self.bits = 8 * vision_bytes(self.group.rows, encoder.levels, size, encoder.tables)
        height = len(self.counts)
        self.parts = [(first, min(first + rows_at_once, height)) for first in range(0, height, rows_at_once)]
        stretches = max(1, SAMPLED // (SAMPLED_ROWS * self.counts.shape[1]))
        self.sample = self.parts
        if stretches * SAMPLED_ROWS < height:
            starts = np.linspace(0, height - SAMPLED_ROWS, stretches).round().astype(int)
            self.sample = [(int(first), int(first) + SAMPLED_ROWS) for first in starts]
        self.gain = 1.0  # of bits of the whole over those of the sample
        self._wanted: dict[tuple[int, int], np.ndarray] = {}

    def choose(self, part: tuple[int, int], step: int) -> ChosenDetail:
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
        return self.encoder.coder.choose(*here, wanted / step_size(step), step, BIT_PRICE)

    def estimated_bits(self, step: int) -> float:
        """Bits of the detail, about."""
        sampled = sum(last - first for first, last in self.sample)
        bits = sum(self.choose(part, step).bits for part in self.sample)
        return self.gain * bits * len(self.counts) / sampled

    def fitting_step(self, bits: float, step: int) -> int:
        """The step at which base and detail take about so many bits; more than `COARSEST` if none is coarse enough."""
        wanted = bits - self.bits - 8 * (END_BYTES + 3 * len(self.parts))
        low, high, best, best_off = -1, COARSEST + 1, COARSEST + 1, math.inf
        points: list[tuple[int, float]] = []
        step = min(max(step, 0), COARSEST)
        for _ in range(MAX_TRIES):
            taken = self.estimated_bits(step)
            off = math.log(max(taken, 1.0) / max(wanted, 1.0))
            share = abs(taken - wanted) / max(bits, 1.0)
            if share < best_off:
                best, best_off = step, share
            if share < CLOSE or wanted <= 0 and step >= COARSEST:
                break
            low, high = (step, high) if off > 0 else (low, step)
            points.append((step, off))
            slope = -0.033
            if len(points) > 1 and points[-1][0] != points[-2][0]:
                measured = (points[-1][1] - points[-2][1]) / (points[-1][0] - points[-2][0])
                slope = measured if -0.2 < measured < -0.01 else slope
            following = round(min(max(step - off / slope, -1e6), 1e6))
            if not low < following < high:
                following = (low + high) // 2
            if not low < following < high:
                break
            step = following
        too_much = low >= COARSEST
        return COARSEST + 1 if too_much else best

    def with_detail(self, step: int) -> PatchRows:
        """The rows, with their detail."""
        details = []
        for part in self.parts:
            chosen = self.choose(part, step)
            details.append(DetailPart(part[0], part[1] - part[0], self.encoder.coder.pack(chosen)))
        rows = self.group.rows
        return PatchRows(rows.modes, rows.counts, rows.codes, tuple(details))


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

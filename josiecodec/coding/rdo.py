"""How many levels each patch gets, and whether it is predicted: chosen by rate and distortion at encoding.

Every level takes about the same bits in every patch, but lowers the error of a busy patch much more than that of a
clear sky. For each patch the number of levels is taken that makes  error + weight x bits  least; the weight says
how dear a bit is, and is the same for the whole picture. In a video the same sum decides between coding the patch
by itself, coding only what the group before leaves over, and copying it (no levels at all).

Errors are measured in the latent space, where the linear transform keeps lengths. An eye, and every measure of
likeness that is made after it, minds an error less in a busy patch than in a smooth one; so a bit may be dearer there
(`dearness`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ..bitstream.bitpacking import code_bits
from ..bitstream.patch_payload import PatchRows
from ..quantization.beam_search import BeamResult, beam_search

if TYPE_CHECKING:
    from .jovio import Jovio

SHARE = 0.6  # of what is left over, the most that one more level takes away
MAP_BITS = 1.0  # what a prediction costs in the map beside no prediction, about
CLEAR, USUAL = 0.3, 2.0  # squared error that one level leaves over: below the first all patches are as smooth
DEAREST = 10.0


@dataclass
class Candidates:
    """What every choice would cost the patches of a group, N of them; M is 1, or 2 with a prediction.

    Attributes:
        modes: [M, N], 0 in the first row, in the second the prediction that would suit the patch.
        errors: [M, N, L + 1], squared error with 0 .. L levels.
        found: for each row where the codes come from.
        dear: [N], see `dearness`.
    """

    modes: Tensor
    errors: Tensor
    found: list[BeamResult]
    dear: Tensor


@dataclass
class Group:
    """A group as its decoder has it.

    Attributes:
        rows: modes, counts and codes.
        latent: quantized latents [h, w, D].
        fidelity: how many levels each patch is worth [h, w], for the decoder.
    """

    rows: PatchRows
    latent: Tensor
    fidelity: Tensor


def level_bits(model: Jovio) -> int:
    """Bits that a level takes in a patch."""
    return code_bits(model.codebook_size)


def first_levels(model: Jovio) -> tuple[int, ...]:
    """First level of each mode."""
    return (0, *model.config.starts)


@dataclass
class Alone:
    """What every choice would cost the patches of a group without a prediction; see `Candidates`.

    Attributes:
        weight: the least weight for which everything that can pay was tried.
        found: codes and errors.
        dear: [N], see `dearness`.
    """

    weight: float
    found: BeamResult
    dear: Tensor


@torch.no_grad()
def dearness(model: Jovio, latents: Tensor) -> Tensor:
    """What a bit costs in each patch, in units of what it usually does: [N], from latents [N, D]."""
    if not model.settings.masking:
        return torch.ones_like(latents[:, 0])
    busy = beam_search(model.rvq, latents, 1, 1).errors[:, 1]
    return ((busy + CLEAR) / USUAL).pow(model.settings.masking).clamp(1 / DEAREST, DEAREST)


@torch.no_grad()
def alone(
    model: Jovio,
    latent: Tensor,
    most: int,
    least_weight: float = -1.0,
    start: int = 0,
    beams: int | None = None,
    dear: Tensor | None = None,
) -> Alone:
    """Try up to `most` levels, from level `start` on, on a group [h, w, D] by itself.

    `least_weight` is the least weight that will be asked about; levels that cannot pay are left out. With a negative
    one all levels are tried. `beams` of the search are the model's own if nothing else is said. `dear` is given where
    the group is only what a prediction leaves over.
    """
    flat = latent.reshape(-1, latent.shape[-1])
    dear = dearness(model, flat) if dear is None else dear
    found = _priced(model, flat, most, beams or model.settings.beams, start, least_weight * dear)
    return Alone(least_weight, found, dear)


@torch.no_grad()
def candidates(
    model: Jovio,
    latent: Tensor,
    before: Tensor | None,
    most: int,
    least_weight: float = -1.0,
    own: Alone | None = None,
    beams: int | None = None,
) -> Candidates:
    """Try the numbers of levels on a group, with and without a prediction.

    Args:
        model: the codec.
        latent: [h, w, D].
        before: quantized latents of the group before, or None for the first.
        most: levels to try at most.
        least_weight, beams: as of `alone`.
        own: what `alone` found, if it was asked before.
    """
    flat = latent.reshape(-1, latent.shape[-1])
    beams = beams or model.settings.beams
    own = own or alone(model, latent, most, least_weight, beams=beams)
    errors = own.found.errors
    none = torch.zeros(len(flat), dtype=torch.long, device=flat.device)
    if before is None:
        return Candidates(none[None], errors[None], [own.found], own.dear)
    left = flat - before.reshape(flat.shape)
    energy = left.square().sum(-1)
    modes = _suited(model, errors, energy)
    predicted = BeamResult.empty(left, most, beams)
    predicted.errors[:] = float("inf")
    for mode, start in enumerate(first_levels(model)):
        chosen = (modes == mode).nonzero()[:, 0]
        if mode and len(chosen):
            found = _priced(model, left[chosen], most, beams, start, least_weight * own.dear[chosen])
            predicted.update(chosen, found)
    both = torch.stack([errors, predicted.errors])
    return Candidates(torch.stack([none, modes]), both, [own.found, predicted], own.dear)


def _priced(model: Jovio, x: Tensor, most: int, beams: int, start: int, weight: Tensor) -> BeamResult:
    """`search` at a weight for each patch [N], in which likely codes, which the entropy coder makes shorter, are
    cheaper, if the model has tables.

    Errors are such that, with all codes counted alike afterwards, each has cost what it takes.
    """
    enough = weight * level_bits(model) / SHARE
    if bool((weight <= 0).any()) or model.tables is None or len(model.tables.levels) < model.n_q:
        return beam_search(model.rvq, x, most, beams, start, enough)
    bits = level_bits(model)
    tables = model.tables
    prices = [torch.from_numpy(tables.typical_bits(k) - bits).to(x) for k in range(len(tables.levels))]
    return beam_search(model.rvq, x, most, beams, start, enough, prices, weight)


@torch.no_grad()
def worthwhile(model: Jovio, latents: Tensor, weight: Tensor) -> Tensor:
    """How many levels are worth their bits for latents [N, D], at a weight for each [N]: [N]."""
    weight = weight * dearness(model, latents)
    errors = beam_search(model.rvq, latents, model.n_q, 1, 0, weight * level_bits(model)).errors
    return cheapest(model, errors, weight.unsqueeze(-1))


def cheapest(model: Jovio, errors: Tensor, weight: Tensor | float) -> Tensor:
    """The number of levels [N] that makes error + weight x bits least, from errors [N, L + 1]."""
    levels = torch.arange(errors.shape[1], device=errors.device)
    return (errors + weight * level_bits(model) * levels).argmin(-1)


def _suited(model: Jovio, errors: Tensor, energy: Tensor) -> Tensor:
    """The prediction (1 ..) whose first level usually codes what is about as large as `energy` [N]."""
    modes = torch.ones(len(energy), dtype=torch.long, device=energy.device)
    for mode, start in enumerate(first_levels(model)):
        if mode < 2 or start >= errors.shape[1]:
            continue
        known = errors[:, start][errors[:, start].isfinite()]
        if len(known):
            modes = torch.where(energy <= 2 * known.mean(), mode, modes)
    return modes


@torch.no_grad()
def decide(model: Jovio, found: Candidates, weight: float) -> tuple[Tensor, Tensor]:
    """For each patch the row of `found` and the count [N] that make error + weight x bits least."""
    steps = found.errors.shape[2]
    bits = level_bits(model) * torch.arange(steps, device=found.errors.device)
    each = weight * found.dear.unsqueeze(-1)
    cost = found.errors + each * bits
    cost[1:] += each * MAP_BITS
    best = cost.permute(1, 0, 2).flatten(1).argmin(1)
    return best // steps, best % steps


@torch.no_grad()
def carry_out(
    model: Jovio,
    found: Candidates,
    choice: tuple[Tensor, Tensor],
    shape: tuple[int, int],
    before: Group | None,
) -> Group:
    """The group [h, w] that a choice makes."""
    row, counts = choice
    place = torch.arange(len(row), device=row.device)
    codes, modes = found.found[0].path(counts), found.modes[row, place]
    if len(found.found) > 1:
        codes = torch.where((row == 1).unsqueeze(-1), found.found[1].path(counts), codes)
    keep = torch.arange(codes.shape[1], device=codes.device) < counts.unsqueeze(-1)
    rows = PatchRows(
        modes.view(shape).cpu().numpy().astype(np.uint8),
        counts.view(shape).cpu().numpy().astype(np.uint8),
        codes[keep].cpu().numpy().astype(np.uint16),
    )
    return restore(model, rows, before)


@torch.no_grad()
def restore(model: Jovio, rows: PatchRows, before: Group | None) -> Group:
    """Latents and fidelity of a group from its rows and the group before it, as a decoder does."""
    device = model.device
    counts = torch.from_numpy(rows.counts.astype(np.int64)).to(device).flatten()
    modes = torch.from_numpy(rows.modes.astype(np.int64)).to(device).flatten()
    if before is None:
        modes = torch.zeros_like(modes)  # nothing to predict from: a damaged file, or one cut out of another
    most = int(counts.max()) if counts.numel() else 0
    codes = torch.full((len(counts), most), -1, dtype=torch.long, device=device)
    codes[torch.arange(most, device=device) < counts.unsqueeze(-1)] = torch.from_numpy(rows.codes.astype(np.int64)).to(
        device
    )
    latent = torch.zeros(len(codes), model.config.latent_dim, device=device)
    fidelity = counts.clone()
    for mode, start in enumerate(first_levels(model)):
        chosen = (modes == mode).nonzero()[:, 0]
        if not len(chosen):
            continue
        value = model.dequantize(codes[chosen, : model.n_q - start], start)
        if mode and before is not None:
            value = value + before.latent.reshape(latent.shape)[chosen]
            worth, own = before.fidelity.flatten()[chosen], counts[chosen]
            better = torch.maximum(worth, own + start).clamp_max(model.n_q)
            fidelity[chosen] = torch.where(own > 0, better, worth)
        latent[chosen] = value
    shape = rows.counts.shape
    return Group(rows, latent.view(*shape, -1), fidelity.view(shape))

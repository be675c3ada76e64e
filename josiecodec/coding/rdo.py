"""Rate-distortion optimisation of pictures: how many levels each patch gets, and whether it is predicted.

Every level takes about the same bits in every patch, but lowers the error of a busy patch much more than that of a
clear sky. For each patch the mode and the number of levels are taken that make  squared error + lambda x bits  least,
with one lambda for the whole picture. In a video the modes are: intra, which codes the patch by itself; and predicted,
which codes only what the group before leaves over, or nothing of it (a skipped patch).

Errors are measured in the latent space, where the linear transform keeps lengths. The eye, and every perceptual
metric, minds an error less in a busy patch than in a smooth one, so lambda may be scaled up there (`masking_scale`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..bitstream.bitpacking import code_bits
from ..bitstream.patch_payload import PatchRows
from ..entropy.code_tables import EntropyTables
from ..quantization.beam_search import BeamResult, beam_search
from ..vision.network import JovioNetwork
from .rate_search import CLEAR, MAX_GAIN, MAX_LAMBDA_SCALE, USUAL
from .reconstruct import Group, first_levels, reconstruct

PREDICTION_BITS = 1.0  # what a predicted mode costs in the map beside the intra mode, about


@dataclass
class IntraSearch:
    """What every number of levels costs the N patches of a group in the intra mode.

    Attributes:
        min_lambda: the least lambda for which everything that can pay was tried.
        result: codes and errors.
        lambda_scale: [N], see `masking_scale`.
    """

    min_lambda: float
    result: BeamResult
    lambda_scale: Tensor


@dataclass
class ModeCosts:
    """What every choice costs the N patches of a group; M is 1, or 2 with a prediction.

    Attributes:
        modes: [M, N], 0 in the first row, in the second the predicted mode that suits the patch.
        errors: [M, N, L + 1], squared error with 0 .. L levels.
        results: for each row where the codes come from.
        lambda_scale: [N], see `masking_scale`.
    """

    modes: Tensor
    errors: Tensor
    results: list[BeamResult]
    lambda_scale: Tensor


def level_bits(network: JovioNetwork) -> int:
    """Bits that a level takes in a patch, as fixed-length code."""
    return code_bits(network.codebook_size)


@torch.no_grad()
def masking_scale(network: JovioNetwork, latents: Tensor, masking: float | None = None) -> Tensor:
    """Perceptual masking: what lambda is multiplied with in each patch, [N] from latents [N, D].

    Args:
        network: the model.
        latents: of the patches.
        masking: see `EncoderSettings`; None for the network's settings. 0 gives ones.
    """
    masking = network.settings.masking if masking is None else masking
    if not masking:
        return torch.ones_like(latents[:, 0])
    busy = beam_search(network.rvq, latents, 1, 1).errors[:, 1]
    return ((busy + CLEAR) / USUAL).pow(masking).clamp(1 / MAX_LAMBDA_SCALE, MAX_LAMBDA_SCALE)


@torch.no_grad()
def search_intra(
    network: JovioNetwork,
    latent: Tensor,
    max_levels: int,
    min_lambda: float = -1.0,
    start: int = 0,
    *,
    beams: int | None = None,
    masking: float | None = None,
    lambda_scale: Tensor | None = None,
    tables: EntropyTables | None = None,
) -> IntraSearch:
    """Search codes for a group by itself.

    Args:
        network: the model.
        latent: [h, w, D].
        max_levels: levels to try, from level `start` on.
        min_lambda: the least lambda that will be asked about; levels that cannot pay are left out. With a negative one
            all levels are tried.
        start: the first level.
        beams, masking: see `EncoderSettings`; None for those of the network's settings.
        lambda_scale: [h * w], in place of `masking`, where `latent` is only what a prediction leaves over.
        tables: entropy tables, whose code costs are taken into account.
    """
    flat = latent.reshape(-1, latent.shape[-1])
    scale = masking_scale(network, flat, masking) if lambda_scale is None else lambda_scale
    beams = beams or network.settings.beams
    result = _search_with_code_costs(network, flat, max_levels, beams, start, min_lambda * scale, tables)
    return IntraSearch(min_lambda, result, scale)


@torch.no_grad()
def mode_costs(
    network: JovioNetwork,
    latent: Tensor,
    reference: Tensor | None,
    intra: IntraSearch,
    min_lambda: float = -1.0,
    tables: EntropyTables | None = None,
) -> ModeCosts:
    """Costs of a group in the intra mode, and in the predicted mode that suits each patch.

    Args:
        network: the model.
        latent: [h, w, D].
        reference: quantized latents of the group before, or None for the first.
        intra: what `search_intra` gave for it; predictions are searched with as many levels and hypotheses.
        min_lambda, tables: as of `search_intra`.
    """
    flat = latent.reshape(-1, latent.shape[-1])
    errors = intra.result.errors
    none = torch.zeros(len(flat), dtype=torch.long, device=flat.device)
    if reference is None:
        return ModeCosts(none[None], errors[None], [intra.result], intra.lambda_scale)
    residual = flat - reference.reshape(flat.shape)
    modes = _suitable_modes(network, errors, residual.square().sum(-1))
    max_levels, beams = errors.shape[1] - 1, intra.result.codes.shape[2]
    predicted = BeamResult.empty(residual, max_levels, beams)
    predicted.errors[:] = float("inf")
    for mode, start in enumerate(first_levels(network)):
        chosen = (modes == mode).nonzero()[:, 0]
        if mode and len(chosen):
            scaled = min_lambda * intra.lambda_scale[chosen]
            result = _search_with_code_costs(network, residual[chosen], max_levels, beams, start, scaled, tables)
            predicted.update(chosen, result)
    both = torch.stack([errors, predicted.errors])
    return ModeCosts(torch.stack([none, modes]), both, [intra.result, predicted], intra.lambda_scale)


def _search_with_code_costs(
    network: JovioNetwork,
    x: Tensor,
    max_levels: int,
    beams: int,
    start: int,
    min_lambda: Tensor,
    tables: EntropyTables | None,
) -> BeamResult:
    """A beam search at a lambda for each patch [N], in which codes that the range encoder makes shorter cost less, if
    there are tables.

    Errors are such that, with all codes counted at their fixed length afterwards, each has cost what it takes.
    """
    enough = min_lambda * level_bits(network) / MAX_GAIN
    if bool((min_lambda <= 0).any()) or tables is None or len(tables.levels) < network.n_q:
        return beam_search(network.rvq, x, max_levels, beams, start, enough)
    bits = level_bits(network)
    costs = [torch.from_numpy(tables.typical_bits(k) - bits).to(x) for k in range(len(tables.levels))]
    return beam_search(network.rvq, x, max_levels, beams, start, enough, costs, min_lambda)


@torch.no_grad()
def rd_level_counts(network: JovioNetwork, latents: Tensor, rd_lambda: Tensor) -> Tensor:
    """The best level counts [N] of latents [N, D] in the intra mode, at a lambda for each [N], with masking."""
    rd_lambda = rd_lambda * masking_scale(network, latents)
    errors = beam_search(network.rvq, latents, network.n_q, 1, 0, rd_lambda * level_bits(network)).errors
    return best_level_count(network, errors, rd_lambda.unsqueeze(-1))


def best_level_count(network: JovioNetwork, errors: Tensor, rd_lambda: Tensor | float) -> Tensor:
    """The level count [N] that makes error + lambda x bits least, from errors [N, L + 1]."""
    levels = torch.arange(errors.shape[1], device=errors.device)
    return (errors + rd_lambda * level_bits(network) * levels).argmin(-1)


def _suitable_modes(network: JovioNetwork, errors: Tensor, energy: Tensor) -> Tensor:
    """The predicted mode (1 ..) whose first level usually codes what is about as large as `energy` [N]."""
    modes = torch.ones(len(energy), dtype=torch.long, device=energy.device)
    for mode, start in enumerate(first_levels(network)):
        if mode < 2 or start >= errors.shape[1]:
            continue
        known = errors[:, start][errors[:, start].isfinite()]
        if len(known):
            modes = torch.where(energy <= 2 * known.mean(), mode, modes)
    return modes


@torch.no_grad()
def choose_modes(network: JovioNetwork, costs: ModeCosts, rd_lambda: float) -> tuple[Tensor, Tensor]:
    """For each patch the row of `costs` and the level count [N] that make error + lambda x bits least."""
    steps = costs.errors.shape[2]
    bits = level_bits(network) * torch.arange(steps, device=costs.errors.device)
    scaled = rd_lambda * costs.lambda_scale.unsqueeze(-1)
    total = costs.errors + scaled * bits
    total[1:] += scaled * PREDICTION_BITS
    best = total.permute(1, 0, 2).flatten(1).argmin(1)
    return best // steps, best % steps


@torch.no_grad()
def apply_choice(
    network: JovioNetwork,
    costs: ModeCosts,
    choice: tuple[Tensor, Tensor],
    shape: tuple[int, int],
    reference: Group | None,
) -> Group:
    """The group [h, w] that a choice makes, as its decoder will have it."""
    row, counts = choice
    codes, modes = costs.results[0].path(counts), costs.modes[row, torch.arange(len(row), device=row.device)]
    if len(costs.results) > 1:
        codes = torch.where((row == 1).unsqueeze(-1), costs.results[1].path(counts), codes)
    used = torch.arange(codes.shape[1], device=codes.device) < counts.unsqueeze(-1)
    rows = PatchRows(
        modes.view(shape).cpu().numpy().astype(np.uint8),
        counts.view(shape).cpu().numpy().astype(np.uint8),
        codes[used].cpu().numpy().astype(np.uint16),
    )
    return reconstruct(network, rows, reference)

"""From rows of patches to quantized latents, as every decoder does it; the encoder predicts from the same."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..bitstream.patch_payload import PatchRows
from ..vision.network import JovioNetwork


@dataclass
class Group:
    """A frame group as its decoder has it.

    Attributes:
        rows: modes, level counts and codes.
        latent: quantized latents [h, w, D].
        effective_levels: int [h, w], the number of levels whose quality each patch has, for the decoder: of a
            predicted patch that of its reference or of its own levels, whichever is higher.
    """

    rows: PatchRows
    latent: Tensor
    effective_levels: Tensor


def first_levels(network: JovioNetwork) -> tuple[int, ...]:
    """First level of each mode: 0 of the intra mode, then of the predicted ones."""
    return (0, *network.config.starts)


def base_codes(network: JovioNetwork, rows: PatchRows) -> Tensor:
    """Codes of patches [N, K], -1 where a patch has no further level."""
    counts = torch.from_numpy(rows.counts.astype(np.int64)).flatten()
    max_count = int(counts.max()) if counts.numel() else 0
    codes = torch.full((len(counts), max_count), -1, dtype=torch.long)
    codes[torch.arange(max_count) < counts.unsqueeze(-1)] = torch.from_numpy(rows.codes.astype(np.int64))
    return codes.to(network.device)


@torch.no_grad()
def reconstruct(network: JovioNetwork, rows: PatchRows, reference: Group | None) -> Group:
    """Latents of a frame group from its rows.

    Args:
        network: the model.
        rows: of one group [h, w].
        reference: the group before, which predicted patches refer to; None if there is none.
    """
    device = network.device
    counts = torch.from_numpy(rows.counts.astype(np.int64)).to(device).flatten()
    modes = torch.from_numpy(rows.modes.astype(np.int64)).to(device).flatten()
    if reference is None:
        modes = torch.zeros_like(modes)  # nothing to predict from: a damaged file, or one cut out of another
    codes = base_codes(network, rows)
    latent = torch.zeros(len(codes), network.config.latent_dim, device=device)
    levels = counts.clone()
    for mode, start in enumerate(first_levels(network)):
        chosen = (modes == mode).nonzero()[:, 0]
        if not len(chosen):
            continue
        value = network.dequantize(codes[chosen, : network.n_q - start], start)
        if mode and reference is not None:
            value = value + reference.latent.reshape(latent.shape)[chosen]
            inherited, own = reference.effective_levels.flatten()[chosen], counts[chosen]
            refined = torch.maximum(inherited, own + start).clamp_max(network.n_q)
            levels[chosen] = torch.where(own > 0, refined, inherited)
        latent[chosen] = value
    shape = rows.counts.shape
    return Group(rows, latent.view(*shape, -1), levels.view(shape))

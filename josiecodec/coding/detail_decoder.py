"""Putting the detail layer on the decoded base of a picture."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ..bitstream.patch_payload import PatchRows
from ..vision.detail_layer import known_step
from ..vision.network import JovioNetwork
from ..vision.tiling import tiled
from .detail import DetailCoder
from .reconstruct import base_codes


@torch.no_grad()
def with_detail(network: JovioNetwork, base: Tensor, rows: PatchRows) -> Tensor:
    """Decoded base [1, 3, H, W] of whole patches and its rows -> the picture. Rows without detail stay as they are.

    The base is not kept as it was.

    Raises:
        FormatError: if the detail is not in order.
    """
    layer, patch = network.detail, network.patch
    assert layer is not None
    coder = DetailCoder(layer)
    base = base.clamp_(0, 1)
    residual, steps = torch.zeros_like(base), torch.full((len(rows.counts),), -1)
    for part, piece in zip(rows.details, [_part(rows, p.first, p.last) for p in rows.details]):
        latents = network.whole_latents(base_codes(network, piece)).cpu().numpy()
        step, symbols = coder.unpack(latents.reshape(*piece.counts.shape, -1), piece.counts, part.data)
        edge = slice(part.first * patch, part.last * patch)
        residual[..., edge, :] = layer.residual(torch.from_numpy(symbols).to(base.device), step)
        steps[part.first : part.last] = step
    out = base
    for step in steps.unique().tolist():
        if step >= 0:

            def filtered(b: Tensor, r: Tensor, step: int = int(step)) -> Tensor:
                return layer.filtered(b, r, torch.tensor([known_step(step)], device=b.device))

            run: Callable[..., Tensor] = filtered
            whole = tiled(run, (base, residual), (patch, patch), patch, layer.margin)
            if bool((steps == step).all()):
                return whole
            here = (steps == step).repeat_interleave(patch).to(base.device)
            out = torch.where(here.view(1, 1, -1, 1), whole, out)
    return out


def _part(rows: PatchRows, first: int, last: int) -> PatchRows:
    """Some rows."""
    edges = [edge for edge in (first, last) if 0 < edge < len(rows.counts)]
    return rows.cut(edges)[1 if first else 0]

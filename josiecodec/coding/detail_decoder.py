"""Putting the detail layer on the decoded base of a picture, and patches of few colours in."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from ..bitstream.patch_payload import DetailPart, PatchRows
from ..bitstream.screen_payload import Screen, unpack_screen
from ..vision.detail_steps import DetailSteps
from ..vision.network import JovioNetwork
from ..vision.tiling import tiled
from .detail import DetailCoder
from .reconstruct import base_codes


def screens_of(rows: PatchRows, patch: int) -> list[Screen | None]:
    """The patches of few colours of each part of a detail layer, None where there are none.

    Raises:
        FormatError: if they are not in order.
    """
    columns = rows.counts.shape[1]
    return [unpack_screen(p.screen, p.rows, columns, patch) if p.screen else None for p in rows.details]


def covered(rows: PatchRows, screens: list[Screen | None]) -> bool:
    """Whether patches of few colours are all that there is to see."""
    whole = sum(part.rows for part, screen in zip(rows.details, screens) if screen is not None and screen.patches.all())
    return whole == len(rows.counts)


@torch.no_grad()
def with_detail(
    network: JovioNetwork, base: Tensor, rows: PatchRows, screens: list[Screen | None], grey: bool = False
) -> Tensor:
    """Decoded base [1, 3, H, W] of whole patches and its rows -> the picture. Rows without detail stay as they are.

    Of a `grey` picture base and detail have no colours, but what comes out may have a trace of them. The base is not
    kept as it was.

    Raises:
        FormatError: if the detail is not in order.
    """
    layer, patch = network.detail, network.patch
    assert layer is not None
    base = base.clamp_(0, 1)
    base = in_grey(base) if grey else base
    _put_all_in(base, rows, screens, patch)
    if covered(rows, screens):
        return base
    coder = DetailCoder(layer, grey)
    residual = torch.zeros_like(base)
    steps: list[DetailSteps | None] = [None] * len(rows.counts)  # of each row of patches
    for part, screen in zip(rows.details, screens):
        if not part.data and screen is not None:
            continue
        edge = slice(part.first * patch, part.last * patch)
        found, residual[..., edge, :] = part_detail(network, coder, rows, part, screen)
        steps[part.first : part.last] = [found] * part.rows
    out = filtered(network, base, residual, steps)
    _put_all_in(out, rows, screens, patch)
    return out


def part_detail(
    network: JovioNetwork, coder: DetailCoder, rows: PatchRows, part: DetailPart, screen: Screen | None
) -> tuple[DetailSteps, Tensor]:
    """Steps and residual [1, 3, H, W] of a part of the detail.

    Raises:
        FormatError: if it is not in order.
    """
    assert network.detail is not None
    piece = _part(rows, part.first, part.last)
    latents = network.whole_latents(base_codes(network, piece)).cpu().numpy()
    skipped = blocks_of(screen.patches) if screen is not None else None
    steps, symbols, shapes = coder.unpack(latents.reshape(*piece.counts.shape, -1), piece.counts, part.data, skipped)
    return steps, network.detail.residual(torch.from_numpy(symbols).to(network.device), steps, shapes)


def in_grey(x: Tensor) -> Tensor:
    """Pictures [..., 3, H, W] without their colours: the same in all three, which are the mean."""
    return x.mean(-3, keepdim=True).expand_as(x).contiguous()


def blocks_of(patches: np.ndarray) -> np.ndarray:
    """Blocks bool [2 h, 2 w] of patches [h, w]."""
    return patches.repeat(2, 0).repeat(2, 1)


def _put_all_in(picture: Tensor, rows: PatchRows, screens: list[Screen | None], patch: int) -> None:
    """Put patches of few colours into a picture."""
    for part, screen in zip(rows.details, screens):
        if screen is not None:
            put_in(picture[:, :, part.first * patch : part.last * patch], screen, patch)


def put_in(picture: Tensor, screen: Screen, patch: int) -> None:
    """Put patches of few colours into the rows [1, 3, H, W] that they are of."""
    inside = torch.from_numpy(screen.patches.repeat(patch, 0).repeat(patch, 1)).to(picture.device)
    pixels = torch.from_numpy(screen.pixels()).to(picture.device).permute(2, 0, 1)
    picture[0].copy_(torch.where(inside, pixels / 255, picture[0]))


def filtered(network: JovioNetwork, base: Tensor, residual: Tensor, steps: list[DetailSteps | None]) -> Tensor:
    """Base and residual put together and smoothed, with the steps of each row of patches, None for no detail."""
    layer, patch = network.detail, network.patch
    assert layer is not None
    out = base
    for kind in set(steps):
        if kind is not None:

            def smoothed(b: Tensor, r: Tensor, kind: DetailSteps = kind) -> Tensor:
                return layer.smoothed(b, r, kind)

            run: Callable[..., Tensor] = smoothed
            whole = tiled(run, (base, residual), (patch, patch), patch, layer.margin)
            here = torch.tensor([other == kind for other in steps])
            if bool(here.all()):
                return whole
            out = torch.where(here.repeat_interleave(patch).to(base.device).view(1, 1, -1, 1), whole, out)
    return out


def _part(rows: PatchRows, first: int, last: int) -> PatchRows:
    """Some rows."""
    edges = [edge for edge in (first, last) if 0 < edge < len(rows.counts)]
    return rows.cut(edges)[1 if first else 0]

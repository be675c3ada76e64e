"""Putting the detail layer on the decoded base of a picture, and patches of few colours in."""

from __future__ import annotations

import numpy as np

from ..bitstream.patch_payload import DetailPart, PatchRows
from ..bitstream.screen_payload import Screen, unpack_screen
from ..vision.detail_steps import DetailSteps
from .detail import DetailCoder
from .picture_network import DecodingNetwork


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


def with_detail(
    network: DecodingNetwork, base: np.ndarray, rows: PatchRows, screens: list[Screen | None], grey: bool = False
) -> np.ndarray:
    """Decoded base [1, 3, H, W] of whole patches and its rows -> the picture. Rows without detail stay as they are.

    Of a `grey` picture base and detail have no colours, but what comes out may have a trace of them. The base is not
    kept as it was.

    Raises:
        FormatError: if the detail is not in order.
    """
    layer, patch = network.detail, network.patch
    assert layer is not None
    base = np.clip(base, 0, 1, out=base)
    base = in_grey(base) if grey else base
    _put_all_in(base, rows, screens, patch)
    if covered(rows, screens):
        return base
    coder = DetailCoder(layer, grey)
    residual = np.zeros_like(base)
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


def drawn(network: DecodingNetwork, rows: PatchRows, base: np.ndarray | None = None) -> np.ndarray:
    """The picture [1, 3, H, W] in [0, 1] of rows with detail and without patches of few colours; `base` is what they
    look like without the detail, if that is known.

    Raises:
        FormatError: if the detail is not in order.
    """
    base = network.base(rows) if base is None else base.copy()
    return with_detail(network, base, rows, [None] * len(rows.details)).clip(0, 1)


def part_detail(
    network: DecodingNetwork, coder: DetailCoder, rows: PatchRows, part: DetailPart, screen: Screen | None
) -> tuple[DetailSteps, np.ndarray]:
    """Steps and residual [1, 3, H, W] of a part of the detail.

    Raises:
        FormatError: if it is not in order.
    """
    piece = _part(rows, part.first, part.last)
    skipped = blocks_of(screen.patches) if screen is not None else None
    steps, symbols, shapes = coder.unpack(network.whole_latents(piece), piece.counts, part.data, skipped)
    return steps, network.residual(symbols, steps, shapes)


def in_grey(x: np.ndarray) -> np.ndarray:
    """Pictures [..., 3, H, W] without their colours: the same in all three, which are the mean."""
    mean = x.mean(-3, keepdims=True, dtype=np.float32)
    return np.ascontiguousarray(np.broadcast_to(mean, x.shape))


def blocks_of(patches: np.ndarray) -> np.ndarray:
    """Blocks bool [2 h, 2 w] of patches [h, w]."""
    return patches.repeat(2, 0).repeat(2, 1)


def _put_all_in(picture: np.ndarray, rows: PatchRows, screens: list[Screen | None], patch: int) -> None:
    """Put patches of few colours into a picture."""
    for part, screen in zip(rows.details, screens):
        if screen is not None:
            put_in(picture[:, :, part.first * patch : part.last * patch], screen, patch)


def put_in(picture: np.ndarray, screen: Screen, patch: int) -> None:
    """Put patches of few colours into the rows [1, 3, H, W] that they are of."""
    inside = screen.patches.repeat(patch, 0).repeat(patch, 1)
    np.copyto(picture[0], screen.pixels().transpose(2, 0, 1) / np.float32(255), where=inside)


def filtered(
    network: DecodingNetwork, base: np.ndarray, residual: np.ndarray, steps: list[DetailSteps | None]
) -> np.ndarray:
    """Base and residual put together and smoothed, with the steps of each row of patches, None for no detail."""
    out = base
    for kind in set(steps):
        if kind is not None:
            whole = network.smoothed(base, residual, kind)
            here = np.array([other == kind for other in steps])
            if here.all():
                return whole
            out = np.where(here.repeat(network.patch)[:, None], whole, out)
    return out


def _part(rows: PatchRows, first: int, last: int) -> PatchRows:
    """Some rows."""
    edges = [edge for edge in (first, last) if 0 < edge < len(rows.counts)]
    return rows.cut(edges)[1 if first else 0]

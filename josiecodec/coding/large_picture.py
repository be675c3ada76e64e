"""Large still pictures with detail, decoded part by part from top to bottom: exactly what comes out in one piece, in a
fraction of the memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..bitstream.patch_payload import DetailPart, PatchRows
from ..bitstream.screen_payload import Screen
from ..vision.detail_steps import DetailSteps
from .detail import DetailCoder
from .detail_decoder import filtered, in_grey, part_detail, put_in, screens_of
from .picture_network import DecodingNetwork

TOGETHER = 20  # rows of patches that are smoothed together, at least


@dataclass(frozen=True)
class _Rows:
    """Some rows of patches, before they are smoothed.

    Attributes:
        first, last: which, `last` behind them.
        base, residual: [1, 3, H, W].
        steps: of the residual, None if there is none.
        screen: patches of few colours; None if there are none.
    """

    first: int
    last: int
    base: np.ndarray
    residual: np.ndarray
    steps: DetailSteps | None
    screen: Screen | None


def decoded_rows(network: DecodingNetwork, rows: PatchRows, grey: bool) -> Iterator[tuple[int, np.ndarray]]:
    """The picture of a group by itself: from which row of patches on, and pixels [3, H, W] in [0, 1].

    Args:
        network: a convolutional model with a detail layer.
        rows: its rows.
        grey: whether it is a picture of greys.

    Raises:
        FormatError: if the detail is not in order.
    """
    layer, patch = network.detail, network.patch
    assert layer is not None
    near: list[_Rows] = []  # what has been decoded and is still looked at
    height, margin, done = len(rows.counts), layer.margin, 0
    for here in _unsmoothed(network, rows, grey):
        near.append(here)
        ready = [n for n in near if n.first >= done and (n.last + margin <= here.last or here.last == height)]
        if not ready or (ready[-1].last - done < TOGETHER and here.last < height):
            continue
        end = ready[-1].last
        top, bottom = max(0, done - margin), min(height, end + margin)
        out = _smoothed(network, [n for n in near if n.last > top and n.first < bottom], top, bottom)
        out = out[:, :, (done - top) * patch : (end - top) * patch]
        screens = [part for part in ready if part.screen is not None]
        out = out.copy() if screens else out
        for part in screens:
            assert part.screen is not None
            put_in(out[:, :, (part.first - done) * patch : (part.last - done) * patch], part.screen, patch)
        yield done, (in_grey(out) if grey else out)[0].clip(0, 1)
        done = end
        near = [n for n in near if n.last > done - margin]


def _smoothed(network: DecodingNetwork, around: list[_Rows], top: int, bottom: int) -> np.ndarray:
    """The rows of patches from `top` to `bottom`, [1, 3, H, W], of what lies around."""
    begin, patch = around[0].first, network.patch
    edge = slice((top - begin) * patch, (bottom - begin) * patch)
    base, residual = (np.concatenate([getattr(n, k) for n in around], 2)[:, :, edge] for k in ("base", "residual"))
    steps = [n.steps for n in around for _ in range(n.first, n.last)][top - begin : bottom - begin]
    return filtered(network, base, residual, steps)


def _unsmoothed(network: DecodingNetwork, rows: PatchRows, grey: bool) -> Iterator[_Rows]:
    """All rows, in the parts of the detail layer and what lies between them."""
    layer, patch = network.detail, network.patch
    assert layer is not None
    coder, still = DetailCoder(layer, grey), network.base_rows(rows)
    screens = screens_of(rows, patch)
    parts: list[tuple[DetailPart, Screen | None]] = []
    reached = 0
    for detail, screen in zip(rows.details, screens):
        if detail.first > reached:
            parts.append((DetailPart(reached, detail.first - reached, b""), None))
        parts.append((detail, screen))
        reached = detail.last
    if reached < len(rows.counts):
        parts.append((DetailPart(reached, len(rows.counts) - reached, b""), None))
    for detail, screen in parts:
        base = np.clip(still.rows(detail.first, detail.last), 0, 1)
        base = in_grey(base) if grey else base
        if screen is not None:
            put_in(base, screen, patch)
        steps: DetailSteps | None = None
        residual = np.zeros_like(base)
        if detail.data or (detail in rows.details and screen is None):
            steps, residual = part_detail(network, coder, rows, detail, screen)
        yield _Rows(detail.first, detail.last, base, residual, steps, screen)

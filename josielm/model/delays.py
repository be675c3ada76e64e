"""Rows of ids put off by some frames each, and put right again. Data are stored without delays."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def delay(rows: Tensor, delays: Sequence[int], start: int) -> Tensor:
    """Row k of the result holds at frame t what row k of `rows` [B, K, T] holds at t - delays[k].

    What would be before the first frame is `start`; what is pushed beyond the last is dropped.
    """
    out = torch.full_like(rows, start)
    frames = rows.shape[-1]
    for k, by in enumerate(delays):
        out[:, k, by:] = rows[:, k, : max(frames - by, 0)]
    return out


def undelay(rows: Tensor, delays: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Bring what belongs to delayed rows back to the frames it is about.

    Args:
        rows: [B, K, T, ...].

    Returns:
        the rows put right, zero where nothing was known any more, and bool [K, T], False there.
    """
    out = torch.zeros_like(rows)
    frames = rows.shape[2]
    known = torch.zeros(rows.shape[1], frames, dtype=torch.bool, device=rows.device)
    for k, by in enumerate(delays):
        keep = max(frames - by, 0)
        out[:, k, :keep] = rows[:, k, by:]
        known[k, :keep] = True
    return out, known

"""Pictures <-> frame groups, padded to whole patches.

The first picture of a video is a group by itself, so that a still picture is a video of length 1. After it come
groups of `group` pictures; a last group that is not full repeats its last picture. A group of two is turned into
the mean and half the difference of its pictures: what does not move is in the mean alone.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def padded(x: Tensor, patch: int) -> Tensor:
    """Pictures [..., H, W], edges repeated to the right and below until both sides are multiples of `patch`."""
    height, width = x.shape[-2:]
    down, right = -height % patch, -width % patch
    if not down and not right:
        return x
    if not x.is_floating_point():
        rows = torch.arange(height + down, device=x.device).clamp_max(height - 1)
        return x[..., rows, :][..., torch.arange(width + right, device=x.device).clamp_max(width - 1)]
    flat = x.reshape(-1, 1, height, width)
    return F.pad(flat, (0, right, 0, down), mode="replicate").reshape(*x.shape[:-2], height + down, width + right)


def as_floats(x: Tensor) -> Tensor:
    """Pictures in [0, 1], which stay, or bytes, of which large ones are kept for less memory, as floats."""
    return x if x.is_floating_point() else x.float().div_(255)


def group_count(pictures: int, group: int) -> int:
    """Groups that a video of so many pictures has."""
    return 0 if pictures == 0 else 1 + -(-(pictures - 1) // group)


def to_groups(x: Tensor, group: int, first: bool = True) -> Tensor:
    """Pictures [B, 3, T, H, W] -> mean and half difference of each group [B, G, 6, H, W].

    Args:
        x: in time order.
        group: pictures in a group, 1 or 2.
        first: whether the first of these pictures is the first of the video, a group by itself.
    """
    lead = x[:, :, :1] if first else x[:, :, :0]
    rest = x[:, :, lead.shape[2] :]
    intra = lead.new_zeros(len(lead), 6, *lead.shape[2:])
    intra[:, :3] = lead
    if not rest.shape[2]:  # a still picture may be large: no more copies of it
        return intra.transpose(1, 2)
    if rest.shape[2] % group:
        rest = torch.cat([rest, rest[:, :, -1:]], 2)
    parts = [intra]
    if group == 1:
        parts.append(torch.cat([rest, torch.zeros_like(rest)], 1))
    else:
        a, b = rest[:, :, 0::2], rest[:, :, 1::2]
        parts.append(torch.cat([(a + b) / 2, (a - b) / 2], 1))
    return torch.cat(parts, 2).transpose(1, 2)


def from_groups(groups: Tensor, group: int, pictures: int, first: bool = True) -> Tensor:
    """The inverse of `to_groups`: [B, G, 6, H, W] -> [B, 3, pictures, H, W]."""
    mean, half = groups.transpose(1, 2).chunk(2, 1)
    lead = 1 if first and groups.shape[1] else 0
    parts = [mean[:, :, :lead]]
    if group == 1:
        parts.append(mean[:, :, lead:])
    else:
        pair = torch.stack([mean[:, :, lead:] + half[:, :, lead:], mean[:, :, lead:] - half[:, :, lead:]], 3)
        parts.append(pair.flatten(2, 3))
    return torch.cat(parts, 2)[:, :, :pictures]

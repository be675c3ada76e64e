"""`window_weights.py` with torch."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .block_arrays import COLORS, SIDE
from .grouping import as_floats
from .window_weights import MARGIN, POWERS, REACH, STEADY, STRIP, WIDE, band_weights, window

__all__ = ["MARGIN", "STRIP", "band_weights", "window_weights"]


@torch.no_grad()
def window_weights(picture: Tensor) -> np.ndarray:
    """What the variance of an error in windows counts at each scale: float32 [5, H / 8, W / 8] of a picture
    [1, 3, H, W] of whole patches in [0, 1], or bytes."""
    height, width = picture.shape[-2:]
    strip = STRIP if width <= WIDE else STRIP // 4  # what is looked at at a time has to fit in memory
    strips = []
    for first in range(0, height, strip):
        begin, end = max(first - MARGIN, 0), min(first + strip + MARGIN, height)
        weights = _of_strip(as_floats(picture[..., begin:end, :]))
        strips.append(weights[:, (first - begin) // SIDE : (min(first + strip, height) - begin) // SIDE])
    return torch.cat(strips, 1).cpu().numpy()


def _of_strip(x: Tensor) -> Tensor:
    size = (x.shape[-2] // SIDE, x.shape[-1] // SIDE)
    weights = torch.from_numpy(window()).to(x).repeat(COLORS, 1, 1, 1)

    def means(y: Tensor) -> Tensor:
        y = F.conv2d(F.pad(y, (REACH, REACH, 0, 0), mode="replicate"), weights, groups=COLORS)
        return F.conv2d(F.pad(y, (0, 0, REACH, REACH), mode="replicate"), weights.transpose(2, 3), groups=COLORS)

    found = []
    for scale in range(len(POWERS)):
        variance = (means(x.square()) - means(x).square()).clamp_min(0)
        weight = (1 / (2 * variance + STEADY)).mean(1)
        ratio = SIDE >> scale
        if ratio > 1:
            weight = F.avg_pool2d(weight, ratio)
        elif not ratio:
            weight = weight.repeat_interleave(2, 1).repeat_interleave(2, 2)
        found.append(weight.view(size))
        if scale + 1 < len(POWERS):
            x = F.avg_pool2d(x, 2)
    return torch.stack(found)

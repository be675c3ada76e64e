"""What an error of a coefficient costs in structural similarity, by place and frequency.

MS-SSIM (Wang et al. 2003) multiplies, over five scales, means over windows of

    (2 cov(x, y) + C) / (var x + var y + C)  =  1 - var(x - y) / (var x + var y + C),

each to a power. Near the original that makes a weighted squared error: the sum over scales of the power times the
variance of the error in a window, as far as it is left at that scale, over twice the original's variance there + C.
So errors count most where little goes on, and those of frequencies that are averaged away at the second scale hardly
count.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .block_transform import COLORS, SIDE, from_coefficients
from .grouping import as_floats

POWERS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # of the scales
SPREAD, REACH = 1.5, 5  # of a window: standard deviation, and pixels on each side of its middle
STEADY = 0.03**2  # C, for pictures in [0, 1]
WIDE = 2048  # pixels in a row above which strips are narrower
STRIP, MARGIN = 512, 96  # rows of pixels that are looked at at a time, and those around them that have a say


def _window() -> np.ndarray:
    """Weights of a window in one direction, float64 [11]."""
    weights = np.exp(-np.square(np.arange(-REACH, REACH + 1)) / (2 * SPREAD**2))
    normal: np.ndarray = weights / weights.sum()
    return normal


@cache
def band_weights() -> np.ndarray:
    """How much of the squared error of each coefficient is left as variance in windows at each scale, times the power
    of the scale: float64 [5, 192]."""
    units = torch.zeros(1, 1, SIDE * SIDE, COLORS * SIDE * SIDE)
    units[0, 0, torch.arange(SIDE * SIDE), torch.arange(SIDE * SIDE)] = 1
    blocks = from_coefficients(units)[0, 0].view(SIDE, SIDE * SIDE, SIDE).permute(1, 0, 2) * COLORS**0.5
    blocks = F.pad(blocks[:, None], (0, SIDE, 0, SIDE)).double()  # of one colour, [64, 1, 16, 16]
    window = torch.from_numpy(_window())
    found = []
    for scale, power in enumerate(POWERS):
        around = F.pad(blocks, (2 * REACH,) * 4)
        means = F.conv2d(F.conv2d(around, window.view(1, 1, 1, -1)), window.view(1, 1, -1, 1))
        left = blocks.square().sum((1, 2, 3)) - means.square().sum((1, 2, 3))
        found.append(power * 4**scale * left.clamp_min(0).numpy())
        if scale + 1 < len(POWERS):
            blocks = F.avg_pool2d(blocks, 2)
    return np.tile(np.stack(found), COLORS)


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
    window = torch.from_numpy(_window()).to(x).repeat(COLORS, 1, 1, 1)

    def means(y: Tensor) -> Tensor:
        y = F.conv2d(F.pad(y, (REACH, REACH, 0, 0), mode="replicate"), window, groups=COLORS)
        return F.conv2d(F.pad(y, (0, 0, REACH, REACH), mode="replicate"), window.transpose(2, 3), groups=COLORS)

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

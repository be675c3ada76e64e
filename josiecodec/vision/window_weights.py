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

from .block_arrays import COLORS, SIDE, picture_of

POWERS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # of the scales
SPREAD, REACH = 1.5, 5  # of a window: standard deviation, and pixels on each side of its middle
STEADY = 0.03**2  # C, for pictures in [0, 1]
WIDE = 2048  # pixels in a row above which strips are narrower
STRIP, MARGIN = 512, 96  # rows of pixels that are looked at at a time, and those around them that have a say


def window() -> np.ndarray:
    """Weights of a window in one direction, float64 [11]."""
    weights = np.exp(-np.square(np.arange(-REACH, REACH + 1)) / (2 * SPREAD**2))
    normal: np.ndarray = weights / weights.sum()
    return normal


@cache
def band_weights() -> np.ndarray:
    """How much of the squared error of each coefficient is left as variance in windows at each scale, times the power
    of the scale: float64 [5, 192]."""
    count = SIDE * SIDE
    units = np.zeros((1, count, COLORS * count), np.float32)
    units[0, np.arange(count), np.arange(count)] = 1
    blocks = picture_of(units)[0].reshape(SIDE, count, SIDE).swapaxes(0, 1) * COLORS**0.5
    blocks = np.pad(blocks.astype(np.float64), ((0, 0), (0, SIDE), (0, SIDE)))  # of one colour, [64, 16, 16]
    found = []
    for scale, power in enumerate(POWERS):
        around = np.pad(blocks, ((0, 0), (2 * REACH,) * 2, (2 * REACH,) * 2))
        means = _slid(_slid(around, -1), -2)
        left = np.square(blocks).sum((1, 2)) - np.square(means).sum((1, 2))
        found.append(power * 4**scale * left.clip(0))
        if scale + 1 < len(POWERS):
            blocks = _pooled(blocks, 2)
    return np.tile(np.stack(found), COLORS)


def window_weights(picture: np.ndarray) -> np.ndarray:
    """What the variance of an error in windows counts at each scale: float32 [5, H / 8, W / 8] of a picture
    [3, H, W] of whole patches in [0, 1], or bytes."""
    height, width = picture.shape[-2:]
    strip = STRIP if width <= WIDE else STRIP // 4  # what is looked at at a time has to fit in memory
    strips = []
    for first in range(0, height, strip):
        begin, end = max(first - MARGIN, 0), min(first + strip + MARGIN, height)
        part = picture[:, begin:end]
        weights = _of_strip(part / np.float32(255) if part.dtype == np.uint8 else part)
        strips.append(weights[:, (first - begin) // SIDE : (min(first + strip, height) - begin) // SIDE])
    return np.concatenate(strips, 1)


def _of_strip(x: np.ndarray) -> np.ndarray:
    size = (x.shape[-2] // SIDE, x.shape[-1] // SIDE)

    def means(y: np.ndarray) -> np.ndarray:
        y = _slid(np.pad(y, ((0, 0), (0, 0), (REACH, REACH)), "edge"), -1)
        return _slid(np.pad(y, ((0, 0), (REACH, REACH), (0, 0)), "edge"), -2)

    found = []
    for scale in range(len(POWERS)):
        variance = means(np.square(x)) - np.square(means(x))
        weight = (1 / (2 * variance.clip(0) + np.float32(STEADY))).mean(0, dtype=np.float32)
        ratio = SIDE >> scale
        if ratio > 1:
            weight = _pooled(weight, ratio)
        elif not ratio:
            weight = weight.repeat(2, 0).repeat(2, 1)
        found.append(weight.reshape(size))
        if scale + 1 < len(POWERS):
            x = _pooled(x, 2)
    return np.stack(found)


def _slid(x: np.ndarray, axis: int) -> np.ndarray:
    """Windowed means along the last axis, or the one before it: shorter by twice `REACH`."""
    weights, size = window().astype(x.dtype), x.shape[axis] - 2 * REACH

    def at(k: int) -> np.ndarray:
        return x[..., k : k + size] if axis == -1 else x[..., k : k + size, :]

    out = weights[REACH] * at(REACH)
    for k in range(REACH):  # both sides have the same weights
        out += weights[k] * (at(k) + at(2 * REACH - k))
    return out


def _pooled(x: np.ndarray, factor: int) -> np.ndarray:
    """Means over squares of [..., H, W]."""
    *lead, height, width = x.shape
    return x.reshape(*lead, height // factor, factor, width // factor, factor).mean((-3, -1), dtype=x.dtype)

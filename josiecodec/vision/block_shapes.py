"""Transforms of a patch in blocks of several shapes, all laid out as four blocks of 8 x 8.

A patch of 16 x 16 pixels has four blocks of 8 x 8, one of 16 x 16, or two of 16 x 8 or 8 x 16. Along a side that is
16 long, the coefficient with frequency k takes the place of frequency k // 2 in the block k % 2 of the two: so what
knows where energy lies in blocks of 8 x 8 is nearly right for all. Everything is orthonormal.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import torch
from torch import Tensor

from .block_transform import COEFFICIENTS, COLORS, SIDE, zigzag

SHAPES = ((8, 8), (16, 16), (16, 8), (8, 16))  # of blocks, down and across, by number
PLACES = 4  # of blocks of 8 x 8 in a patch


@cache
def _longer() -> Tensor:
    """Coefficients of two blocks beside each other, [2 x 8], to those of one of twice the length: [16, 16]."""

    def cosines(n: int) -> np.ndarray:
        k = np.arange(n)
        found: np.ndarray = np.cos(math.pi * (2 * k + 1) * k[:, None] / (2 * n)) * math.sqrt(2 / n)
        found[0] /= math.sqrt(2)
        return found

    long, short = cosines(2 * SIDE), cosines(SIDE)
    order = np.arange(2 * SIDE).reshape(SIDE, 2).T.reshape(-1)
    return torch.from_numpy(long[order] @ np.kron(np.eye(2), short).T).float()


def places(shapes: np.ndarray) -> np.ndarray:
    """Of each block of 8 x 8 [2 h, 2 w] what shape its patch has and where in it it lies: `PLACES` x shape + place."""
    corner = np.arange(PLACES).reshape(2, 2)
    found: np.ndarray = PLACES * shapes.astype(np.int64).repeat(2, 0).repeat(2, 1) + np.tile(corner, shapes.shape)
    return found


def averaged(x: np.ndarray, shapes: np.ndarray) -> np.ndarray:
    """Whole numbers [2 h, 2 w, n] of coefficients -> where blocks are longer, the floor of their mean over the blocks
    of 8 x 8 that they reach over."""
    h, w = shapes.shape
    x = x.reshape(h, 2, w, 2, -1)
    found = x.copy()
    for number, shape in enumerate(SHAPES):
        here = shapes == number
        if number and here.any():
            axes = tuple(axis for axis, side in zip((1, 2), shape) if side > SIDE)
            patches = x.transpose(0, 2, 1, 3, 4)[here]
            mean = np.floor(patches.mean(axes, keepdims=True, dtype=np.float64)).astype(x.dtype)
            found.transpose(0, 2, 1, 3, 4)[here] = np.broadcast_to(mean, patches.shape)
    return found.reshape(2 * h, 2 * w, -1)


def to_shape(x: Tensor, number: int) -> Tensor:
    """Coefficients of blocks of 8 x 8, float [2 h, 2 w, 192], to those of a shape."""
    return _turned(x, number, False)


def to_shapes(x: Tensor, shapes: np.ndarray) -> Tensor:
    """Coefficients of blocks of 8 x 8, float [2 h, 2 w, 192], to those of the shape of each patch [h, w]."""
    return _each(x, shapes, False)


def from_shapes(x: Tensor, shapes: np.ndarray) -> Tensor:
    """The inverse of `to_shapes`."""
    return _each(x, shapes, True)


def _each(x: Tensor, shapes: np.ndarray, back: bool) -> Tensor:
    if not shapes.any():
        return x
    h, w = shapes.shape
    patches = x.reshape(h, 2, w, 2, COEFFICIENTS).permute(0, 2, 1, 3, 4).clone()
    for number in range(1, len(SHAPES)):
        here = torch.from_numpy(shapes == number).to(x.device)
        if bool(here.any()):
            some = patches[here]  # [N, 2, 2, 192], as rows of patches in a single column
            turned = _turned(some.reshape(-1, 2, COEFFICIENTS), number, back)
            patches[here] = turned.view(some.shape)
    return patches.permute(0, 2, 1, 3, 4).reshape(x.shape)


def _turned(x: Tensor, number: int, back: bool) -> Tensor:
    matrix = _longer().to(x)
    matrix = matrix.t() if back else matrix
    order, inverse = (torch.from_numpy(o).to(x.device) for o in zigzag())
    h, w = x.shape[0] // 2, x.shape[1] // 2
    y = x.reshape(h, 2, w, 2, COLORS, SIDE * SIDE)[..., inverse].view(h, 2, w, 2, COLORS, SIDE, SIDE)
    y = y.permute(0, 2, 4, 1, 5, 3, 6).reshape(h * w * COLORS, 2 * SIDE, 2 * SIDE)
    down, across = SHAPES[number]
    if down > SIDE:
        y = matrix @ y
    if across > SIDE:
        y = y @ matrix.t()
    y = y.reshape(h, w, COLORS, 2, SIDE, 2, SIDE).permute(0, 3, 1, 5, 2, 4, 6)
    return y.reshape(2 * h, 2 * w, COLORS, SIDE * SIDE)[..., order].reshape(x.shape)

"""Transforms of a patch in blocks of several shapes, all laid out as four blocks of 8 x 8.

A patch of 16 x 16 pixels has four blocks of 8 x 8, one of 16 x 16, or two of 16 x 8 or 8 x 16. Along a side that is
16 long, the coefficient with frequency k takes the place of frequency k // 2 in the block k % 2 of the two: so what
knows where energy lies in blocks of 8 x 8 is nearly right for all. Everything is orthonormal.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np

from .block_arrays import COEFFICIENTS, COLORS, SIDE, matrices

SHAPES = ((8, 8), (16, 16), (16, 8), (8, 16))  # of blocks, down and across, by number
PLACES = 4  # of blocks of 8 x 8 in a patch


@cache
def _longer() -> np.ndarray:
    """Coefficients of two blocks beside each other, [2 x 8], to those of one of twice the length: [16, 16]."""

    def cosines(n: int) -> np.ndarray:
        k = np.arange(n)
        found: np.ndarray = np.cos(math.pi * (2 * k + 1) * k[:, None] / (2 * n)) * math.sqrt(2 / n)
        found[0] /= math.sqrt(2)
        return found

    long, short = cosines(2 * SIDE), cosines(SIDE)
    order = np.arange(2 * SIDE).reshape(SIDE, 2).T.reshape(-1)
    return (long[order] @ np.kron(np.eye(2), short).T).astype(np.float32)


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


def to_shape(x: np.ndarray, number: int) -> np.ndarray:
    """Coefficients of blocks of 8 x 8, float32 [2 h, 2 w, 192], to those of a shape."""
    h, w = x.shape[0] // 2, x.shape[1] // 2
    patches = x.reshape(h, 2, w, 2, COEFFICIENTS).swapaxes(1, 2).reshape(-1, 2, 2, COEFFICIENTS)
    turned = _turned(patches, number, False).reshape(h, w, 2, 2, COEFFICIENTS)
    return turned.swapaxes(1, 2).reshape(x.shape)


def to_shapes(x: np.ndarray, shapes: np.ndarray) -> np.ndarray:
    """Coefficients of blocks of 8 x 8, float32 [2 h, 2 w, 192], to those of the shape of each patch [h, w]."""
    return _each(x, shapes, False)


def from_shapes(x: np.ndarray, shapes: np.ndarray) -> np.ndarray:
    """The inverse of `to_shapes`."""
    return _each(x, shapes, True)


def _each(x: np.ndarray, shapes: np.ndarray, back: bool) -> np.ndarray:
    if not shapes.any():
        return x
    h, w = shapes.shape
    patches = x.reshape(h, 2, w, 2, COEFFICIENTS).swapaxes(1, 2).copy()
    for number in range(1, len(SHAPES)):
        here = shapes == number
        if here.any():
            patches[here] = _turned(patches[here], number, back)
    return patches.swapaxes(1, 2).reshape(x.shape)


def _turned(x: np.ndarray, number: int, back: bool) -> np.ndarray:
    """Patches [N, 2, 2, 192] to another shape of blocks, or back to 8 x 8."""
    matrix = _longer().T if back else _longer()
    _, _, order, inverse = matrices()
    y = x.reshape(-1, 2, 2, COLORS, SIDE * SIDE)[..., inverse].reshape(-1, 2, 2, COLORS, SIDE, SIDE)
    y = y.transpose(0, 3, 1, 4, 2, 5).reshape(-1, 2 * SIDE, 2 * SIDE)
    down, across = SHAPES[number]
    if down > SIDE:
        y = matrix @ y
    if across > SIDE:
        y = y @ matrix.T
    y = y.reshape(-1, COLORS, 2, SIDE, 2, SIDE).transpose(0, 2, 4, 1, 3, 5)
    return y.reshape(-1, 2, 2, COLORS, SIDE * SIDE)[..., order].reshape(x.shape)

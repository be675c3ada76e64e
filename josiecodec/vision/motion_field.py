"""Motion compensation: a prediction of a picture from one or two others by a field of vectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ..kernels import family, ready
from .motion_planes import CELL, PAD, PATCH, Planes, Reference

GREY = 128  # what a patch without any reference is predicted to be
_OWN = np.array(  # weights of H.263 annex F, in eighths: of the own vector, of the one above or below, of the others
    [
        [4, 5, 5, 5, 5, 5, 5, 4],
        [5, 5, 5, 5, 5, 5, 5, 5],
        [5, 5, 6, 6, 6, 6, 5, 5],
        [5, 5, 6, 6, 6, 6, 5, 5],
        [5, 5, 6, 6, 6, 6, 5, 5],
        [5, 5, 6, 6, 6, 6, 5, 5],
        [5, 5, 5, 5, 5, 5, 5, 5],
        [4, 5, 5, 5, 5, 5, 5, 4],
    ]
)
_VERTICAL = np.array([[2] * 8, [1, 1, 2, 2, 2, 2, 1, 1], [1] * 8, [1] * 8])
_VERTICAL = np.concatenate([_VERTICAL, _VERTICAL[::-1]])
_SIDE = 8 - _OWN - _VERTICAL
_WEIGHTS = np.stack([_OWN, _VERTICAL, _SIDE]).astype(np.uint16)


@dataclass
class MotionField:
    """How a picture is predicted, for each cell of 8 x 8 pixels.

    Attributes:
        uses: uint8 [2 h, 2 w], bit r says that reference r is used; two are averaged, none gives grey.
        vectors: int16 [R, 2 h, 2 w, 2], down and right, in quarters of a pixel.
    """

    uses: np.ndarray
    vectors: np.ndarray


def windows(plane: np.ndarray, side: int) -> np.ndarray:
    """All squares of a plane of a `Reference`: a view [16, rows, columns, side, side]."""
    return sliding_window_view(plane, (side, side), axis=(1, 2))


def fetch(squares: np.ndarray, pad: int, top: np.ndarray, left: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Squares uint8 [..., side, side] at places moved by vectors [..., 2]; those outside are moved to the edge."""
    down, right = vectors[..., 0].astype(np.intp), vectors[..., 1].astype(np.intp)
    row = np.clip(top + (down >> 2) + pad, 0, squares.shape[1] - 1)
    column = np.clip(left + (right >> 2) + pad, 0, squares.shape[2] - 1)
    return squares[(down & 3) * 4 + (right & 3), row, column]


def compensate(references: Sequence[Reference], field: MotionField, overlapped: bool = True) -> Planes:
    """The prediction that a field makes, with the vectors of neighbouring cells blended in (H.263, annex F)."""
    y = _plane([r.y for r in references], field, CELL, PAD, overlapped)
    u = _plane([r.u for r in references], field, CELL // 2, PAD // 2, overlapped)
    v = _plane([r.v for r in references], field, CELL // 2, PAD // 2, overlapped)
    return Planes(y, u, v)


def _plane(planes: list[np.ndarray], field: MotionField, side: int, pad: int, overlapped: bool) -> np.ndarray:
    kernels = family("motion_field")
    if kernels is not None:
        weights = np.ascontiguousarray(_WEIGHTS[:, :: CELL // side, :: CELL // side])
        uses, vectors = ready(field.uses, np.uint8), ready(field.vectors, np.int16)
        shift = int(side != CELL)
        return np.asarray(
            kernels.compensate(planes[0], planes[-1], uses, vectors, side, pad, shift, weights, overlapped)
        )
    squares = [windows(p, side) for p in planes]
    rows, columns = field.uses.shape
    top = np.arange(rows)[:, None] * side
    left = np.arange(columns)[None] * side
    vectors = field.vectors if side == CELL else field.vectors >> 1
    own = _cells(squares, pad, top, left, field.uses, vectors)
    if overlapped:
        own = _blended(squares, pad, top, left, field.uses, vectors, own, side)
    return np.ascontiguousarray(own.transpose(0, 2, 1, 3)).reshape(rows * side, columns * side)


def _cells(
    squares: list[np.ndarray], pad: int, top: np.ndarray, left: np.ndarray, uses: np.ndarray, vectors: np.ndarray
) -> np.ndarray:
    """[rows, columns, side, side] of all cells, each by its own vectors."""
    if len(squares) == 1:
        out = fetch(squares[0], pad, top, left, vectors[0])
    else:
        first, second = (fetch(s, pad, top, left, v) for s, v in zip(squares, vectors))
        out = ((first.astype(np.uint16) + second + 1) >> 1).astype(np.uint8)
        out[uses == 1], out[uses == 2] = first[uses == 1], second[uses == 2]
    out[uses == 0] = GREY
    return out


def _blended(
    squares: list[np.ndarray],
    pad: int,
    top: np.ndarray,
    left: np.ndarray,
    uses: np.ndarray,
    vectors: np.ndarray,
    own: np.ndarray,
    side: int,
) -> np.ndarray:
    """Cells whose halves are blended with what the vectors of the cells beside them fetch."""
    weights = _WEIGHTS[:, :: CELL // side, :: CELL // side]
    total = own * weights[0]
    total += 4
    half = side // 2
    for axis, weight in ((0, weights[1]), (1, weights[2])):
        for back in (True, False):
            moved_uses, moved = _neighbours(uses, axis, back), _neighbours(vectors, axis + 1, back)
            moved_uses = np.where((moved_uses == 0) | (uses == 0), uses, moved_uses)
            moved = np.where((moved_uses == uses)[None, ..., None] & (uses == 0)[None, ..., None], vectors, moved)
            part = [slice(None)] * 4
            part[2 + axis] = slice(0, half) if back else slice(half, side)
            other = _cells(squares, pad, top, left, moved_uses, moved)[tuple(part)]
            total[tuple(part)] += other * weight[tuple(part[2:])]
    return (total >> 3).astype(np.uint8)


def _neighbours(x: np.ndarray, axis: int, back: bool) -> np.ndarray:
    """What the cells before (or behind) along an axis have; at the edge the cell's own."""
    x = np.moveaxis(x, axis, 0)
    moved = np.concatenate([x[:1], x[:-1]] if back else [x[1:], x[-1:]])
    return np.moveaxis(moved, 0, axis)


def cells_of(patches: np.ndarray) -> np.ndarray:
    """[h, w, ...] of patches -> [2 h, 2 w, ...] of cells."""
    return patches.repeat(PATCH // CELL, 0).repeat(PATCH // CELL, 1)

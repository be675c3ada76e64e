"""Motion search: for each patch the vector to a reference that makes absolute error + lambda x bits least.

All patches are searched at once: all shifts at a quarter of the resolution, then candidates (from the coarse search,
from the patches around and from pictures searched before) and ever smaller steps around the best.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..kernels import family, ready
from .motion_field import fetch, windows
from .motion_planes import PAD, PATCH, Planes

REACH = 8  # of the coarse search, in pixels of a quarter of the resolution
LONGEST = 4 * (4 * REACH + 8)  # quarters of a pixel
EXPLICIT_BITS = 5.0  # of a vector that no patch beside has, on top of its difference
_AROUND = np.array([(-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1)])
_BITS = np.array([0.0] + [2.0 * np.floor(np.log2(n)) + 2.5 for n in range(1, 4 * LONGEST + 8)])


def coarse(y: np.ndarray) -> np.ndarray:
    """Luma [H, W] at a quarter of the resolution: int16 [H / 4, W / 4]."""
    return (y.reshape(y.shape[0] // 4, 4, y.shape[1] // 4, 4).sum((1, 3), dtype=np.int32) >> 4).astype(np.int16)


def search(
    picture: Planes,
    small: np.ndarray,
    other: Planes,
    other_small: np.ndarray,
    hints: Sequence[np.ndarray],
    price: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Vectors from a picture to another.

    Args:
        picture, small: the picture, and its luma as of `coarse`.
        other, other_small: what it is to be predicted from.
        hints: vectors [h, w, 2] to try.
        price: of a bit, in absolute error.

    Returns:
        Vectors int32 [h, w, 2] in quarters of a pixel, and their absolute errors float32 [h, w].
    """
    h, w = picture.grid
    zero = np.zeros((h, w, 2), np.int32)
    tried = [zero, *_coarse_search(small, other_small), *hints]
    rounds = 8, 4, 0, 2, 0, 1, 0
    if family("motion_search") is not None:
        return _refined_by_kernel(picture, other, np.stack(tried).astype(np.int32), rounds, price)
    blocks, squares = patches(picture.y), windows(other.reference.y, PATCH)
    errors = np.stack([absolute_errors(blocks, squares, v) for v in tried], -1)
    best = errors.argmin(-1)
    vectors = np.stack(tried, 2)[np.arange(h)[:, None], np.arange(w), best].astype(np.int32)
    error = errors.min(-1)
    return _refined(blocks, squares, vectors, error, rounds, price)


def refine(picture: Planes, other: Planes, vectors: np.ndarray, price: float) -> tuple[np.ndarray, np.ndarray]:
    """As `search`, around vectors that are nearly right: those to the same picture at another quality."""
    if family("motion_search") is not None:
        return _refined_by_kernel(picture, other, vectors[None].astype(np.int32), (0, 1), price)
    blocks, squares = patches(picture.y), windows(other.reference.y, PATCH)
    return _refined(blocks, squares, vectors, absolute_errors(blocks, squares, vectors), (0, 1), price)


def _refined(
    blocks: np.ndarray,
    squares: np.ndarray,
    vectors: np.ndarray,
    error: np.ndarray,
    rounds: Sequence[int],
    price: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Try so many quarters of a pixel around in each round, or (0) the vectors of the neighbours."""
    for size in rounds:
        moves = vectors[:, :, None] + size * _AROUND if size else neighbours(vectors)
        vectors, error = _improve(blocks, squares, vectors, error, moves, price)
    return vectors, error


def _refined_by_kernel(
    picture: Planes, other: Planes, tried: np.ndarray, rounds: Sequence[int], price: float
) -> tuple[np.ndarray, np.ndarray]:
    """`_refined`, from the best of some vectors [C, h, w, 2] on."""
    kernels = family("motion_search")
    assert kernels is not None
    luma, squares = ready(picture.y, np.uint8), ready(other.reference.y, np.uint8)
    vectors, error = np.empty(tried.shape[1:], np.int32), np.empty(tried.shape[1:3], np.float32)
    kernels.best_of(luma, squares, tried, vectors, error, PAD)
    found, errors = np.empty_like(vectors), np.empty_like(error)
    for size in rounds:
        moves = np.ascontiguousarray(size * _AROUND if size else _AROUND[:0])
        how = moves, LONGEST, PAD, _BITS, EXPLICIT_BITS, price
        kernels.improve(luma, squares, vectors, error, found, errors, *how)
        vectors, error, found, errors = found, errors, vectors, error
    return vectors, error


def patches(y: np.ndarray) -> np.ndarray:
    """Luma [H, W] as [h, w, 16, 16]."""
    h, w = y.shape[0] // PATCH, y.shape[1] // PATCH
    return np.ascontiguousarray(y.reshape(h, PATCH, w, PATCH).transpose(0, 2, 1, 3))


def absolute_errors(blocks: np.ndarray, squares: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Sums of absolute errors of blocks [h, w, s, s] by vectors [h, w, ..., 2]."""
    h, w, side = blocks.shape[:3]
    extra = (1,) * (vectors.ndim - 3)
    top = side * np.arange(h).reshape(h, 1, *extra)
    left = side * np.arange(w).reshape(1, w, *extra)
    fetched = fetch(squares, PAD, top, left, vectors)
    own = blocks.reshape(h, w, *extra, side, side)
    difference = np.maximum(fetched, own)
    difference -= np.minimum(fetched, own, out=fetched)
    return difference.reshape(*vectors.shape[:-1], side * side).sum(-1, dtype=np.uint32).astype(np.float32)


def neighbours(vectors: np.ndarray) -> np.ndarray:
    """The vectors to the left, above, to the right and below [h, w, 4, 2], and their median at last: [h, w, 5, 2]."""
    padded = np.pad(vectors, ((1, 1), (1, 1), (0, 0)), "edge")
    left, above = padded[1:-1, :-2], padded[:-2, 1:-1]
    return np.stack([left, above, padded[1:-1, 2:], padded[2:, 1:-1], guess(vectors)], 2)


def guess(vectors: np.ndarray) -> np.ndarray:
    """The median of the vectors to the left, above, and above to the right."""
    padded = np.pad(vectors, ((1, 1), (1, 1), (0, 0)), "edge")
    left, above, corner = padded[1:-1, :-2], padded[:-2, 1:-1], padded[:-2, 2:]
    return np.maximum(np.minimum(left, above), np.minimum(np.maximum(left, above), corner))


def vector_bits(vectors: np.ndarray, field: np.ndarray) -> np.ndarray:
    """About what vectors [h, w, C, 2] cost beside those of the other patches, `field` [h, w, 2]."""
    around = neighbours(field)[:, :, :3]
    around[:, :, 2] = guess(field)
    same = (vectors[:, :, :, None] == around[:, :, None]).all(-1).any(-1)
    difference = np.abs(vectors - around[:, :, 2:3])
    return np.where(same, 0.0, EXPLICIT_BITS + _BITS[np.minimum(difference, len(_BITS) - 1)].sum(-1))


def _improve(
    blocks: np.ndarray, squares: np.ndarray, vectors: np.ndarray, error: np.ndarray, moves: np.ndarray, price: float
) -> tuple[np.ndarray, np.ndarray]:
    """Take the best of some candidates [h, w, C, 2] where it is better."""
    moves = moves.clip(-LONGEST, LONGEST)
    errors = np.concatenate([error[..., None], absolute_errors(blocks, squares, moves)], -1)
    all_moves = np.concatenate([vectors[:, :, None], moves], 2)
    costs = errors + price * vector_bits(all_moves, vectors)
    best = costs.argmin(-1)[..., None]
    chosen = np.take_along_axis(all_moves, best[..., None], 2)[:, :, 0]
    return chosen, np.take_along_axis(errors, best, 2)[:, :, 0]


def _coarse_search(small: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The best shifts of each patch by itself and together with those around it: [h, w, 2] in quarters of a pixel."""
    rows, columns = small.shape
    h, w = rows // 4, columns // 4
    padded = np.pad(other, REACH, "edge")
    kernels = family("motion_search")
    if kernels is not None:
        shifts_found = np.zeros((2, h, w, 2), np.int32)
        kernels.coarse_search(*(ready(x, np.int16) for x in (small, padded)), REACH, shifts_found)
        return shifts_found[0], shifts_found[1]
    shifts = 2 * REACH + 1
    sums = np.empty((shifts, shifts, h, w), np.float32)
    for a in range(shifts):
        part = np.lib.stride_tricks.sliding_window_view(
            padded[a : a + rows], columns, axis=1
        )  # [rows, shifts, columns]
        d = np.abs(part - small[:, None])
        d = d.reshape(h, 4, shifts, columns).sum(1, dtype=np.int16)
        d = d[..., 0::4] + d[..., 1::4] + d[..., 2::4] + d[..., 3::4]
        sums[a] = d.transpose(1, 0, 2)
    padded_sums = np.pad(sums, ((0, 0), (0, 0), (1, 1), (1, 1)), "edge")
    down = padded_sums[..., :-2, :] + padded_sums[..., 1:-1, :] + padded_sums[..., 2:, :]
    wide = down[..., :-2] + down[..., 1:-1] + down[..., 2:]
    found = []
    for total in (sums, wide):
        best = total.reshape(shifts * shifts, h, w).argmin(0)
        found.append(16 * (np.stack([best // shifts, best % shifts], -1) - REACH).astype(np.int32))
    return found[0], found[1]

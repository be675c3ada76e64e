"""A filter of decoded pictures, whose result is shown and predicted from (cf. the adaptive loop filter of H.266).

Each cell of 8 x 8 samples of a plane belongs to a class, by how busy it is beside the step that it was quantized
with, and by the way its edges lead. Each class has weights for pairs of pixels around, for differences that are no
larger than some part of the step: what is larger is no error of coding. The weights follow from least squares over
clips of the training set (`benchmarks/enhance_bank.py`). All of it is integer arithmetic.
"""

from __future__ import annotations

import numpy as np

from ..kernels import family, ready
from .enhance_bank import BANKS
from .motion_planes import CELL, PATCH, Planes
from .motion_residual import cells_of, sizes_of

PAIRS = ((0, 1), (1, 0), (1, 1), (1, -1), (0, 2), (2, 0), (1, 2), (2, 1), (2, -1), (1, -2), (0, 3), (3, 0))
LEVELS = (31, 82, 164, 307, 614)  # of slopes beside the step, where the next class begins, in 256ths
LIMIT = 38  # of differences, beside the step, in 4096ths
_PAIRS, _LEVELS = np.array(PAIRS), np.array(LEVELS)
_BANKS = [np.frombuffer(bank, np.int8).astype(np.int64).reshape(5 * (len(LEVELS) + 1), len(PAIRS)) for bank in BANKS]


def enhanced(
    picture: Planes, step: int, offsets: np.ndarray, layer: int, copied: np.ndarray, strength: int = 2
) -> Planes:
    """A decoded picture, filtered.

    Args:
        picture: with its edges smoothed.
        step: of the picture.
        offsets: [h, w], what is added to the steps of patches.
        layer: of the picture; key pictures have weights of their own.
        copied: bool [h, w, 6], which blocks of patches stay as they are.
        strength: halves of the weights.
    """
    luma, chroma = sizes_of(step, offsets)
    banks = _BANKS[0 if layer == 0 else 1], _BANKS[2 if layer == 0 else 3]
    y = _filtered(picture.y, _halves(luma), cells_of(copied[..., :4]), banks[0], strength)
    u, v = (_filtered(p, chroma, copied[..., 4 + n], banks[1], strength) for n, p in enumerate((picture.u, picture.v)))
    return Planes(y, u, v)


def _halves(sizes: np.ndarray) -> np.ndarray:
    """Of patches [h, w] -> of cells [2 h, 2 w]."""
    return sizes.repeat(PATCH // CELL, 0).repeat(PATCH // CELL, 1)


def _filtered(plane: np.ndarray, sizes: np.ndarray, copied: np.ndarray, bank: np.ndarray, strength: int) -> np.ndarray:
    """A plane [8 H, 8 W] with sizes of steps and what stays as it is [H, W]."""
    kernels = family("motion_enhance")
    if kernels is not None:
        given = ready(plane, np.uint8), ready(copied, np.bool_), ready(sizes, np.int64)
        return np.asarray(kernels.enhance(*given, bank, _LEVELS, LIMIT, _PAIRS, strength))
    weights = bank[cell_kinds(plane, sizes)].repeat(CELL, 0).repeat(CELL, 1)
    total = strength * (weights * pair_differences(plane, sizes)).sum(-1) + 128
    stays = copied.repeat(CELL, 0).repeat(CELL, 1)
    return np.where(stays, plane, np.clip(plane + (total >> 8), 0, 255)).astype(np.uint8)


def pair_differences(plane: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """What the weights of each pixel are for: int64 [8 H, 8 W, 12], differences to the two pixels of each pair."""
    padded = np.pad(plane, 3, "edge").astype(np.int64)
    own = _moved(padded, 0, 0)
    limits = np.maximum((sizes * LIMIT + 2048) >> 12, 1).repeat(CELL, 0).repeat(CELL, 1)
    out = np.empty((*own.shape, len(PAIRS)), np.int64)
    for k, (down, right) in enumerate(PAIRS):
        out[..., k] = np.clip(_moved(padded, down, right) - own, -limits, limits)
        out[..., k] += np.clip(_moved(padded, -down, -right) - own, -limits, limits)
    return out


def copied_blocks(uses: np.ndarray, vectors: np.ndarray, levels: np.ndarray, shapes: np.ndarray | None) -> np.ndarray:
    """Which blocks [h, w, 6] of patches are copies of what was filtered before: without levels, moved by whole pixels.

    Args:
        uses, vectors: of the field, as of `MotionField`.
        levels: int16 [h, w, 6, 64].
        shapes: uint8 [h, w], 1 where luma is one block; None if it never is.
    """
    moved = np.zeros(uses.shape, bool)
    for r, field in enumerate(vectors):
        moved |= np.any(field & 3, axis=-1) & ((uses >> r & 1) > 0)
    moved |= uses == 0
    h, w = levels.shape[:2]
    four = ~moved.reshape(h, 2, w, 2).transpose(0, 2, 1, 3).reshape(h, w, 4)
    coded: np.ndarray = np.any(levels, axis=-1)
    if shapes is not None:
        coded[..., :4] |= ((shapes > 0) & coded[..., :4].any(-1))[..., None]
    return np.concatenate([four, np.repeat(np.all(four, axis=-1, keepdims=True), 2, -1)], -1) & ~coded


def _moved(padded: np.ndarray, down: int, right: int) -> np.ndarray:
    height, width = padded.shape
    return padded[3 + down : height - 3 + down, 3 + right : width - 3 + right]


def cell_kinds(plane: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Classes of cells [H, W] of a plane [8 H, 8 W], 0 to 29."""
    padded = np.pad(plane, 3, "edge").astype(np.int64)
    own = _moved(padded, 0, 0)
    rows, columns = sizes.shape

    def slope(down: int, right: int) -> np.ndarray:
        difference = np.abs(2 * own - _moved(padded, down, right) - _moved(padded, -down, -right))
        return np.asarray(difference.reshape(rows, CELL, columns, CELL).sum((1, 3)))

    across, down, one, other = slope(0, 1), slope(1, 0), slope(1, 1), slope(1, -1)
    activity = ((across + down)[..., None] * 256 >= _LEVELS * sizes[..., None]).sum(-1)
    most, least = np.maximum(across, down), np.minimum(across, down) + 1
    slanted_most, slanted_least = np.maximum(one, other), np.minimum(one, other) + 1
    way = np.where(
        most * slanted_least > slanted_most * least, np.where(across > down, 1, 2), np.where(one > other, 3, 4)
    )
    way[(5 * most < 8 * least) & (5 * slanted_most < 8 * slanted_least)] = 0
    return np.asarray(5 * activity + way)

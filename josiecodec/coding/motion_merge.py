"""The encoder's last word on the motion of a picture: what patches take over from their neighbours, and what is new.

Patches are settled in waves, each of those whose neighbours to the left and above are settled, so that every wave
sees the very candidates that its decoder will have, and pays the bits that it will take.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..kernels import family, ready
from ..vision.motion_field import fetch, windows
from ..vision.motion_planes import PAD, PATCH, Planes
from ..vision.motion_search import LONGEST

TAKEN_OVER = np.array([0.3, 1.6, 2.8, 3.6, 4.2, 4.8])  # bits of the first, second ... candidate
NEW, OF_TWO = 3.5, 1.0  # bits of a motion that is not taken over, and of saying which references it uses
SATURATION = 16.0  # coefficients of a patch that take the bits when errors are large
ROUNDS, NEAR_BY = np.array([2, 1, 1]), 8.0  # quarters of a pixel that two vectors are moved by; bits beside the best
_AROUND = np.array([(-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1)])
_BITS = np.array([1.0] + [2.0 * np.floor(np.log2(n)) + 2.7 for n in range(1, 8 * LONGEST + 8)])


def settle(
    picture: Planes,
    references: Sequence[Planes],
    found: Sequence[np.ndarray],
    sizes: np.ndarray,
    prices: np.ndarray,
    carried: np.ndarray,
) -> np.ndarray:
    """Motions int32 [h, w, 1 + 2 R] (uses, then vectors) of all patches.

    Args:
        picture: to be predicted.
        references: R pictures.
        found: for each the best vectors [h, w, 2].
        sizes: of the steps of patches [h, w].
        prices: of a bit, in squared error, of patches [h, w].
        carried: motions int64 [h, w, K, 5] that patches may take over from pictures before.
    """
    h, w = picture.grid
    refs = len(references)
    kernels = family("motion_merge")
    if kernels is not None:
        out = np.zeros((h, w, 1 + 2 * refs), np.int32)
        near_and_far = [ready(r.reference.y, np.uint8) for r in (references[0], references[-1])]
        vectors = np.stack([np.asarray(v, np.int32) for v in found])
        limits = np.ascontiguousarray(SATURATION * sizes * sizes), np.ascontiguousarray(prices)
        bit_costs = TAKEN_OVER, _BITS, NEW + (refs > 1) * OF_TWO
        moves = _AROUND, ROUNDS, NEAR_BY, LONGEST
        given = ready(picture.y, np.uint8), *near_and_far, vectors, ready(carried, np.int64)
        kernels.settle(*given, *limits, *bit_costs, *moves, PAD, out)
        return out
    blocks = picture.y.reshape(h, PATCH, w, PATCH).transpose(0, 2, 1, 3).astype(np.int16)
    squares = [windows(r.reference.y, PATCH) for r in references]
    fresh = np.stack([_motions(use, found) for use in range(1, 1 << refs)], 2)  # [h, w, F, 1 + 2 R]
    everywhere = np.indices((h, w))
    scales = SATURATION * sizes * sizes
    fresh_errors = _errors(
        blocks, squares, everywhere[0][..., None], everywhere[1][..., None], fresh, scales[..., None]
    )
    motions = np.zeros((h, w, 1 + 2 * refs), np.int32)
    still = np.zeros(1 + 2 * refs, np.int32)
    still[0] = (1 << refs) - 1
    for wave in range(2 * h + w - 2):
        i = np.arange(max(0, (wave - w + 2) // 2), min(h - 1, wave // 2) + 1)
        j = wave - 2 * i
        i, j = i[j < w], j[j < w]
        if not len(i):
            continue
        near = np.stack(
            [
                np.where((j > 0)[:, None], motions[i, j - 1], 0),
                np.where((i > 0)[:, None], motions[i - 1, j], 0),
                np.where((i > 0)[:, None], motions[i - 1, np.where(j + 1 < w, j + 1, np.maximum(j - 1, 0))], 0),
                *(carried[i, j, k, : len(still)] for k in range(carried.shape[2])),
                np.broadcast_to(still, (len(i), len(still))),
            ],
            1,
        )
        there = near[:, :, 0] > 0
        for a in range(1, near.shape[1]):  # the same one twice
            there[:, a] &= ~((near[:, a, None] == near[:, :a]).all(-1) & there[:, :a]).any(-1)
        rank = np.cumsum(there, 1) - 1
        errors = _errors(blocks, squares, i[:, None], j[:, None], near, scales[i, j, None])
        price = prices[i, j, None]
        costs = np.where(there, errors + price * TAKEN_OVER[rank.clip(0)], np.inf)
        own = fresh[i, j]
        bits = NEW + (refs > 1) * OF_TWO + _vector_bits(own, near, refs)
        costs = np.concatenate([costs, fresh_errors[i, j] + price * bits], 1)
        if refs > 1:
            tried = np.nonzero(costs[:, -1] < costs[:, :-1].min(1) + NEAR_BY * price[:, 0])[0]
            of = i[tried], j[tried], near[tried], scales[i[tried], j[tried]], price[tried]
            own[tried, 2], costs[tried, -1] = _improved(blocks, squares, *of, own[tried, 2], costs[tried, -1])
        choices = np.concatenate([near, own], 1)
        motions[i, j] = choices[np.arange(len(i)), costs.argmin(1)]
    return motions


def _improved(
    blocks: np.ndarray,
    squares: Sequence[np.ndarray],
    i: np.ndarray,
    j: np.ndarray,
    near: np.ndarray,
    scale: np.ndarray,
    price: np.ndarray,
    motions: np.ndarray,
    costs: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Motions [n, 5] of two vectors, which are moved, one after the other, while that makes costs [n] less."""
    for size in ROUNDS:
        for r in range(2):
            part = slice(1 + 2 * r, 3 + 2 * r)
            moved = motions[:, None].repeat(len(_AROUND), 1)
            moved[:, :, part] = np.clip(moved[:, :, part] + size * _AROUND, -LONGEST, LONGEST)
            errors = _errors(blocks, squares, i[:, None], j[:, None], moved, scale[:, None])
            found = errors + price * (NEW + OF_TWO + _vector_bits(moved, near, 2))
            best = found.argmin(1)
            rows = np.arange(len(best))
            better = found[rows, best] < costs
            motions = np.where(better[:, None], moved[rows, best], motions)
            costs = np.where(better, found[rows, best], costs)
    return motions, costs


def _motions(use: int, found: Sequence[np.ndarray]) -> np.ndarray:
    parts = [np.full((*found[0].shape[:2], 1), use, np.int32)]
    parts += [v if use >> r & 1 else np.zeros_like(v) for r, v in enumerate(found)]
    return np.concatenate(parts, -1)


def _vector_bits(own: np.ndarray, near: np.ndarray, refs: int) -> np.ndarray:
    """Bits of the differences of motions [n, F, 1 + 2 R] to what is expected beside near ones [n, C, 1 + 2 R]."""
    total = np.zeros(own.shape[:2])
    for r in range(refs):
        used: np.ndarray = (near[:, :3, 0] >> r & 1).astype(bool)
        vectors = near[:, :3, 1 + 2 * r : 3 + 2 * r]
        first = np.take_along_axis(vectors, used.argmax(1)[:, None, None], 1)[:, 0]
        expected = np.where(np.any(used, axis=1, keepdims=True), first, 0)
        expected = np.where(np.all(used, axis=1, keepdims=True), np.sort(vectors, 1)[:, 1], expected)
        difference = np.abs(own[:, :, 1 + 2 * r : 3 + 2 * r] - expected[:, None])
        total += np.where(own[:, :, 0] >> r & 1, _BITS[np.minimum(difference, len(_BITS) - 1)].sum(-1), 0)
    return total


def _errors(
    blocks: np.ndarray,
    squares: Sequence[np.ndarray],
    i: np.ndarray,
    j: np.ndarray,
    motions: np.ndarray,
    scale: np.ndarray,
) -> np.ndarray:
    """What is left after motions [..., C, 1 + 2 R] of patches (i, j) [..., 1]; large errors count less."""
    parts = [
        fetch(s, PAD, PATCH * i, PATCH * j, motions[..., 1 + 2 * r : 3 + 2 * r]).astype(np.int16)
        for r, s in enumerate(squares)
    ]
    prediction = parts[0]
    if len(parts) == 2:
        prediction = parts[0] + parts[1] + 1 >> 1
        use = motions[..., 0]
        prediction[use == 1] = parts[0][use == 1]
        prediction[use == 2] = parts[1][use == 2]
    difference = (prediction - blocks[i, j]).reshape(*motions.shape[:-1], PATCH * PATCH).astype(np.float32)
    return saturated(np.einsum("...p,...p->...", difference, difference), scale)


def saturated(errors: np.ndarray, scales: np.ndarray) -> np.ndarray:
    """About scale x log(1 + error / scale), by steps that round alike everywhere."""
    mantissa, exponent = np.frexp(1 + errors / scales)
    t = 2 * mantissa - 1
    log2 = exponent - 1 + t * (1 + (1 - t) * (0.4427 + t * (0.0834 * t - 0.2474)))
    return np.asarray(scales * (0.6931471805599453 * log2))

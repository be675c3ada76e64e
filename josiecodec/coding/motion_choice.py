"""Choices of the encoder for one predicted picture: modes, vectors and levels at a step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..bitstream.motion_syntax import UNIT, LevelChances, MotionPicture
from ..vision.motion_field import MotionField, cells_of
from ..vision.motion_planes import Planes
from ..vision.motion_residual import FOLD, add_residual, sizes_of, step_size, to_blocks, transform, transform_whole
from ..vision.motion_search import refine, search
from .motion_flat import code_flats
from .motion_merge import settle
from .motion_trellis import WORTH, BlockBits, choose_levels

LAMBDA = 0.09  # of squared error over squared step
PRICE = 0.1  # of absolute error over step, in searches: `settle` pays for bits anew
WHOLE_BITS = 1.5  # of a patch whose luma is one block
WHOLE_WORTH = 0.9  # of a coefficient in steps, for such a block to be tried where four have no levels
PATTERN_BITS, PATCH_BITS = 1.5, 3.0  # of a block that has levels beside one that has none, and of a patch
CHROMA_WEIGHT = 3.8  # squared errors of RGB that one of chroma makes


@dataclass
class Seen:
    """A picture as it is searched.

    Attributes:
        planes: the original, or what the decoder will have.
        small: luma at a quarter of the resolution.
    """

    planes: Planes
    small: np.ndarray


def choose_motion(
    picture: Seen,
    references: Sequence[Seen],
    hints: Sequence[Sequence[np.ndarray]],
    sizes: np.ndarray,
    known: Sequence[np.ndarray | None],
    refined: bool,
    carried: np.ndarray,
) -> tuple[MotionField, list[np.ndarray]]:
    """How to predict a picture, and the vectors found [h, w, 2] for each reference.

    Args:
        picture, references: the picture and up to two others.
        hints: for each reference vectors to try.
        sizes: of the steps of patches [h, w].
        known: for each reference vectors that were found to its original, or to it at another step, if there are any.
        refined: whether the latter.
        carried: motions int64 [h, w, K, 5] that patches may take over from pictures before.
    """
    price = PRICE * float(sizes.mean())
    vectors = []
    for r, hint, had in zip(references, hints, known):
        if had is None:
            had, _ = search(picture.planes, picture.small, r.planes, r.small, hint, price)
        elif not refined:
            had, _ = refine(picture.planes, r.planes, had, price)
        vectors.append(had)
    motions = settle(picture.planes, [r.planes for r in references], vectors, sizes, LAMBDA * sizes * sizes, carried)
    parts = [motions[..., 1 + 2 * r : 3 + 2 * r] for r in range(len(references))]
    field = np.stack([cells_of(v) for v in parts]).astype(np.int16)
    return MotionField(cells_of(motions[..., 0].astype(np.uint8)), field), vectors


def quantized(
    difference: np.ndarray, step: int, offsets: np.ndarray, chances: LevelChances, shaped: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Levels of what a prediction leaves over, blocks int16 [h, w, 6, 8, 8], by error and bits.

    Args:
        difference: see there.
        step: of the picture.
        offsets: [h, w], those of `add_residual`; errors of a patch count as much as its step says.
        chances: of the coder's contexts.
        shaped: whether luma may be one block of 16 x 16.

    Returns:
        int16 [h, w, 6, 64], and uint8 [h, w], 1 where it is.
    """
    coefficients = transform(difference)
    luma, chroma = sizes_of(step, offsets)
    sizes = np.stack([luma] * 4 + [chroma] * 2, -1).astype(np.float32) / 16
    x = np.abs(coefficients) / sizes[..., None]
    shrunk = step_size(step, False) / step_size(step, True)
    prices = LAMBDA, LAMBDA * shrunk**2 / CHROMA_WEIGHT  # in squared steps of either
    levels = np.zeros(x.shape, np.int16)
    gain = np.zeros(x.shape[:3])  # in squared steps of luma
    for kind, (part, price) in enumerate(zip((slice(0, 4), slice(4, 6)), prices)):
        large = np.zeros(x.shape[:3], bool)
        large[:, :, part] = x[:, :, part].max(-1) > WORTH
        levels[large], over = choose_levels(x[large], BlockBits.of(chances, kind), price)
        gain[large] = np.maximum(over - PATTERN_BITS * price, 0) * (LAMBDA / price)
    levels[gain <= 0] = 0
    shapes = np.zeros(x.shape[:2], np.uint8)
    if shaped:
        whole = transform_whole(difference[:, :, :4])
        x = np.abs(whole) / sizes[:, :, :1]
        large = x.max(-1) > np.where(gain[:, :, :4].any(-1), WORTH, WHOLE_WORTH)
        found, over = choose_levels(x[large], BlockBits.of(chances, 2), LAMBDA)
        over = np.maximum(over - WHOLE_BITS * LAMBDA, 0)
        better = over > gain[large][:, :4].sum(-1)
        shapes[large] = better
        folded = np.zeros((int(better.sum()), 256), np.int16)
        folded[:, FOLD] = found[better]
        levels[shapes > 0, :4] = folded.reshape(-1, 4, 64)
        coefficients[shapes > 0, :4] = _folded(whole[shapes > 0])
        gain[shapes > 0, :4] = over[better, None] / 4
    levels[gain.sum(-1) <= PATCH_BITS * LAMBDA] = 0
    shapes[~levels[:, :, :4].any((2, 3))] = 0
    return (levels * np.sign(coefficients)).astype(np.int16), shapes


def _folded(whole: np.ndarray) -> np.ndarray:
    """Coefficients [N, 256] as they are kept [N, 4, 64]."""
    found = np.empty_like(whole)
    found[:, FOLD] = whole
    return found.reshape(-1, 4, 64)


def code_picture(
    picture: Seen, prediction: Planes, motion: MotionPicture, step: int, offsets: np.ndarray, chances: LevelChances
) -> Planes:
    """Choose the levels of a picture whose prediction is known, and put them into `motion`; what a decoder will see.

    Luma may be one block where `motion` has shapes.
    """
    motion.varied = True
    over = difference(picture.planes, prediction)
    shaped = motion.shapes is not None
    motion.levels, shapes = quantized(over, step, UNIT * offsets, chances, shaped)
    offsets = code_flats(picture.planes, over, step, offsets, motion.levels, shapes, not motion.layer)
    motion.offsets = np.where(motion.levels.any((2, 3)), offsets, 0).astype(np.int8)
    motion.shapes = shapes if shaped else None
    return add_residual(prediction, motion.levels, step, UNIT * motion.offsets.astype(int), shapes)


def difference(picture: Planes, prediction: Planes) -> np.ndarray:
    """What a prediction leaves over, blocks int16 [h, w, 6, 8, 8]."""
    a = to_blocks(picture.y, picture.u, picture.v).astype(np.int16)
    return a - to_blocks(prediction.y, prediction.u, prediction.v)


def squared_error(a: Planes, b: Planes) -> float:
    """Sum of the squared differences of two pictures, in luma and, as `CHROMA_WEIGHT` says, in chroma."""
    y, u, v = (float(np.square(p.astype(np.float32) - q).sum()) for p, q in ((a.y, b.y), (a.u, b.u), (a.v, b.v)))
    return y + CHROMA_WEIGHT * (u + v)

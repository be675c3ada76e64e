"""Choices of the encoder for one predicted picture: modes, vectors and levels at a step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..bitstream.motion_syntax import UNIT, LevelChances, MotionPicture
from ..vision.motion_field import MotionField, cells_of
from ..vision.motion_planes import Planes
from ..vision.motion_residual import add_residual, sizes_of, step_size, to_blocks, transform
from ..vision.motion_search import refine, search
from .motion_flat import code_flats
from .motion_merge import settle
from .motion_trellis import WORTH, BlockBits, choose_levels

LAMBDA = 0.09  # of squared error over squared step
PRICE = 0.25  # of absolute error over step
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
) -> tuple[MotionField, list[np.ndarray]]:
    """How to predict a picture, and the vectors found [h, w, 2] for each reference.

    Args:
        picture, references: the picture and up to two others.
        hints: for each reference vectors to try.
        sizes: of the steps of patches [h, w].
        known: for each reference vectors that were found to its original, or to it at another step, if there are any.
        refined: whether the latter.
    """
    price = PRICE * float(sizes.mean())
    vectors = []
    for r, hint, had in zip(references, hints, known):
        if had is None:
            had, _ = search(picture.planes, picture.small, r.planes, r.small, hint, price)
        elif not refined:
            had, _ = refine(picture.planes, r.planes, had, price)
        vectors.append(had)
    motions = settle(picture.planes, [r.planes for r in references], vectors, sizes, LAMBDA * sizes * sizes)
    parts = [motions[..., 1 + 2 * r : 3 + 2 * r] for r in range(len(references))]
    field = np.stack([cells_of(v) for v in parts]).astype(np.int16)
    return MotionField(cells_of(motions[..., 0].astype(np.uint8)), field), vectors


def quantized(difference: np.ndarray, step: int, offsets: np.ndarray, chances: LevelChances) -> np.ndarray:
    """Levels int16 [h, w, 6, 64] of what a prediction leaves over, blocks int16 [h, w, 6, 8, 8], by error and bits.

    `offsets` [h, w] are those of `add_residual`; errors of a patch count as much as its step says.
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
    levels[gain.sum(-1) <= PATCH_BITS * LAMBDA] = 0
    return (levels * np.sign(coefficients)).astype(np.int16)


def code_picture(
    picture: Seen, prediction: Planes, motion: MotionPicture, step: int, offsets: np.ndarray, chances: LevelChances
) -> Planes:
    """Choose the levels of a picture whose prediction is known, and put them into `motion`; what a decoder will see."""
    motion.varied = True
    over = difference(picture.planes, prediction)
    motion.levels = quantized(over, step, UNIT * offsets, chances)
    offsets = code_flats(picture.planes, over, step, offsets, motion.levels, not motion.layer)
    motion.offsets = np.where(motion.levels.any((2, 3)), offsets, 0).astype(np.int8)
    return add_residual(prediction, motion.levels, step, UNIT * motion.offsets.astype(int))


def difference(picture: Planes, prediction: Planes) -> np.ndarray:
    """What a prediction leaves over, blocks int16 [h, w, 6, 8, 8]."""
    a = to_blocks(picture.y, picture.u, picture.v).astype(np.int16)
    return a - to_blocks(prediction.y, prediction.u, prediction.v)


def squared_error(a: Planes, b: Planes) -> float:
    """Sum of the squared differences of two pictures, in luma and, as `CHROMA_WEIGHT` says, in chroma."""
    y, u, v = (float(np.square(p.astype(np.float32) - q).sum()) for p, q in ((a.y, b.y), (a.u, b.u), (a.v, b.v)))
    return y + CHROMA_WEIGHT * (u + v)

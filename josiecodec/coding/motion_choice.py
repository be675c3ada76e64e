"""Choices of the encoder for one predicted picture: modes, vectors and levels at a step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..bitstream.motion_syntax import MotionPicture
from ..entropy.adaptive_bits import Contexts
from ..vision.motion_field import MotionField, cells_of, compensate
from ..vision.motion_planes import Planes
from ..vision.motion_residual import add_residual, step_size, to_blocks, transform
from ..vision.motion_search import refine, search
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
    size: float,
    known: Sequence[np.ndarray | None],
) -> tuple[MotionField, list[np.ndarray]]:
    """How to predict a picture, and the vectors found [h, w, 2] for each reference.

    Args:
        picture, references: the picture and up to two others.
        hints: for each reference vectors to try.
        size: of a step.
        known: for each reference vectors that were found for it at another step, if there are any.
    """
    price = PRICE * size
    found = [
        search(picture.planes, picture.small, r.planes, r.small, hint, price)
        if had is None
        else refine(picture.planes, r.planes, had, price)
        for r, hint, had in zip(references, hints, known)
    ]
    vectors = [v for v, _ in found]
    motions = settle(picture.planes, [r.planes for r in references], vectors, size, LAMBDA * size * size)
    parts = [motions[..., 1 + 2 * r : 3 + 2 * r] for r in range(len(references))]
    field = np.stack([cells_of(v) for v in parts]).astype(np.int16)
    return MotionField(cells_of(motions[..., 0].astype(np.uint8)), field), vectors


def quantized(difference: np.ndarray, step: int, contexts: Contexts) -> np.ndarray:
    """Levels int16 [h, w, 6, 64] of what a prediction leaves over, blocks int16 [h, w, 6, 8, 8], by error and bits."""
    coefficients = transform(difference)
    sizes = np.array([step_size(step, n > 3) / 16 for n in range(6)], np.float32)
    x = np.abs(coefficients) / sizes[:, None]
    prices = LAMBDA * (sizes[0] / sizes) ** 2 / np.array([1, 1, 1, 1, CHROMA_WEIGHT, CHROMA_WEIGHT])
    levels = np.zeros(x.shape, np.int16)
    gain = np.zeros(x.shape[:3])
    for kind, part in enumerate((slice(0, 4), slice(4, 6))):
        large = np.zeros(x.shape[:3], bool)
        large[:, :, part] = x[:, :, part].max(-1) > WORTH
        price = float(prices[part][0])
        levels[large], over = choose_levels(x[large], BlockBits.of(contexts, kind), price)
        gain[large] = np.maximum(over - PATTERN_BITS * price, 0)
    levels[gain <= 0] = 0
    levels[(gain * (LAMBDA / prices)).sum(-1) <= PATCH_BITS * LAMBDA] = 0
    return (levels * np.sign(coefficients)).astype(np.int16)


def code_picture(
    picture: Seen, references: Sequence[Seen], field: MotionField, step: int, layer: int, contexts: Contexts
) -> tuple[MotionPicture, Planes]:
    """What is written of a picture with a field, and what a decoder will see."""
    prediction = compensate([r.planes.reference for r in references], field)
    levels = quantized(difference(picture.planes, prediction), step, contexts)
    decoded = add_residual(prediction, levels, step)
    return MotionPicture(layer, len(references), field.uses, field.vectors, levels), decoded


def difference(picture: Planes, prediction: Planes) -> np.ndarray:
    """What a prediction leaves over, blocks int16 [h, w, 6, 8, 8]."""
    a = to_blocks(picture.y, picture.u, picture.v).astype(np.int16)
    return a - to_blocks(prediction.y, prediction.u, prediction.v)

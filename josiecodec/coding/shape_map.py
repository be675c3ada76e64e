"""Which shape of blocks each patch has: its bits, and what they cost.

Three adaptive bits a patch: whether there are longer blocks, whether they are longer both ways, and else which way.
What is probable depends on the patches on the left and above, and on how many levels the base has there.
"""

from __future__ import annotations

import numpy as np

from ..entropy.range_coder import HALF, RangeDecoder, RangeEncoder

LEVELS = (2, 4, 7)  # of the base, from which on a patch is of the next class
LONG, SQUARE, ACROSS = range(3)  # the bits
NEIGHBOURS = 3  # how many of the two have the same
CLASSES = len(LEVELS) + 1
USUAL_BITS = (1.0, 2.0, 3.5, 3.5)  # of each shape, before any are counted


def encode_shapes(encoder: RangeEncoder, shapes: np.ndarray, counts: np.ndarray, skipped: np.ndarray | None) -> None:
    """Code the shapes [h, w] of patches with these level counts; those skipped [h, w] have shape 0 and no bits."""
    _through(encoder, None, shapes.tolist(), counts, skipped)


def decode_shapes(decoder: RangeDecoder, counts: np.ndarray, skipped: np.ndarray | None) -> np.ndarray:
    """The inverse of `encode_shapes`: uint8 [h, w]."""
    shapes = [[0] * counts.shape[1] for _ in range(counts.shape[0])]
    _through(None, decoder, shapes, counts, skipped)
    return np.array(shapes, np.uint8).reshape(counts.shape)


def shape_bits(shapes: np.ndarray, skipped: np.ndarray | None) -> tuple[float, np.ndarray]:
    """Bits that shapes [h, w] take, about, and those that each shape takes."""
    chosen = shapes if skipped is None else shapes[~skipped]
    found = np.bincount(chosen.reshape(-1), minlength=len(USUAL_BITS)).astype(np.float64)
    every = -np.log2((found + 4 * np.exp2(-np.array(USUAL_BITS))) / (found.sum() + 4))
    return float((found * every).sum()), every


def _through(
    encoder: RangeEncoder | None,
    decoder: RangeDecoder | None,
    shapes: list[list[int]],
    counts: np.ndarray,
    skipped: np.ndarray | None,
) -> None:
    """Code shapes, or put decoded ones in."""
    probabilities = [HALF] * (3 * NEIGHBOURS * CLASSES)
    classes = np.digitize(counts, LEVELS).tolist()
    left_out = None if skipped is None else skipped.tolist()

    def bit(which: int, near: int, level: int, value: int) -> int:
        index = (which * NEIGHBOURS + near) * CLASSES + level
        if encoder is not None:
            encoder.encode_bit(probabilities, index, value)
            return value
        assert decoder is not None
        return decoder.decode_bit(probabilities, index)

    for i, row in enumerate(shapes):
        above = shapes[i - 1] if i else [0] * len(row)
        left = 0
        for j, shape in enumerate(row):
            if left_out is not None and left_out[i][j]:
                left = 0
                continue
            up, level = above[j], classes[i][j]
            if bit(LONG, (left > 0) + (up > 0), level, int(shape > 0)):
                if bit(SQUARE, (left == 1) + (up == 1), level, int(shape == 1)):
                    shape = 1
                else:
                    shape = 2 + bit(ACROSS, (left == 3) + (up == 3), level, int(shape == 3))
            else:
                shape = 0
            row[j] = left = shape

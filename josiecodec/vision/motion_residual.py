"""What a motion-compensated prediction leaves over, as a sparse sum of codes.

A patch has six blocks of 8 x 8 coefficients (DCT): four of luma and one each of the two chroma planes. One codebook of
2048 codes serves all levels: a code is one coefficient with a sign and a magnitude, in units of the picture's step. So
the levels of a patch are the atoms of a sparse approximation, and a patch has as many of them as it is worth.
"""

from __future__ import annotations

import numpy as np

from .motion_planes import PATCH, Planes

BLOCKS, SIZE = 6, 64  # blocks of a patch, coefficients of a block
MAX_MAGNITUDE = 2047  # of a coefficient, in steps
MAX_STEP = 160
CHROMA_FINER = 8  # by how many steps chroma, whose errors spread over four pixels, is quantized finer
_SIXTEENTHS = (4096, 4277, 4467, 4664, 4871, 5087, 5312, 5547, 5793, 6049, 6317, 6597, 6889, 7194, 7512, 7845)
_UNIT = 16  # steps are multiples of 1 / _UNIT
_BITS = 12  # of the fraction of the transform's numbers


def _zigzag() -> np.ndarray:
    order = sorted((i + j, i if (i + j) % 2 else j, i, j) for i in range(8) for j in range(8))
    return np.array([8 * i + j for _, _, i, j in order])


SCAN = _zigzag()
_COSINES = np.array(
    [[np.cos((2 * x + 1) * k * np.pi / 16) / (8**0.5 if k == 0 else 2) for x in range(8)] for k in range(8)]
)
_INTEGER = np.rint(_COSINES * (1 << _BITS))  # whole numbers as float64: exact, and fast to multiply


def step_size(step: int, chroma: bool) -> int:
    """Step of a picture, 0 .. `MAX_STEP`, as a size in units of 1/16 of a pixel's unit; it doubles every 16 steps."""
    whole, part = divmod(max(step - CHROMA_FINER * chroma, 0), 16)
    return (_SIXTEENTHS[part] << whole) + 128 >> 8


def to_blocks(y: np.ndarray, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Planes as blocks [h, w, 6, 8, 8] of patches."""
    h, w = u.shape[0] // 8, u.shape[1] // 8
    luma = y.reshape(h, 2, 8, w, 2, 8).transpose(0, 3, 1, 4, 2, 5).reshape(h, w, 4, 8, 8)
    chroma = (c.reshape(h, 8, w, 8).transpose(0, 2, 1, 3)[:, :, None] for c in (u, v))
    return np.concatenate([luma, *chroma], 2)


def from_blocks(blocks: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The inverse of `to_blocks`."""
    h, w = blocks.shape[:2]
    y = blocks[:, :, :4].reshape(h, w, 2, 2, 8, 8).transpose(0, 2, 4, 1, 3, 5).reshape(h * PATCH, w * PATCH)
    u, v = (blocks[:, :, 4 + i].transpose(0, 2, 1, 3).reshape(8 * h, 8 * w) for i in (0, 1))
    return y, u, v


def transform(blocks: np.ndarray) -> np.ndarray:
    """Orthonormal coefficients float32 [..., 64] in scan order, of blocks [..., 8, 8]."""
    c = _COSINES.astype(np.float32)
    return (c @ blocks.astype(np.float32) @ c.T).reshape(*blocks.shape[:-2], SIZE)[..., SCAN]


def add_residual(prediction: Planes, levels: np.ndarray, step: int) -> Planes:
    """A prediction and levels int16 [h, w, 6, 64] in scan order -> the decoded picture."""
    blocks = to_blocks(prediction.y, prediction.u, prediction.v)
    coded = levels.any(-1)
    if coded.any():
        where = np.nonzero(coded)
        size = np.where(where[2] < 4, step_size(step, False), step_size(step, True))
        coefficients = np.zeros((len(size), SIZE))
        coefficients[:, SCAN] = levels[where].astype(np.float64) * size[:, None]
        square = coefficients.reshape(-1, 8, 8)
        whole = _INTEGER.T @ square @ _INTEGER  # below 2^53: exact whatever the order
        shift = 2.0 ** (2 * _BITS) * _UNIT
        residual = np.floor(whole / shift + 0.5).astype(np.int32)
        blocks[where] = np.clip(blocks[where] + residual, 0, 255).astype(np.uint8)
    return Planes(*(np.ascontiguousarray(p) for p in from_blocks(blocks)))

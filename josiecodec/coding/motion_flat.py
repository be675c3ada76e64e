"""Patches of one flat colour, whose errors are seen at once and which rate and distortion alone would leave wrong.

A constant error of a block is worth one level, but a coarse step has no level near it: at the default rate white of 243
came back as 255. Such patches get a step at which levels are whole shades, and the nearest levels.
"""

from __future__ import annotations

import numpy as np

from ..bitstream.motion_syntax import MAX_OFFSET, UNIT
from ..vision.motion_planes import Planes
from ..vision.motion_residual import MAX_MAGNITUDE, inverse, sizes_of, to_blocks, transform

SHADE = 48  # the step at which a level of a constant is one shade of luma, and less of chroma
FINER = 0, 4, 8  # units of a step that are tried for patches whose prediction is uneven
WITHIN = SHADE + UNIT * (MAX_OFFSET - 4)  # step of a picture that lets patches have those
COARSEST = 136  # steps of pictures; beyond, a flat colour would cost too much beside the rest
MOSTLY = 0.25  # share of the patches of a picture that must be flat: with 1 % it cost a clip 0.6 dB at 85 kbit/s
RANGE, KEY_RANGE = 0, 1  # of the samples of a flat patch, in each plane; key pictures are what others copy
LUMA = 1  # error that may stay
CHROMA, KEY_CHROMA = 1, 0.5  # the same of chroma, one of which is nearly two of blue


def flat_patches(picture: Planes, key: bool = True) -> np.ndarray:
    """Which patches [h, w] of a picture have one colour; of one that is no key picture, to the very shade.

    None if few have: among what is not flat they are not worth their bits.
    """
    blocks = to_blocks(picture.y, picture.u, picture.v)
    luma, chroma = blocks[:, :, :4].max((2, 3, 4)) - blocks[:, :, :4].min((2, 3, 4)), np.ptp(blocks[:, :, 4:], (3, 4))
    flat: np.ndarray = np.maximum(luma, chroma.max(2)) <= (KEY_RANGE if key else RANGE)
    return flat & (flat.mean() > MOSTLY)


def wrong_flats(picture: Planes, other: Planes, key: bool) -> np.ndarray:
    """Which patches [h, w] of a picture are flat, and too far off in another one to be left so."""
    a, b = (to_blocks(p.y, p.u, p.v).astype(np.int16) for p in (picture, other))
    wrong = _far(a - b, key)
    return wrong & flat_patches(picture, key) if wrong.any() else wrong


def within_reach(
    picture: Planes, prediction: Planes, step: int, offsets: np.ndarray, key: bool
) -> tuple[int, np.ndarray]:
    """Step and offsets of a picture, made such that flat patches can be coded well, if some are predicted wrong."""
    if not WITHIN < step <= COARSEST or not wrong_flats(picture, prediction, key).any():
        return step, offsets
    more = np.rint((step - WITHIN) / UNIT + offsets)
    return WITHIN, more.clip(-MAX_OFFSET, MAX_OFFSET).astype(np.int8)


def code_flats(
    picture: Planes,
    difference: np.ndarray,
    step: int,
    offsets: np.ndarray,
    levels: np.ndarray,
    shapes: np.ndarray,
    key: bool,
) -> np.ndarray:
    """Code anew the patches that are flat, and predicted too far off to leave them so.

    Args:
        picture: the original.
        difference: int16 [h, w, 6, 8, 8], what the prediction leaves over.
        step: of the picture.
        offsets: of patches [h, w], in units of `UNIT`.
        levels, shapes: int16 [h, w, 6, 64] and uint8 [h, w], which are changed.
        key: whether it is a key picture.

    Returns:
        Offsets as they are now.
    """
    if step > COARSEST:
        return offsets
    wrong = _far(difference, key)
    if wrong.any():
        wrong &= flat_patches(picture, key)
    offsets = offsets.copy()
    for finer in FINER:
        if not wrong.any():
            break
        offset = max(min((SHADE - step) // UNIT, 0) - finer, -MAX_OFFSET)
        luma, chroma = sizes_of(step, np.array(UNIT * offset))
        sizes = np.array([luma] * 4 + [chroma] * 2, np.float32)[:, None] / 16
        coefficients = transform(difference[wrong])
        nearest = np.clip(np.rint(coefficients / sizes), -MAX_MAGNITUDE, MAX_MAGNITUDE)
        levels[wrong], shapes[wrong], offsets[wrong] = nearest.astype(np.int16), 0, offset
        wrong[wrong] = _far(inverse(coefficients - nearest * sizes), key)
    return offsets


def _far(errors: np.ndarray, key: bool) -> np.ndarray:
    """Whether errors [..., 6, 8, 8] of patches are more than may stay."""
    off = np.abs(errors).max((-1, -2))
    far: np.ndarray = (off[..., :4].max(-1) > LUMA) | (off[..., 4:].max(-1) > (KEY_CHROMA if key else CHROMA))
    return far

"""How strongly decoded pictures are filtered."""

from __future__ import annotations

import numpy as np

from ..bitstream.motion_syntax import MotionPicture
from ..vision.motion_planes import Planes
from .motion_choice import CHROMA_WEIGHT
from .motion_pictures import filtered

USUAL, STRONGEST = 2, 3


def best_filtered(original: Planes, planes: Planes, step: int, picture: MotionPicture) -> tuple[Planes, int]:
    """A picture as its decoder will have it, filtered with the strength that brings it nearest, and that strength.

    Args:
        original: what it is to show.
        planes, step, picture: see `motion_pictures.filtered`.
    """
    usual = filtered(planes, step, picture, USUAL)
    along = length = 0.0
    for name, weight in (("y", 1.0), ("u", CHROMA_WEIGHT), ("v", CHROMA_WEIGHT)):
        before = getattr(planes, name).astype(np.float32).ravel()
        change = getattr(usual, name).ravel() - before
        along += weight * float(change @ (getattr(original, name).ravel() - before))
        length += weight * float(change @ change)
    strength = 0 if along <= 0 else min(round(USUAL * along / length), STRONGEST)
    return (usual if strength == USUAL else filtered(planes, step, picture, strength)), strength

"""Motions that patches may take over from pictures decoded before: what moved there goes on at the same speed.

Where the motion at a patch says that it is in another picture, there the motion is looked up, and stretched to the
references of the picture, both if there are two (cf. temporal prediction of vectors in H.265 and AV1).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

PATCH = 64  # quarters of a pixel
CARRIED_FROM = 2  # pictures, at most
MAX_VECTOR = 1 << 12  # as in `motion_syntax.py`


@dataclass(frozen=True)
class Speeds:
    """How the patches of a decoded picture move.

    Attributes:
        known: bool [h, w], whether a patch has a motion.
        moved: int64 [h, w, 2], by how many quarters of a pixel, down and right ...
        time: int64 [h, w], ... in how many pictures, 1 or more.
    """

    known: np.ndarray
    moved: np.ndarray
    time: np.ndarray

    @staticmethod
    def of(uses: np.ndarray, vectors: np.ndarray, sources: tuple[int, ...]) -> Speeds:
        """Those of the first cells of patches.

        Args:
            uses, vectors: of a `MotionPicture`.
            sources: how much later than the picture its references are shown.
        """
        use, own = uses[::2, ::2], vectors[:, ::2, ::2].astype(np.int64)
        if len(sources) < 2:
            moved, time = own[0], np.full(use.shape, sources[0], np.int64)
        else:
            moved, time = own[1] - own[0], np.full(use.shape, sources[1] - sources[0], np.int64)
            both = 0 if sources[0] != sources[1] else 3  # twice the same: the first vector
            for r, alone in enumerate(((use == 1) | (use == both), use == 2)):
                moved, time = np.where(alone[..., None], own[r], moved), np.where(alone, sources[r], time)
        return Speeds(use > 0, moved * np.sign(time)[..., None], np.maximum(np.abs(time), 1))


def carried(fields: dict[int, Speeds], shown: int, sources: tuple[int, ...], h: int, w: int) -> np.ndarray:
    """Motions int64 [h, w, `CARRIED_FROM`, 5]: uses (0: none), and vectors to each reference.

    Args:
        fields: of decoded pictures, by when they are shown.
        shown: when the picture is shown.
        sources: how much later its references are shown.
        h, w: patches.
    """
    out = np.zeros((h, w, CARRIED_FROM, 5), np.int64)
    i, j = np.indices((h, w))
    for k, other in enumerate(sorted(fields, key=lambda n: (abs(n - shown), -n))[:CARRIED_FROM]):
        speeds, later = fields[other], other - shown
        there = scaled(speeds.moved, later, speeds.time) * speeds.known[..., None]
        a = np.clip((PATCH * i + PATCH // 2 + there[..., 0]) // PATCH, 0, h - 1)
        b = np.clip((PATCH * j + PATCH // 2 + there[..., 1]) // PATCH, 0, w - 1)
        known, moved, time = speeds.known[a, b], speeds.moved[a, b], speeds.time[a, b]
        out[:, :, k, 0] = known * ((1 << len(sources)) - 1)
        for r, away in enumerate(sources):
            vector = scaled(moved, away, time).clip(-MAX_VECTOR, MAX_VECTOR)
            out[:, :, k, 1 + 2 * r : 3 + 2 * r] = vector * known[..., None]
    return out


def scaled(moved: np.ndarray, away: int, time: np.ndarray) -> np.ndarray:
    """moved [h, w, 2] x away / time [h, w], to the nearest, halves up."""
    scale = time[..., None]
    found: np.ndarray = (2 * moved * away + scale) // (2 * scale)
    return found

"""What is known of a window before it is coded: its motion, and how much of each patch goes on into later pictures.

The steps of patches follow from that as in macroblock-tree rate control (Garrett-Glaser 2009, x264): what many pictures
are predicted from is worth more bits than what is covered a moment later.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..vision.motion_planes import PATCH
from ..vision.motion_search import patches, search
from .motion_choice import PRICE, Seen
from .motion_plan import DISTANCE, Planned

STRENGTH = 7.0  # steps that a patch is finer for each doubling of what depends on it
COARSEST, FINEST = 16.0, -24.0  # steps of patches beside that of the window
NOISE = 0.05  # of absolute error a pixel, which is no information
CELL_INTRA = 0.7  # error of a patch by itself, beside that against the means of its quarters


@dataclass(frozen=True)
class MotionTuning:
    """What the steps of patches are tuned for.

    Attributes:
        activity: steps that a patch is coarser for each doubling of its activity.
        floor: of activity, absolute error a pixel: how busy a patch must be for it to matter.
    """

    activity: float
    floor: float


TUNINGS = {"psnr": MotionTuning(2.0, 0.5), "ssim": MotionTuning(5.0, 0.5)}

Vectors = dict[tuple[int, int], np.ndarray]


class Lookahead:
    """Vectors from the pictures of a window to the originals of what they are predicted from, and steps of patches.

    Attributes:
        vectors: [h, w, 2] by picture and reference.
        offsets: float [h, w] by picture, steps of patches beside that of the window.
    """

    def __init__(
        self,
        parts: Sequence[Sequence[Planned]],
        seen: Callable[[int], Seen | None],
        size: float,
        tuning: MotionTuning = TUNINGS["psnr"],
    ):
        self.vectors: Vectors = {}
        self._errors: Vectors = {}
        self._tuning = tuning
        pictures = [p for part in parts for p in part]
        used: dict[int, Seen] = {}
        for planned in pictures:
            own = self._own(seen, planned)
            for r in planned.references:
                if r not in used:
                    other = seen(r)
                    if other is None:
                        continue
                    used[r] = Seen(replace(other.planes), other.small)  # by itself: what it interpolates is dropped
                hints = near_vectors(self.vectors, planned.shown, r)
                found, errors = search(own.planes, own.small, used[r].planes, used[r].small, hints, PRICE * size)
                self.vectors[planned.shown, r], self._errors[planned.shown, r] = found, errors
            used = {n: s for n, s in used.items() if n > planned.shown - 2 * DISTANCE}
        self._intra = {p.shown: _intra(self._own(seen, p)) for p in pictures}
        self.offsets = self._offsets(pictures)

    def errors(self, planned: Planned) -> np.ndarray:
        """Absolute error [h, w] of the patches of a picture as they are predicted."""
        known = [self._errors[key] for r in planned.references if (key := (planned.shown, r)) in self._errors]
        return np.minimum.reduce([self._intra[planned.shown], *known]) if known else self._intra[planned.shown]

    @staticmethod
    def _own(seen: Callable[[int], Seen | None], planned: Planned) -> Seen:
        own = seen(planned.shown)
        assert own is not None
        return own

    def _offsets(self, pictures: Sequence[Planned]) -> dict[int, np.ndarray]:
        depending: dict[int, np.ndarray] = {}  # absolute error of later pictures that each patch takes away
        out = {}
        for planned in reversed(pictures):
            intra = self._intra[planned.shown] + NOISE * PATCH * PATCH
            total = depending.get(planned.shown, np.zeros_like(intra))
            finer = STRENGTH * np.log2(1 + total / intra)
            activity = np.log2(self._intra[planned.shown] + self._tuning.floor * PATCH * PATCH)
            coarser = self._tuning.activity * (activity - activity.mean())
            out[planned.shown] = np.clip(COARSEST - finer, FINEST, COARSEST) + coarser
            known = [r for r in planned.references if (planned.shown, r) in self.vectors]
            if not known:
                continue
            errors = np.stack([self._errors[planned.shown, r] for r in known]) + NOISE * PATCH * PATCH
            share = errors**-2.0
            share /= share.sum(0)
            inter = errors.min(0)
            passed = (intra + total) * np.clip(1 - inter / intra, 0, 1)
            for n, r in enumerate(known):
                into = depending.setdefault(r, np.zeros_like(intra))
                _deposit(into, passed * share[n], self.vectors[planned.shown, r])
        return out


def near_vectors(vectors: Vectors, shown: int, reference: int) -> list[np.ndarray]:
    """Vectors found for other pictures lately, as long as they would be from this picture to its reference."""
    near = [(a, b) for a, b in list(vectors)[-6:] if abs(a - shown) <= DISTANCE // 2]
    return [np.rint(vectors[k] * ((shown - reference) / (k[0] - k[1]))).astype(np.int32) for k in near[-3:]]


def _intra(seen: Seen) -> np.ndarray:
    """About the absolute error of patches [h, w] that are predicted from themselves."""
    blocks = patches(seen.planes.y)
    h, w = blocks.shape[:2]
    cells = blocks.reshape(h, w, 2, 8, 2, 8).transpose(0, 1, 2, 4, 3, 5).reshape(h, w, 4, 64).astype(np.float32)
    return CELL_INTRA * np.abs(cells - cells.mean(-1, keepdims=True)).sum((2, 3))


def _deposit(into: np.ndarray, amounts: np.ndarray, vectors: np.ndarray) -> None:
    """Add amounts of patches to those that they are predicted from."""
    h, w = amounts.shape
    down = np.clip(np.arange(h)[:, None] + vectors[..., 0] / (4.0 * PATCH), 0, h - 1)
    right = np.clip(np.arange(w)[None] + vectors[..., 1] / (4.0 * PATCH), 0, w - 1)
    i, j = np.floor(down).astype(int), np.floor(right).astype(int)
    a, b = down - i, right - j
    for di, dj, part in ((0, 0, (1 - a) * (1 - b)), (0, 1, (1 - a) * b), (1, 0, a * (1 - b)), (1, 1, a * b)):
        np.add.at(into, (np.minimum(i + di, h - 1), np.minimum(j + dj, w - 1)), amounts * part)

"""Bjontegaard delta rate: how many more bits one codec takes than another for the same quality.

G. Bjontegaard, "Calculation of average PSNR differences between RD-curves", VCEG-M33, 2001. Curves are interpolated by
piecewise cubic Hermite polynomials (pchip) as in JVET-T2010, not by one cubic, which swings where a curve levels off.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..errors import CodecError

Points = Sequence[tuple[float, float]]  # rate and quality


class CurvesError(CodecError):
    """Two curves that have no Bjontegaard delta: they do not rise, have too few points, or share no quality."""


def bd_rate(anchor: Points, other: Points, higher_is_better: bool = True) -> float:
    """Mean difference in rate of `other` to `anchor` at equal quality, in percent: -20 means a fifth fewer bits.

    The mean is of the logarithm of the rate, over the range of quality that both curves reach.

    Args:
        anchor, other: points (rate, quality) in any order, at least two with finite numbers; rates in any unit.
        higher_is_better: direction of the quality.

    Raises:
        CurvesError: if more bits do not always bring more quality, or no quality is common to both.
        CodecError: if the package scipy is not installed.
    """
    curves = [_curve(points, name, higher_is_better) for points, name in ((anchor, "anchor"), (other, "other"))]
    low, high = max(q[0] for q, _ in curves), min(q[-1] for q, _ in curves)
    if not low < high:
        spans = " and ".join(f"{min(abs(q[[0, -1]])):g} to {max(abs(q[[0, -1]])):g}" for q, _ in curves)
        raise CurvesError(f"the curves share no quality: they reach {spans}")
    try:
        from scipy.interpolate import PchipInterpolator
    except ImportError:
        raise CodecError("BD-rates need the package scipy (extra 'eval')") from None
    areas = [float(PchipInterpolator(quality, rate).integrate(low, high)) for quality, rate in curves]
    return float(100 * np.expm1((areas[1] - areas[0]) / (high - low)))


def _curve(points: Points, name: str, higher_is_better: bool) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Qualities, rising, and natural logarithms of rates."""
    array = np.array(sorted(points), float).reshape(-1, 2)
    if len(array) < 2:
        raise CurvesError(f"{name} has {len(array)} point{'' if len(array) == 1 else 's'}; two are needed")
    if not np.isfinite(array).all() or (array[:, 0] <= 0).any():
        raise CurvesError(f"{name} has rates or qualities that are no finite numbers, or rates that are not positive")
    quality = array[:, 1] * (1 if higher_is_better else -1)
    flat = np.flatnonzero(np.diff(quality) <= 0)
    if len(flat):
        (rate, before), (more, after) = array[flat[0]], array[flat[0] + 1]
        raise CurvesError(
            f"{name} does not get better from a rate of {rate:.4g} ({before:.4g}) to {more:.4g} ({after:.4g})"
        )
    return quality, np.log(array[:, 0])

"""Constant quality: the rate of a picture that has a PSNR, and the lambda of a video that has about one."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from ..settings import Rate
from .motion_choice import LAMBDA

CLOSE = 0.15  # dB that are near enough
MAX_TRIES = 9
LEAST, MOST = 0.002, 48.0  # bits per pixel that are tried
FIRST, FIRST_PSNR = 0.5, 34.0  # what a usual picture has
PER_DOUBLING = 4.5  # dB, where nothing is known yet
STEEPEST, FLATTEST = 9.0, 1.5  # the same at most and at least
WIDEST = 6.0  # by which factor a trial differs from those before at most
FULL = 0.85  # share of a rate below which a file has all that there is to code
SAME = 0.004  # share by which rates differ that are the same
VIDEO_STEP, VIDEO_PSNR, VIDEO_SLOPE = 80.0, 33.2, -0.225  # five clips on average: PSNR at a step, and by a step


@dataclass(frozen=True)
class Trial:
    """A file at a rate.

    Attributes:
        bpp: bits per pixel that were asked for.
        data: the file.
        psnr: in dB; infinity if it is exact.
    """

    bpp: float
    data: bytes
    psnr: float


def with_psnr(encode: Callable[[float], bytes], measure: Callable[[bytes], float], wanted: float, pixels: int) -> Trial:
    """The file whose PSNR is nearest to a wanted one, by a search over rates.

    Args:
        encode: bits per pixel -> file, which takes about as much, or less if there is nothing more to code.
        measure: file -> PSNR in dB.
        wanted: PSNR in dB.
        pixels: of the picture.
    """
    trials: list[Trial] = []
    bpp = FIRST * 2 ** ((wanted - FIRST_PSNR) / PER_DOUBLING)
    for _ in range(MAX_TRIES):
        bpp = min(max(bpp, LEAST), MOST)
        data = encode(bpp)
        taken = 8 * len(data) / pixels
        same = any(t.data == data for t in trials)
        trials.append(Trial(taken if taken < FULL * bpp else bpp, data, measure(data)))
        if same or abs(trials[-1].psnr - wanted) <= CLOSE:
            break
        below = max((t for t in trials if t.psnr < wanted), key=lambda t: t.bpp, default=None)
        above = min((t for t in trials if t.psnr >= wanted), key=lambda t: t.bpp, default=None)
        if (above is None and bpp >= MOST) or (below is None and bpp <= LEAST):
            break
        if below and above and above.bpp / below.bpp < 1 + SAME:
            break
        bpp = _between(below, above, wanted) if below and above else _beyond(trials, wanted)
    return min(trials, key=lambda t: abs(t.psnr - wanted))


def _between(below: Trial, above: Trial, wanted: float) -> float:
    """The rate to try next: on the line between two, on a logarithmic scale."""
    low, high = math.log2(below.bpp), math.log2(above.bpp)
    share = 0.5 if math.isinf(above.psnr) else (wanted - below.psnr) / max(above.psnr - below.psnr, 1e-9)
    return float(2 ** (low + (high - low) * min(max(share, 0.1), 0.9)))


def _beyond(trials: list[Trial], wanted: float) -> float:
    """The rate to try next where all trials are on one side."""
    last, slope = trials[-1], PER_DOUBLING
    if math.isinf(last.psnr):
        return last.bpp / WIDEST
    if len(trials) > 1 and trials[-2].bpp != last.bpp and not math.isinf(trials[-2].psnr):
        slope = (last.psnr - trials[-2].psnr) / math.log2(last.bpp / trials[-2].bpp)
        slope = min(max(slope, FLATTEST), STEEPEST)
    factor = 2 ** ((wanted - last.psnr) / slope)
    return last.bpp * min(max(factor, 1 / WIDEST), WIDEST)


def as_lambda(rate: Rate) -> Rate:
    """A rate of video as a lambda, if it is a PSNR: of the step that clips have it at on average."""
    if rate.psnr is None:
        return rate
    step = VIDEO_STEP + (rate.psnr - VIDEO_PSNR) / VIDEO_SLOPE
    return replace(rate, psnr=None, rd_lambda=LAMBDA * (2 ** (step / 16) / 255) ** 2)

"""Warnings about samples that cannot be meant."""

from __future__ import annotations

import math
import sys
import warnings

MAX_PEAK = 8.0  # of samples; overshoots of loud recordings stay far below, 16-bit integers lie far above


def checked_peak(peak: float) -> bool:
    """Warn of a highest sample that is not finite, or that integers have; returns whether it is finite."""
    if not math.isfinite(peak):
        warn("samples that are not finite (NaN or infinite) are taken as silence")
        return False
    if peak > MAX_PEAK:
        warn(f"samples reach {peak:.3g}: waveforms are expected in [-1, 1]")
    return True


def warn(text: str) -> None:
    """Warn where the caller is: outside of this package, and of PyTorch, whose wrappers lie between."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back and frame.f_globals.get("__name__", "").partition(".")[0] in ("josiecodec", "torch"):
        level, frame = level + 1, frame.f_back
    warnings.warn(text, stacklevel=level + 1)

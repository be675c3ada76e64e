"""What changes in the course of a run, as functions of how far it has come."""

from __future__ import annotations

import math

from .settings import DescentConfig


def learning_rate(config: DescentConfig, progress: float, steps_since_change: int) -> float:
    """Cosine over the run's progress (0..1), with a linear rise after the start or a change of plan."""
    cosine = config.final + (1 - config.final) * 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))
    return config.lr * cosine * min(1.0, (steps_since_change + 1) / max(config.warmup, 1))


def ramp(progress: float, start: float, length: float = 0.03) -> float:
    """0 before `start`, then rising to 1."""
    return min(max((progress - start) / length, 0.0), 1.0) if progress >= start else 0.0

"""Steps that the coefficients of a detail layer are quantized with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .block_arrays import frequencies

STEPS = 129  # sizes of steps
FINEST = 4.0  # the first one, in units of 8-bit pixels
PER_OCTAVE = 24  # steps of that many sizes are twice as large
PER_KNOWN = 4  # of these steps are one to the networks
RATIO = 0.15  # logarithm of a scale over the one before
SLOPE = 10  # strength x frequency that makes a step larger by one `RATIO`


@dataclass(frozen=True)
class DetailSteps:
    """The steps of one picture, or of a part of it: a quantization matrix.

    Attributes:
        index: of the step of the lowest frequency.
        strength: by how much steps grow with the frequency; 0 for one step.
    """

    index: int
    strength: int = 0

    @property
    def known(self) -> int:
        """The index as the networks know it."""
        return self.index // PER_KNOWN

    @property
    def size(self) -> float:
        """Of the step of the lowest frequency, in units of 8-bit pixels."""
        return step_size(self.index)

    def shifts(self) -> np.ndarray:
        """How much larger the step of each coefficient is, in whole numbers of `RATIO`: int64 [192].

        Scales in units of a larger step are smaller ones, by whole indices.
        """
        grown: np.ndarray = (self.strength * frequencies() + SLOPE // 2) // SLOPE
        return grown

    def sizes(self) -> np.ndarray:
        """The step of each coefficient, in units of 8-bit pixels: float64 [192]."""
        sizes: np.ndarray = self.size * np.exp(RATIO * self.shifts())
        return sizes


def step_size(index: int) -> float:
    """Size of the step with an index, in units of 8-bit pixels."""
    return float(FINEST * 2 ** (index / PER_OCTAVE))

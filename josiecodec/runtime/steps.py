"""Small parts of a stream in NumPy: memories, windows, and products whose rows do not depend on those beside them."""

from __future__ import annotations

import math

import numpy as np


class Past:
    """Puts what came before in front of a chunk [n, ...]: `left` steps, zeros at first."""

    def __init__(self, left: int):
        self.left = left
        self._kept: np.ndarray | None = None

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """[n, ...] -> [left + n, ...]."""
        if self._kept is None:
            self._kept = np.zeros((self.left, *x.shape[1:]), np.float32)
        x = np.concatenate([self._kept, x])
        self._kept = x[len(x) - self.left :]
        return x


class Delay:
    """[n, ...] -> the same later by so many steps."""

    def __init__(self, steps: int):
        self._past = Past(steps)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """The next chunk."""
        return self._past(x)[: len(x)]


def windows(x: np.ndarray, size: int, step: int) -> np.ndarray:
    """All windows of `size` samples of [n], each `step` after the last: [windows, size]."""
    return np.lib.stride_tricks.sliding_window_view(x, size)[::step]


def product(x: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """[..., in] times a matrix [in, out], float32.

    Summed in double precision: matrix kernels sum the rows of a block in other orders than those at its end, which no
    longer shows after rounding.
    """
    return (x.astype(np.float64) @ matrix).astype(np.float32)


def fourier_matrix(size: int) -> np.ndarray:
    """Real Fourier transform of `size` samples (even) as a matrix [size, size + 2]: real, then imaginary parts."""
    turns = np.arange(size // 2 + 1) * np.arange(size)[:, None] % size  # whole numbers, so that nothing is lost
    angles = turns * (2 * math.pi / size)
    return np.concatenate([np.cos(angles), -np.sin(angles)], 1).astype(np.float32)


def halves(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both halves of the last axis."""
    middle = x.shape[-1] // 2
    return x[..., :middle], x[..., middle:]

"""The lower part of the spectrum at a lower sampling rate: linear-phase decimation and interpolation on a stream.

Both are products of rows of samples with one matrix that holds the filter once for every output of a row:

    Decimator      y[m] = sum h[j] x[d m + d - 1 - j]       complete with the last of the d samples that it stands for
    Interpolator   the inverse, at any delay that its filter leaves it

Output m of the decimator stands for the time `d m - Decimator.delay`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..errors import ConfigError
from ..nn.linear import stable_linear
from ..nn.streaming import State, Streaming, with_past
from .resampling import ROW, TAPS, UP_TAPS, decimation_matrix, interpolation_matrix, least_delay, lowpass, row_of

__all__ = ["ROW", "Decimator", "Interpolator", "lowpass", "row_of"]


class Decimator(Streaming):
    """[B, 1, n * factor] -> [B, n], limited to the band that fits; n must be a multiple of `row`.

    Args:
        factor: samples that become one.
        row: samples of the output that one row of the product makes.

    Attributes:
        delay: samples of the input; output m is the filtered input at `factor * m - delay`.
    """

    matrix: Tensor

    def __init__(self, factor: int, row: int = ROW):
        super().__init__()
        taps = TAPS * factor + 1
        self.factor, self.row = factor, row
        self.delay = taps // 2 - (factor - 1)
        self.left = taps - factor
        self.register_buffer("matrix", torch.from_numpy(decimation_matrix(factor, row)).float(), False)

    def forward(self, x: Tensor, state: State | None = None) -> Tensor:
        x = with_past(self, x[:, 0], self.left, 1, state)
        rows = x.unfold(1, self.matrix.shape[1], self.factor * self.row)
        return stable_linear(rows, self.matrix, None).flatten(1)


class Interpolator(Streaming):
    """[B, n] -> [B, 1, n * factor], later by `delay` samples of the output; n must be a multiple of `row`.

    Raises:
        ConfigError: if `delay` is less than `least_delay(factor)`.
    """

    matrix: Tensor

    def __init__(self, factor: int, delay: int, row: int = ROW):
        super().__init__()
        if delay < self.least_delay(factor):
            raise ConfigError(f"an interpolation by {factor} takes at least {self.least_delay(factor)} samples")
        half = UP_TAPS * factor // 2
        self.row = row
        self.left = (delay + half) // factor
        self.register_buffer("matrix", torch.from_numpy(interpolation_matrix(factor, delay, row)).float(), False)

    @staticmethod
    def least_delay(factor: int) -> int:
        """The shortest delay, so that no output needs an input that comes later."""
        return least_delay(factor)

    def forward(self, x: Tensor, state: State | None = None) -> Tensor:
        count = x.shape[1] // self.row
        x = with_past(self, x, self.left, 1, state)[:, : self.row * (count - 1) + self.matrix.shape[1]]
        rows = x.unfold(1, self.matrix.shape[1], self.row)
        return stable_linear(rows, self.matrix, None).flatten(1).unsqueeze(1)

"""The modified discrete cosine transform with a sine window, on a stream (Princen, Johnson and Bradley 1987).

Windows are two hops long, and window k ends with hop k:

    hops        |   k - 1   |     k     |   k + 1   |
    windows     |------- window k ------|
                            |----- window k + 1 ----|

So a window needs nothing that comes later, and hop k is whole once window k + 1 is known: the inverse is one hop late.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..nn.linear import stable_linear
from ..nn.streaming import State, Streaming, with_past


def mdct_matrix(hop: int, coefficients: int) -> Tensor:
    """The first cosines under their window, float32 [2 * hop, coefficients]. All `hop` are orthonormal."""
    n = torch.arange(2 * hop, dtype=torch.float64)[:, None] + 0.5
    k = torch.arange(coefficients, dtype=torch.float64) + 0.5
    window = torch.sin(math.pi / (2 * hop) * n)
    return (window * torch.cos(math.pi / hop * (n + hop / 2) * k) * (2 / hop) ** 0.5).float()


class Mdct(Streaming):
    """[B, n * hop] -> the first `coefficients` of each window, [B, n, coefficients]."""

    matrix: Tensor

    def __init__(self, hop: int, coefficients: int):
        super().__init__()
        self.hop = hop
        self.register_buffer("matrix", mdct_matrix(hop, coefficients).t().contiguous(), False)

    def forward(self, x: Tensor, state: State | None = None) -> Tensor:
        x = with_past(self, x, self.hop, 1, state)
        return stable_linear(x.unfold(1, 2 * self.hop, self.hop), self.matrix, None)


class InverseMdct(Streaming):
    """[B, n, coefficients] -> [B, n * hop], one hop late: the first hop is what came before the first window's own."""

    matrix: Tensor

    def __init__(self, hop: int, coefficients: int):
        super().__init__()
        self.hop = hop
        self.register_buffer("matrix", mdct_matrix(hop, coefficients), False)

    def forward(self, x: Tensor, state: State | None = None) -> Tensor:
        windows = stable_linear(x, self.matrix, None)
        halves = with_past(self, windows[..., self.hop :], 1, 1, state)
        return (halves[:, :-1] + windows[..., : self.hop]).flatten(1)

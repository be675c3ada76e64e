"""A linear layer whose result for a row does not depend on the rows beside it."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# CPU matrix kernels work on blocks of rows and fall back to other kernels, with another order of
# summation, for the rows left over or for few rows. A frame alone (streaming, batch 1) and the same
# frame in the middle of a recording then differ in the last bit, and now and then a nearest code
# flips. Sixteen rows are enough for every kernel met so far, four were not.
ROW_BLOCK = 16
FEW_ROWS = 64
# Threads share long sums between them, how many depends on the number of rows. Short ones they leave whole.
MAX_TERMS = 768


def exporting() -> bool:
    """Whether a graph is being recorded: what depends on the number of rows must then be left alone."""
    return torch.compiler.is_exporting() or torch.jit.is_tracing()


class RowStableLinear(nn.Linear):
    """`nn.Linear` over the last axis, exact under any split of the input in evaluation mode.

    Inputs of few rows are padded to a whole number of row blocks before the product, so that a
    chunk of a stream, one item of a batch and a whole recording give bit-identical rows on the CPU.
    Training and other devices use the plain product.
    """

    def forward(self, x: Tensor) -> Tensor:
        return stable_linear(x, self.weight, self.bias, exact=not self.training)


def stable_linear(x: Tensor, weight: Tensor, bias: Tensor | None, exact: bool = True) -> Tensor:
    """`F.linear` over the last axis of `x` [..., in]; see `RowStableLinear`."""
    if exporting():
        return F.linear(x, weight, bias)
    if not exact or x.device.type != "cpu":
        return F.linear(x, weight, bias)
    # Two axes always: with three, a kernel is chosen by how they lie in memory.
    flat = x.reshape(-1, x.shape[-1])
    rows = len(flat)
    missing = -rows % ROW_BLOCK if rows < FEW_ROWS else 0
    if missing:
        flat = F.pad(flat, (0, 0, 0, missing))
    return _short_sums(flat, weight, bias)[:rows].view(*x.shape[:-1], len(weight))


def _short_sums(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """`F.linear` of rows [N, in] with no sum over more than `MAX_TERMS` terms at once."""
    terms = x.shape[-1]
    if terms <= MAX_TERMS:
        return F.linear(x, weight, bias)
    size = -(-terms // -(-terms // MAX_TERMS))
    y = F.linear(x[:, :size], weight[:, :size], bias)
    for first in range(size, terms, size):
        y += F.linear(x[:, first : first + size], weight[:, first : first + size])
    return y

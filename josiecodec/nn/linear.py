"""A linear layer whose result for a row does not depend on the rows beside it."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# CPU matrix kernels work on blocks of rows and fall back to other kernels, with another order of
# summation, for the rows left over. A frame alone (streaming, batch 1) and the same frame in the
# middle of a recording then differ in the last bit, and now and then a nearest code flips.
ROW_BLOCK = 4
FEW_ROWS = 64


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
    rows = x.numel() // x.shape[-1]
    missing = -rows % ROW_BLOCK
    if not exact or x.device.type != "cpu" or rows >= FEW_ROWS or not missing:
        return F.linear(x, weight, bias)
    flat = F.pad(x.reshape(rows, x.shape[-1]), (0, 0, 0, missing))
    return F.linear(flat, weight, bias)[:rows].reshape(*x.shape[:-1], weight.shape[0])

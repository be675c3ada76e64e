"""Explicit streaming state.

A causal network can be run on a stream chunk by chunk if every layer with a memory (a causal
convolution, an attention cache, an overlap-add) is given back what it saw before. Here that memory
lives outside the modules, in one `State` that the caller owns and hands to every call:

    state = State()
    y1 = layer(x1, state)       # the first chunk: everything before it counts as zeros
    y2 = layer(x2, state)       # continues where x1 ended

    y = layer(torch.cat([x1, x2], dim))   # no state: offline, on a fresh memory

Both give the same samples, by construction: offline is one call on an empty memory. Because modules
are never mutated, one model can serve any number of streams, from any number of threads.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class State(dict[nn.Module, Any]):
    """What each layer of a network remembers of one batch of streams: module -> tensors."""

    def copy(self) -> State:
        """A snapshot from which the stream can be continued twice (tensors are never modified)."""
        return State(self)


class Streaming(nn.Module):
    """A module whose `forward(x, state=None)` carries a memory from chunk to chunk."""


def run(layers: nn.Module, x: Tensor, state: State | None) -> Tensor:
    """Apply the children of a Sequential or ModuleList in order, passing `state` where it is used."""
    for layer in layers.children():
        if isinstance(layer, Streaming):
            x = layer(x, state)
        elif isinstance(layer, nn.Sequential):
            x = run(layer, x, state)
        else:
            x = layer(x)
    return x


def with_past(
    module: nn.Module, x: Tensor, left: int, dim: int, state: State | None, replicate: bool = False
) -> Tensor:
    """Put the `left` steps that came before `x` in front of it, and remember its last ones.

    Args:
        module: whose memory this is.
        x: a chunk; `dim` is its time axis.
        left: how many past steps the layer looks back.
        state: the stream's memory, or None for offline use.
        replicate: before the beginning of a stream there are copies of its first step, else zeros.
    """
    if left == 0:
        return x
    known = state.get(module) if state is not None else None
    shape = list(x.shape)
    shape[dim] = left
    past = x.narrow(dim, 0, 1).expand(shape) if replicate else None
    if known is not None:
        # Whether a stream has begun is part of its memory, so that a memory of zeros is one of nothing.
        past = known if past is None else torch.where(known[1], known[0], past)
    elif past is None:
        past = x.new_zeros(shape)
    x = torch.cat([past, x], dim)
    if state is not None:
        last = x.narrow(dim, x.shape[dim] - left, left).clone()
        state[module] = (last, torch.ones((), dtype=torch.bool, device=x.device)) if replicate else last
    return x

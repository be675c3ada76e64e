"""`offset.py` on the waveforms of a network."""

from __future__ import annotations

import torch
from torch import Tensor

from ..nn.streaming import State, Streaming
from .offset import OffsetMemory, offsets


class WithoutOffset(Streaming):
    """[B, 1, F * frame_size] -> the same without a constant offset; itself where there is none.

    Args:
        frame_size: samples of a frame.
    """

    def __init__(self, frame_size: int):
        super().__init__()
        self.frame_size = frame_size

    @torch.no_grad()
    def forward(self, x: Tensor, state: State | None = None) -> Tensor:
        before = OffsetMemory() if state is None else state.get(self, OffsetMemory())
        found, memory = offsets(x[:, 0].detach().float().cpu().numpy(), self.frame_size, before)
        if state is not None:
            state[self] = memory
        return x if found is None else x - torch.from_numpy(found).unsqueeze(1).to(x)

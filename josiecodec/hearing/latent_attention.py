"""Attention whose keys and values are made of a short vector of each step, which is all that a stream has to keep.

Multi-head latent attention (DeepSeek-AI 2024, arXiv 2405.04434) with rotary positions, as J.O.S.I.E. has it: the norm
of the short vector and the order of steps are as printed there.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..nn.rotary import rotary_angles, turned
from ..nn.streaming import State, Streaming
from ..nn.transformer import RMSNorm


@dataclass
class LatentCache:
    """What a stream remembers: the short vectors of the last steps, oldest first.

    Attributes:
        latents: [B, context - 1, rank]; what lies before the stream's beginning is never seen.
        count: steps that the stream has had.
    """

    latents: Tensor
    count: int


class LatentAttention(Streaming):
    """Self-attention over [B, T, D] with rotary positions.

    Args:
        dim: channels, D.
        heads: that share them.
        rank: numbers of a short vector.
        context: steps that a step sees at most, itself included; without `causal` on both sides.
        causal: later steps are not seen. Streams need that.
    """

    def __init__(self, dim: int, heads: int, rank: int, context: int, causal: bool):
        super().__init__()
        self.heads, self.head_dim = heads, dim // heads
        self.rank, self.context, self.causal = rank, context, causal
        self.q_proj = nn.Linear(dim, dim, bias=False)
        self.kv_a_proj = nn.Linear(dim, rank, bias=False)
        self.kv_a_norm = RMSNorm(rank)
        self.kv_b_proj = nn.Linear(rank, 2 * dim, bias=False)
        self.out_proj = nn.Linear(dim, dim, bias=False)

    def forward(self, x: Tensor, state: State | None = None, keep: Tensor | None = None) -> Tensor:
        """`keep`, bool [B, T], says which steps of padded sequences are any; not for streams."""
        batch, steps, dim = x.shape
        latents, past, seen = self.kv_a_norm(self.kv_a_proj(x)), 0, 0
        if state is not None:
            past = self.context - 1
            cache = state.get(self) or LatentCache(latents.new_zeros(batch, past, self.rank), 0)
            latents, seen = torch.cat([cache.latents, latents], 1), cache.count
            state[self] = LatentCache(latents[:, latents.shape[1] - past :].clone(), seen + steps)
        where = torch.arange(seen - past, seen + steps, device=x.device)
        angles = rotary_angles(where, self.head_dim)
        cos, sin = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
        q = self.q_proj(x).view(batch, steps, self.heads, self.head_dim).transpose(1, 2)
        kv = self.kv_b_proj(latents).view(batch, past + steps, 2, self.heads, self.head_dim)
        k, v = kv.permute(2, 0, 3, 1, 4)
        q, k = turned(q, cos[past:], sin[past:]), turned(k, cos, sin)
        mask = self._mask(where, past)
        if keep is not None:
            mask = mask & keep[:, None, None]
        y = F.scaled_dot_product_attention(q, k, v.to(q.dtype), attn_mask=mask)
        return self.out_proj(y.transpose(1, 2).reshape(batch, steps, dim))

    def _mask(self, where: Tensor, past: int) -> Tensor:
        """Which of the keys, at `where`, each step sees [T, keys]."""
        ago = where[past:, None] - where[None]
        mask = (ago < self.context) & (where >= 0)
        return mask & (ago >= 0) if self.causal else mask & (ago > -self.context)

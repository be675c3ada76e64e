"""Pre-norm transformer over [B, T, D] with rotary positions, a context window and streaming.

Module names follow the published architecture (J.O.S.I.E. v4o, Gülmez 2025).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .linear import exporting
from .rotary import rotary_angles, turned
from .streaming import State, Streaming
from .transformer_config import TransformerConfig


class RMSNorm(nn.Module):
    """x / rms(x) * weight over the last axis (Zhang and Sennrich 2019, arXiv 1910.07467)."""

    def __init__(self, dim: int, eps: float = 1e-5):
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(dim))

    def forward(self, x: Tensor) -> Tensor:
        y = x.float()
        y = y * torch.rsqrt(y.square().mean(-1, keepdim=True) + self.eps)
        return y.to(x.dtype) * self.weight


@dataclass
class KeyValueCache:
    """The last keys and values of a stream, oldest first, always of the same size.

    Attributes:
        keys, values: [B, H, capacity, head_dim]; what lies before the stream's beginning is never seen.
        count: how many positions the stream has had, int64 [] (a tensor, so that an exported step can carry it).
    """

    keys: Tensor
    values: Tensor
    count: Tensor

    def append(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor, KeyValueCache]:
        """All keys and values with the new ones [B, H, T, head_dim] behind them, and what is kept of them."""
        keys, values = torch.cat([self.keys, keys], 2), torch.cat([self.values, values], 2)
        capacity = self.keys.shape[2]
        first = keys.shape[2] - capacity
        kept, kept_values = (x.narrow(2, first, capacity) for x in (keys, values))
        if (
            not exporting() and first > capacity
        ):  # else a view: a copy at every step would cost more than what it holds on to
            kept, kept_values = kept.clone(), kept_values.clone()
        return keys, values, KeyValueCache(kept, kept_values, self.count + first)


@dataclass
class Positions:
    """Where the steps of a chunk are: the same for all layers of a stack.

    Attributes:
        cos, sin: of the rotary angles [T, head_dim / 2].
        mask: which keys each step may see [T, keys], None for all.
    """

    cos: Tensor
    sin: Tensor
    mask: Tensor | None


class Attention(Streaming):
    """Multi-head self-attention with rotary positions; causal streams keep a `KeyValueCache`."""

    def __init__(self, config: TransformerConfig):
        super().__init__()
        self.heads = config.heads
        self.head_dim = config.dim // config.heads
        self.context = config.context
        self.causal = config.causal
        self.theta = config.theta
        inner = self.heads * self.head_dim
        self.q_proj = nn.Linear(config.dim, inner, bias=False)
        self.k_proj = nn.Linear(config.dim, inner, bias=False)
        self.v_proj = nn.Linear(config.dim, inner, bias=False)
        self.out_proj = nn.Linear(inner, config.dim, bias=False)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, state: State | None = None, positions: Positions | None = None) -> Tensor:
        batch, steps, _ = x.shape
        positions = positions or self.positions(x, state)
        q, k, v = (
            proj(x).view(batch, steps, self.heads, self.head_dim).transpose(1, 2)
            for proj in (self.q_proj, self.k_proj, self.v_proj)
        )
        q, k = (turned(part, positions.cos, positions.sin) for part in (q, k))
        if state is not None:
            k, v, state[self] = self._cache(x, state).append(k, v)
        y = F.scaled_dot_product_attention(
            q, k, v, attn_mask=positions.mask, dropout_p=self.dropout.p if self.training else 0.0
        )
        y = y.transpose(1, 2).reshape(batch, steps, self.heads * self.head_dim)
        return self.dropout(self.out_proj(y))

    def positions(self, x: Tensor, state: State | None = None) -> Positions:
        """Where the steps of `x` [B, T, D] are; to be asked before they are attended to."""
        steps, here = x.shape[1], torch.arange(x.shape[1], device=x.device)
        if state is None:
            mask, absolute = self._mask(steps, steps, x.device), here
        else:
            past, count = self.context - 1, self._cache(x, state).count
            mask, absolute = self._mask(steps, steps + past, x.device), here + count
            valid = torch.arange(steps + past, device=x.device) >= past - count
            mask = valid if mask is None else mask & valid
        angles = rotary_angles(absolute, self.head_dim, self.theta)
        return Positions(angles.cos().to(x.dtype), angles.sin().to(x.dtype), mask)

    def _cache(self, x: Tensor, state: State) -> KeyValueCache:
        """What the stream remembers; nothing yet at its beginning."""
        cache: KeyValueCache | None = state.get(self)
        if cache is not None:
            return cache
        empty = x.new_zeros(len(x), self.heads, self.context - 1, self.head_dim)
        return KeyValueCache(empty, empty, torch.zeros((), dtype=torch.long, device=x.device))

    def _mask(self, steps: int, keys: int, device: torch.device) -> Tensor | None:
        """Which keys (the last `steps` of them are the queries' own) each query may see."""
        if not self.causal and not self.context:
            return None
        query = torch.arange(keys - steps, keys, device=device)[:, None]
        key = torch.arange(keys, device=device)[None]
        mask = key <= query if self.causal else torch.ones_like(key <= query)
        if self.context:
            mask = mask & (query - key < self.context)
            if not self.causal:
                mask = mask & (key - query < self.context)
        return mask


class MultiLayerPerception(nn.Module):
    """Feed-forward layer. (The name is the published one.)"""

    def __init__(self, config: TransformerConfig):
        super().__init__()
        self.linear1 = nn.Linear(config.dim, config.hidden, bias=False)
        self.linear2 = nn.Linear(config.hidden, config.dim, bias=False)
        self.dropout = nn.Dropout(config.dropout)
        self.activation = F.silu if config.activation == "silu" else F.gelu

    def forward(self, x: Tensor) -> Tensor:
        return self.dropout(self.linear2(self.activation(self.linear1(x))))


class LayerScale(nn.Module):
    """A learnt scale of every channel of [..., D]."""

    def __init__(self, dim: int, initial: float):
        super().__init__()
        self.scale = nn.Parameter(torch.full((dim,), initial))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.scale


def _norm(config: TransformerConfig) -> nn.Module:
    return RMSNorm(config.dim, config.eps) if config.norm == "rms" else nn.LayerNorm(config.dim, config.eps)


class TransformerBlock(Streaming):
    """Attention, then feed-forward, each on a normalised input and added to it."""

    def __init__(self, config: TransformerConfig):
        super().__init__()
        self.attention = Attention(config)
        self.feed_forward = MultiLayerPerception(config)
        self.attention_norm = _norm(config)
        self.mlp_norm = _norm(config)
        self.scaled = config.layer_scale > 0
        if self.scaled:
            self.attention_scale = LayerScale(config.dim, config.layer_scale)
            self.mlp_scale = LayerScale(config.dim, config.layer_scale)

    def forward(self, x: Tensor, state: State | None = None, positions: Positions | None = None) -> Tensor:
        y = self.attention(self.attention_norm(x), state, positions)
        x = x + (self.attention_scale(y) if self.scaled else y)
        y = self.feed_forward(self.mlp_norm(x))
        return x + (self.mlp_scale(y) if self.scaled else y)


class Transformer(Streaming):
    """A stack of `TransformerBlock`s and, if the config says so, a final norm: [B, T, D] -> [B, T, D].

    Streaming needs `causal` and a finite `context`.
    """

    def __init__(self, config: TransformerConfig):
        super().__init__()
        self.layers = nn.ModuleList(TransformerBlock(config) for _ in range(config.layers))
        self.norm = _norm(config) if config.final_norm else nn.Identity()

    def forward(self, x: Tensor, state: State | None = None) -> Tensor:
        positions = self._blocks()[0].attention.positions(x, state) if len(self.layers) else None
        for layer in self._blocks():
            x = layer(x, state, positions)
        return self.norm(x)

    def _blocks(self) -> list[TransformerBlock]:
        return list(self.layers)  # type: ignore[arg-type]

"""Pre-norm transformer over [B, T, D] with rotary positions, a context window and streaming.

Module names follow the printed architecture of J.O.S.I.E. v4o (seed 000).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import ConfigError
from .rotary import apply_rotary, rotary_angles
from .streaming import State, Streaming


@dataclass(frozen=True)
class TransformerConfig:
    """Settings of a `Transformer`.

    Attributes:
        dim: width D of the sequence.
        layers: number of blocks; 0 leaves the final norm alone.
        heads: attention heads; `dim // heads` channels each, so with heads that do not divide `dim`
            the attention is a little narrower than the sequence (as printed for the JODIO decoder).
        hidden: width of the feed-forward layer.
        dropout: in attention and feed-forward.
        context: steps that a step can look back, itself included; 0 for all.
        causal: whether a step can see later ones.
        theta: base of the rotary frequencies.
        eps: of the norms.
    """

    dim: int = 512
    layers: int = 12
    heads: int = 16
    hidden: int = 2048
    dropout: float = 0.1
    context: int = 250
    causal: bool = True
    theta: float = 10000.0
    eps: float = 1e-5

    def __post_init__(self) -> None:
        if self.heads < 1 or (self.dim // self.heads) % 2:
            raise ConfigError(f"transformer: {self.dim} // {self.heads} heads must be even and positive")
        if self.context < 0 or self.layers < 0:
            raise ConfigError("transformer: context and layers must not be negative")


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
    """A ring of the last `capacity` keys and values of a stream.

    Attributes:
        keys, values: [B, H, capacity, head_dim]; slot p % capacity holds position p.
        seen: how many positions the stream has had.
    """

    keys: Tensor
    values: Tensor
    seen: int

    def ordered(self) -> tuple[Tensor, Tensor]:
        """Keys and values that are held, oldest first."""
        capacity = self.keys.shape[2]
        held = min(self.seen, capacity)
        slots = torch.arange(self.seen - held, self.seen, device=self.keys.device) % max(capacity, 1)
        return self.keys[:, :, slots], self.values[:, :, slots]

    def append(self, keys: Tensor, values: Tensor) -> KeyValueCache:
        """A ring with the new positions written over the oldest ones."""
        capacity = self.keys.shape[2]
        new = min(keys.shape[2], capacity)
        end = self.seen + keys.shape[2]
        slots = torch.arange(end - new, end, device=keys.device) % max(capacity, 1)
        first = keys.shape[2] - new
        return KeyValueCache(
            self.keys.index_copy(2, slots, keys[:, :, first:]),
            self.values.index_copy(2, slots, values[:, :, first:]),
            end,
        )


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

    def forward(self, x: Tensor, state: State | None = None) -> Tensor:
        batch, steps, _ = x.shape
        q, k, v = (
            proj(x).view(batch, steps, self.heads, self.head_dim).transpose(1, 2)
            for proj in (self.q_proj, self.k_proj, self.v_proj)
        )
        cache: KeyValueCache | None = state.get(self) if state is not None else None
        first = cache.seen if cache else 0
        angles = rotary_angles(torch.arange(first, first + steps, device=x.device), self.head_dim, self.theta)
        q, k = apply_rotary(q, angles), apply_rotary(k, angles)
        if state is not None:
            if cache is None:
                empty = k.new_zeros(batch, self.heads, self.context - 1, self.head_dim)
                cache = KeyValueCache(empty, empty, 0)
            past_k, past_v = cache.ordered()
            state[self] = cache.append(k, v)
            k, v = torch.cat([past_k, k], 2), torch.cat([past_v, v], 2)
        y = F.scaled_dot_product_attention(
            q,
            k,
            v,
            attn_mask=self._mask(steps, k.shape[2], x.device),
            dropout_p=self.dropout.p if self.training else 0.0,
        )
        y = y.transpose(1, 2).reshape(batch, steps, self.heads * self.head_dim)
        return self.dropout(self.out_proj(y))

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
    """Feed-forward layer with SiLU. (The name is the printed one.)"""

    def __init__(self, config: TransformerConfig):
        super().__init__()
        self.linear1 = nn.Linear(config.dim, config.hidden, bias=False)
        self.linear2 = nn.Linear(config.hidden, config.dim, bias=False)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor) -> Tensor:
        return self.dropout(self.linear2(F.silu(self.linear1(x))))


class TransformerBlock(Streaming):
    """Attention, then feed-forward, each on a normalised input and added to it."""

    def __init__(self, config: TransformerConfig):
        super().__init__()
        self.attention = Attention(config)
        self.feed_forward = MultiLayerPerception(config)
        self.attention_norm = RMSNorm(config.dim, config.eps)
        self.mlp_norm = RMSNorm(config.dim, config.eps)

    def forward(self, x: Tensor, state: State | None = None) -> Tensor:
        x = x + self.attention(self.attention_norm(x), state)
        return x + self.feed_forward(self.mlp_norm(x))


class Transformer(Streaming):
    """A stack of `TransformerBlock`s and a final norm: [B, T, D] -> [B, T, D].

    Streaming needs `causal` and a finite `context`.
    """

    def __init__(self, config: TransformerConfig):
        super().__init__()
        self.layers = nn.ModuleList(TransformerBlock(config) for _ in range(config.layers))
        self.norm = RMSNorm(config.dim, config.eps)

    def forward(self, x: Tensor, state: State | None = None) -> Tensor:
        for layer in self.layers:
            x = layer(x, state)
        return self.norm(x)

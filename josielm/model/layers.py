"""Transformer blocks that both transformers are made of, with norms, rotary positions and weights to choose."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from josiecodec.nn.rotary import apply_rotary, rotary_angles
from josiecodec.nn.streaming import State, Streaming
from josiecodec.nn.transformer import RMSNorm

from .config import StackConfig

Linear = Callable[[int, int], nn.Module]
EPS = 1e-5


class StepLinear(nn.Module):
    """A linear layer with weights of its own for every step: [N, steps, in] -> [N, steps, out].

    A stream gives one step at a time; then `first` says which it is.
    """

    def __init__(self, steps: int, width_in: int, width_out: int):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(steps, width_out, width_in))
        nn.init.uniform_(self.weight, -(width_in**-0.5), width_in**-0.5)

    def forward(self, x: Tensor, first: int = 0) -> Tensor:
        weight = self.weight[first : first + x.shape[1]]
        return torch.bmm(x.transpose(0, 1), weight.transpose(1, 2)).transpose(0, 1)


def plain_linear(width_in: int, width_out: int) -> nn.Module:
    """Weights that all steps share."""
    return nn.Linear(width_in, width_out, bias=False)


def apply_linear(layer: nn.Module, x: Tensor, first: int) -> Tensor:
    """A `StepLinear` at steps `first` and on, or a plain layer."""
    return layer(x, first) if isinstance(layer, StepLinear) else layer(x)


def make_norm(config: StackConfig) -> nn.Module:
    """The norm that the configuration names; both kinds have a scale and no bias."""
    if config.norm == "layer":
        return nn.LayerNorm(config.dim, EPS, bias=False)
    return RMSNorm(config.dim, EPS)


def partial_rotary(x: Tensor, angles: Tensor) -> Tensor:
    """Turn as many channels of `x` [..., T, dim] as `angles` [..., T, pairs] has pairs for; the rest stay."""
    turned = 2 * angles.shape[-1]
    if turned == x.shape[-1]:
        return apply_rotary(x, angles)
    return torch.cat([apply_rotary(x[..., :turned], angles), x[..., turned:]], -1)


def added_positions(positions: Tensor, dim: int, theta: float) -> Tensor:
    """Sines and cosines of positions [T] or [N, T], whose wavelengths grow to 2 pi theta: [..., T, dim]."""
    pairs = -(-dim // 2)
    waves = theta ** -(torch.arange(pairs, device=positions.device) / pairs)
    angles = positions.float().unsqueeze(-1) * waves
    return torch.stack([angles.sin(), angles.cos()], -1).flatten(-2)[..., :dim]


@dataclass(frozen=True)
class Past:
    """What a stream's attention looks back on.

    Attributes:
        keys, values: [N, heads, steps, channels], the latest ones.
        steps: that the stream has had.
    """

    keys: Tensor
    values: Tensor
    steps: int


class Caches(State):
    """A stream's memory that keeps less of the past than its model could look back on.

    Attributes:
        dtype: of keys and values that are kept; None for that of the model.
        steps: that a step looks back at most, itself included; None for the context of the model.
    """

    dtype: torch.dtype | None = None
    steps: int | None = None

    def limit(self, context: int) -> int:
        """Steps that a step can look back, itself included."""
        return min(context, self.steps or context)


class Attention(Streaming):
    """Causal self-attention over [N, T, D] with a window of `context` steps; a stream keeps no more than these."""

    def __init__(self, config: StackConfig, linear: Linear, context: int):
        super().__init__()
        self.heads = config.heads
        self.head_dim = config.dim // config.heads
        self.context = context
        inner = self.heads * self.head_dim
        self.q_proj, self.k_proj, self.v_proj = (linear(config.dim, inner) for _ in range(3))
        self.out_proj = linear(inner, config.dim)

    def forward(
        self, x: Tensor, angles: Tensor | None, visible: Tensor | None, state: State | None, both_ways: int = 0
    ) -> Tensor:
        batch, steps, _ = x.shape
        past: Past | None = state.get(self) if state is not None else None
        first = past.steps if past else 0
        q, k, v = (
            apply_linear(proj, x, first).view(batch, steps, self.heads, self.head_dim).transpose(1, 2)
            for proj in (self.q_proj, self.k_proj, self.v_proj)
        )
        if angles is not None:
            q, k = partial_rotary(q, angles), partial_rotary(k, angles)
        if past is not None:
            k, v = torch.cat([past.keys.to(k), k], 2), torch.cat([past.values.to(v), v], 2)
        if state is not None:
            limit, dtype = self.context, None
            if isinstance(state, Caches):
                limit, dtype = state.limit(limit), state.dtype
            last = slice(k.shape[2] - min(k.shape[2], limit - 1), None)
            state[self] = Past(k[:, :, last].to(dtype or k.dtype), v[:, :, last].to(dtype or v.dtype), first + steps)
        y = self._attend(q, k, v, visible, both_ways).transpose(1, 2).reshape(batch, steps, self.heads * self.head_dim)
        return apply_linear(self.out_proj, y, first)

    def _attend(self, q: Tensor, k: Tensor, v: Tensor, visible: Tensor | None, both_ways: int) -> Tensor:
        steps, keys = q.shape[2], k.shape[2]
        if visible is None and steps == keys <= self.context:
            return F.scaled_dot_product_attention(q, k, v, is_causal=True)
        if visible is None and steps == 1 and keys <= self.context:
            return F.scaled_dot_product_attention(q, k, v)
        query = torch.arange(keys - steps, keys, device=q.device)[:, None]
        key = torch.arange(keys, device=q.device)[None]
        mask = ((key <= query) | (key < both_ways) & (query < both_ways)) & (query - key < self.context)
        if visible is not None:
            # a step always sees itself: a row of nothing would be no number
            mask = (mask & visible[:, None, None, -keys:]) | (key == query)
        return F.scaled_dot_product_attention(q, k, v, attn_mask=mask)


class GatedFeedForward(nn.Module):
    """W2(silu(W1 x) * W3 x) (Shazeer 2020, arXiv 2002.05202). Names as in J.O.S.I.E. v4o (Gülmez 2025)."""

    def __init__(self, config: StackConfig, linear: Linear):
        super().__init__()
        self.linear1 = linear(config.dim, config.hidden)
        self.linear2 = linear(config.hidden, config.dim)
        self.linear3 = linear(config.dim, config.hidden)

    def forward(self, x: Tensor, first: int) -> Tensor:
        gate = F.silu(apply_linear(self.linear1, x, first))
        return apply_linear(self.linear2, gate * apply_linear(self.linear3, x, first), first)


class Block(Streaming):
    """Attention, then feed-forward, each on a normalised input and added to it."""

    def __init__(self, config: StackConfig, linear: Linear, context: int):
        super().__init__()
        self.attention = Attention(config, linear, context)
        self.feed_forward = GatedFeedForward(config, linear)
        self.attention_norm = make_norm(config)
        self.mlp_norm = make_norm(config)
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self,
        x: Tensor,
        angles: Tensor | None,
        visible: Tensor | None,
        state: State | None,
        first: int,
        both_ways: int = 0,
    ) -> Tensor:
        x = x + self.dropout(self.attention(self.attention_norm(x), angles, visible, state, both_ways))
        return x + self.dropout(self.feed_forward(self.mlp_norm(x), first))


class Stack(Streaming):
    """Causal transformer blocks and a norm: [N, T, D] -> [N, T, D].

    Args:
        config: of the blocks.
        context: steps that a step can look back, itself included.
        linear: makes the matrices; `plain_linear`, or one that makes `StepLinear`s.
    """

    def __init__(self, config: StackConfig, context: int, linear: Linear = plain_linear):
        super().__init__()
        self.config = config
        self.input_norm = make_norm(config) if config.input_norm else nn.Identity()
        self.layers = nn.ModuleList(Block(config, linear, context) for _ in range(config.layers))
        self.norm = make_norm(config)
        self.final_norm = make_norm(config) if config.final_norm else nn.Identity()

    def forward(
        self,
        x: Tensor,
        positions: Tensor,
        state: State | None = None,
        first: int = 0,
        visible: Tensor | None = None,
        both_ways: int = 0,
    ) -> Tensor:
        """Run over a sequence, or over the next steps of a stream.

        Args:
            x: [N, T, D].
            positions: [T], or [N, T] where the rows differ; any unit, they need not be whole.
            state: the stream's memory; None for a whole sequence.
            first: index of the first step, for weights that differ from step to step.
            visible: bool [N, all steps so far], False for padding that nobody looks at; None for no padding.
            both_ways: first steps of a sequence that see each other in both directions; with `visible`.
        """
        angles = self._angles(positions) if self.config.rotary else None
        x = self.input_norm(x)
        if self.config.added_positions:
            x = x + added_positions(positions, x.shape[-1], self.config.theta).to(x)
        for layer in self.layers:
            x = layer(x, angles, visible, state, first, both_ways)
        return self.final_norm(self.norm(x))

    def _angles(self, positions: Tensor) -> Tensor:
        channels = self.config.dim // self.config.heads // 2 * 2
        angles = rotary_angles(positions.reshape(-1), channels, self.config.theta)
        return angles.view(-1, 1, positions.shape[-1], channels // 2)

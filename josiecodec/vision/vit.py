"""A vision transformer over groups of pictures: attention inside each, and to the same place in earlier ones.

After the published architecture of J.O.S.I.E. v4o (Gülmez 2025): spatiotemporal patch embedding, multimodal rotary
embedding, intra-frame and inter-frame attention. Positions are (t, h, w). As published, the three axes share
one row of rotary frequencies, of which time gets the highest ("chunked" M-RoPE); with theta 500000 the slowest turn of
the width axis then takes some 20,000 patches, so that neighbours look alike. By default each axis has a whole row of
its own instead.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..nn.convnext2d import merge, unmerge
from ..nn.linear import RowStableLinear
from ..nn.rotary import apply_rotary
from ..nn.streaming import State, Streaming
from ..nn.transformer import RMSNorm
from .config import VitConfig


def rotary_table(positions: tuple[Tensor, ...], dim: int, theta: float, chunked: bool) -> Tensor:
    """Angles [..., dim / 2] for positions (t, h, w), tensors of one shape."""
    pairs = dim // 2
    if chunked:
        frequency = theta ** (-torch.arange(pairs, device=positions[0].device) / pairs)
        share = [pairs // 4, (pairs - pairs // 4) // 2]
        axis = torch.arange(pairs, device=positions[0].device)
        which = (axis >= share[0]).long() + (axis >= share[0] + share[1]).long()
        position = torch.stack(positions, -1).float()[..., which]
        return position * frequency
    third = pairs // 3
    counts = (pairs - 2 * third, third, third)
    parts = []
    for position, count in zip(positions, counts):
        frequency = theta ** (-torch.arange(count, device=positions[0].device) / max(count, 1))
        parts.append(position.float().unsqueeze(-1) * frequency)
    return torch.cat(parts, -1)


class Attention(nn.Module):
    """Multi-head attention of queries [N, Q, C] to keys and values [N, K, C], both already rotated outside."""

    def __init__(self, config: VitConfig):
        super().__init__()
        self.heads = config.heads
        self.qkv = RowStableLinear(config.channels, 3 * config.channels, bias=False)
        self.out = RowStableLinear(config.channels, config.channels, bias=False)

    def project(self, x: Tensor, angles: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """[N, L, C] and angles [N or 1, L, d / 2] -> rotated q and k, and v, each [N, heads, L, d]."""
        n, length, channels = x.shape
        q, k, v = self.qkv(x).view(n, length, 3, self.heads, channels // self.heads).permute(2, 0, 3, 1, 4)
        angles = angles.unsqueeze(1)
        return apply_rotary(q, angles), apply_rotary(k, angles), v

    def attend(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
        """[N, heads, Q, d] and [N, heads, K, d] -> [N, Q, C]."""
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        return self.out(y.transpose(1, 2).flatten(2))


class VitBlock(Streaming):
    """Attention inside pictures, attention to earlier pictures, feed-forward; each added to its input."""

    def __init__(self, config: VitConfig):
        super().__init__()
        self.config = config
        self.norms = nn.ModuleList(RMSNorm(config.channels) for _ in range(3))
        self.inside = Attention(config)
        self.earlier = Attention(config)
        self.linear1 = RowStableLinear(config.channels, config.hidden, bias=False)
        self.linear2 = RowStableLinear(config.hidden, config.channels, bias=False)

    def forward(self, x: Tensor, angles: Tensor, state: State | None = None) -> Tensor:
        """[B, G, h, w, C] with angles [G, h, w, d / 2]."""
        x = x + self._inside(self.norms[0](x), angles)
        x = x + self._earlier(self.norms[1](x), angles, state)
        return x + self.linear2(F.silu(self.linear1(self.norms[2](x))))

    def _inside(self, x: Tensor, angles: Tensor) -> Tensor:
        b, h, w = x.shape[0], x.shape[2], x.shape[3]
        size = self.config.window
        if not size or max(h, w) <= size:
            size = max(h, w)
        rows = []
        for i in range(0, h, size):
            row = []
            for j in range(0, w, size):
                part = x[:, :, i : i + size, j : j + size]
                turn = angles[:, i : i + size, j : j + size].flatten(1, 2).repeat(b, 1, 1)
                y = self.inside.attend(*self.inside.project(part.flatten(2, 3).flatten(0, 1), turn))
                row.append(y.view(part.shape))
            rows.append(torch.cat(row, 3))
        return torch.cat(rows, 2)

    def _earlier(self, x: Tensor, angles: Tensor, state: State | None) -> Tensor:
        b, g, h, w, c = x.shape
        flat = x.permute(0, 2, 3, 1, 4).reshape(b * h * w, g, c)
        turn = angles.permute(1, 2, 0, 3).reshape(h * w, g, -1).repeat(b, 1, 1)
        q, k, v = self.earlier.project(flat, turn)
        past = state.get(self) if state is not None else None
        if past is not None:
            k, v = torch.cat([past[0], k], 2), torch.cat([past[1], v], 2)
        if state is not None:
            keep = self.config.max_frames - 1
            state[self] = (k[:, :, max(0, k.shape[2] - keep) :], v[:, :, max(0, v.shape[2] - keep) :])
        here = torch.arange(k.shape[2] - g, k.shape[2], device=x.device)[:, None]
        there = torch.arange(k.shape[2], device=x.device)
        mask = (there <= here) & (here - there < self.config.max_frames)
        y = self.earlier.attend(q, k, v, mask)
        return y.view(b, h, w, g, c).permute(0, 3, 1, 2, 4)


class _Stack(Streaming):
    """Blocks and a final norm, with positions counted on from chunk to chunk of a stream."""

    def __init__(self, config: VitConfig):
        super().__init__()
        self.config = config
        self.blocks = nn.ModuleList(VitBlock(config) for _ in range(config.layers))
        self.norm = RMSNorm(config.channels)

    def forward(self, x: Tensor, state: State | None = None) -> Tensor:
        _, g, h, w, _ = x.shape
        first = (state.get(self) or 0) if state is not None else 0
        if state is not None:
            state[self] = first + g
        t, y, z = (torch.arange(n, device=x.device) for n in (g, h, w))
        positions = tuple(torch.meshgrid(t + first, y, z, indexing="ij"))
        c = self.config
        angles = rotary_table(positions, c.channels // c.heads, c.theta, c.chunked)
        for block in self.blocks:
            x = block(x, angles, state)
        return self.norm(x)


class VitEncoder(Streaming):
    """Groups [B, G, 6, H, W] (pixels in [0, 1]) -> latents [B, G, H/patch, W/patch, dim]."""

    def __init__(self, dim: int, patch: int, config: VitConfig):
        super().__init__()
        self.patch = patch
        self.patch_embedding = RowStableLinear(6 * patch * patch, config.channels)
        self.transformer = _Stack(config)
        self.output_proj = RowStableLinear(config.channels, dim)

    def forward(self, x: Tensor, state: State | None = None) -> Tensor:
        b, g = x.shape[:2]
        flat = x.flatten(0, 1).permute(0, 2, 3, 1)
        flat = torch.cat([flat[..., :3] - 0.5, flat[..., 3:]], -1)
        y = self.patch_embedding(merge(flat, self.patch))
        return self.output_proj(self.transformer(y.view(b, g, *y.shape[1:]), state))


class VitDecoder(Streaming):
    """Latents [B, G, h, w, dim] and levels of each patch [B, G, h, w] -> groups [B, G, 6, h*patch, w*patch]."""

    def __init__(self, dim: int, patch: int, levels: int, config: VitConfig):
        super().__init__()
        self.patch = patch
        self.input_proj = RowStableLinear(dim, config.channels)
        self.level_embedding = nn.Embedding(levels + 1, config.channels)
        self.transformer = _Stack(config)
        self.output_proj = RowStableLinear(config.channels, 6 * patch * patch)

    def forward(self, z: Tensor, counts: Tensor, state: State | None = None) -> Tensor:
        b, g = z.shape[:2]
        y = self.transformer(self.input_proj(z) + self.level_embedding(counts), state)
        y = unmerge(self.output_proj(y).flatten(0, 1), self.patch)
        y = torch.cat([y[..., :3] + 0.5, y[..., 3:]], -1).permute(0, 3, 1, 2)
        return y.reshape(b, g, *y.shape[1:])

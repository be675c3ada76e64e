"""The blocks of a voice: attention over short vectors, and convolution by channel, of sequences that may be padded."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from josiecodec.hearing.latent_attention import LatentAttention

from .config import VoiceConfig


class ConvolutionBlock(nn.Module):
    """Convolution of every channel by itself, norm, a wider layer, and back, added to its input: [B, T, D]."""

    def __init__(self, dim: int, config: VoiceConfig):
        super().__init__()
        self.depthwise = nn.Conv1d(dim, dim, config.kernel, padding=config.kernel // 2, groups=dim)
        self.norm = nn.LayerNorm(dim)
        self.linear1 = nn.Linear(dim, config.expansion * dim)
        self.linear2 = nn.Linear(config.expansion * dim, dim)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, keep: Tensor) -> Tensor:
        """`keep` [B, T, 1] is 0 where a sequence is padded."""
        y = self.depthwise((x * keep).transpose(1, 2)).transpose(1, 2)
        return x + self.dropout(self.linear2(F.gelu(self.linear1(self.norm(y)))))


class FFTBlock(nn.Module):
    """A feed-forward transformer block (Ren et al. 2019, arXiv 1905.09263): attention, then convolution: [B, T, D].

    Its attention is `LatentAttention`, with rotary positions.
    """

    def __init__(self, dim: int, config: VoiceConfig):
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.attn = LatentAttention(dim, config.heads, config.rank, config.context, causal=False)
        self.dropout = nn.Dropout(config.dropout)
        self.conv = ConvolutionBlock(dim, config)

    def forward(self, x: Tensor, keep: Tensor) -> Tensor:
        """`keep` [B, T, 1] is 0 where a sequence is padded."""
        x = x + self.dropout(self.attn(self.norm(x), keep=keep[..., 0] > 0))
        return self.conv(x, keep)


class Predictor(nn.Module):
    """Two convolutions and a linear layer: [B, T, D] -> [B, T, outputs]."""

    def __init__(self, dim: int, outputs: int, dropout: float = 0.2):
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv1d(dim, dim, 3, padding=1) for _ in range(2))
        self.norms = nn.ModuleList(nn.LayerNorm(dim) for _ in range(2))
        self.dropout = nn.Dropout(dropout)
        self.out = nn.Linear(dim, outputs)

    def forward(self, x: Tensor, keep: Tensor) -> Tensor:
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = self.dropout(norm(F.relu(conv((x * keep).transpose(1, 2)).transpose(1, 2))))
        out: Tensor = self.out(x)
        return out

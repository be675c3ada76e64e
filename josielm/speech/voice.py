"""A voice: symbols to the latents that the codec quantizes, 12.5 a second."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from .adaptor import STEP_SECONDS, Variance, VarianceAdaptor, spread
from .blocks import ConvolutionBlock, FFTBlock
from .config import STEPS, VoiceConfig


class Voice(nn.Module):
    """Symbols -> FFT blocks -> variance adaptor -> convolutions on 20 ms steps -> FFT blocks on frames -> latents."""

    latent_mean: Tensor
    latent_scale: Tensor

    def __init__(self, config: VoiceConfig | None = None):
        super().__init__()
        self.config = config = config or VoiceConfig()
        self.symbols = nn.Embedding(len(config.symbols), config.dim)
        self.text_blocks = nn.ModuleList(FFTBlock(config.dim, config) for _ in range(config.text_layers))
        self.text_norm = nn.LayerNorm(config.dim)
        self.adaptor = VarianceAdaptor(config)
        self.to_steps = nn.Linear(config.dim, config.step_dim)
        self.place = nn.Linear(3, config.step_dim)
        self.step_blocks = nn.ModuleList(ConvolutionBlock(config.step_dim, config) for _ in range(config.step_layers))
        self.to_frames = nn.Linear(STEPS * config.step_dim, config.frame_dim)
        self.frame_blocks = nn.ModuleList(FFTBlock(config.frame_dim, config) for _ in range(config.frame_layers))
        self.frame_norm = nn.LayerNorm(config.frame_dim)
        self.out = nn.Linear(config.frame_dim, config.latent)
        self.register_buffer("latent_mean", torch.zeros(config.latent))
        self.register_buffer("latent_scale", torch.ones(config.latent))

    def encode(self, ids: Tensor, keep: Tensor) -> Tensor:
        """Symbols int64 [B, L], of which `keep` [B, L, 1] are, -> [B, L, dim]."""
        x = self.symbols(ids)
        for block in self.text_blocks:
            x = block(x, keep)
        y: Tensor = self.text_norm(x)
        return y

    def decode(self, x: Tensor, variance: Variance, keep: Tensor, frames: int) -> Tensor:
        """Encoded symbols, spoken so, -> latents [B, frames, semantic + acoustic] (float32)."""
        x = self.adaptor(x, variance, keep)
        shares, where = spread(variance.seconds * keep[..., 0], frames * STEPS)
        y = shares.to(x.dtype) @ self.to_steps(x) + self.place(where.to(x.dtype))
        covered = shares.sum(-1, keepdim=True).clamp(max=1).to(x.dtype)
        for block in self.step_blocks:
            y = block(y, covered)
        y = self.to_frames(y.reshape(len(y), frames, -1))
        kept = (covered.reshape(len(y), frames, STEPS).amax(-1, keepdim=True) > 0).to(x.dtype)
        for block in self.frame_blocks:
            y = block(y, kept)
        return self.out(self.frame_norm(y)).float() * self.latent_scale + self.latent_mean

    @torch.inference_mode()
    def speak(self, ids: Tensor, speed: float = 1.0, pitch: float = 0.0) -> tuple[Tensor, Variance]:
        """One sentence.

        Args:
            ids: symbols, int64 [L].
            speed: 2 is twice as fast.
            pitch: semitones higher.

        Returns:
            latents [F, semantic + acoustic], and how its symbols are spoken.
        """
        keep = torch.ones(1, len(ids), 1)
        x = self.encode(ids[None], keep)
        variance = self.adaptor.variance(self.adaptor.predict(x, keep))
        variance.seconds = variance.seconds / speed
        variance.pitch = variance.pitch + pitch / 12
        frames = max(1, math.ceil(float(variance.seconds.sum()) / STEP_SECONDS / STEPS))
        return self.decode(x, variance, keep, frames)[0], variance

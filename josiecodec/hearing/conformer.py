"""A conformer (Gulati et al. 2020, arXiv 2005.08100) that hears letters, 50 times a second.

Its attention is `LatentAttention`. The causal form hears a stream: what it says of a frame it says `delay` frames
later, and a recording as a whole gives the very numbers of a stream.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import ConfigError
from ..nn.streaming import State, Streaming, with_past
from .latent_attention import LatentAttention
from .mel import BANDS, HOP, SAMPLE_RATE, LogMel

STEP = 2 * HOP  # samples of a frame of the conformer: 20 ms
FRAME_RATE = SAMPLE_RATE // STEP
CHUNK = 500  # frames that long recordings are heard in at a time


@dataclass(frozen=True)
class ConformerConfig:
    """A conformer.

    Attributes:
        kind: "conformer".
        letters: what can be heard, one character each, first of all " ", which is silence.
        languages: codes like "en", each with a vector of its own.
        dim, layers, heads: of the blocks.
        expansion: how much wider than them feed-forward layers are inside.
        rank: of the attention's short vectors.
        kernel: frames that the convolution of a block sees, odd.
        context: frames that attention sees at most.
        causal: whether streams can be heard.
        delay: frames by which a causal conformer answers later; 0 without `causal`.
    """

    kind: Literal["conformer"] = "conformer"
    letters: str = " abcdefghijklmnopqrstuvwxyz'"
    languages: tuple[str, ...] = ("de", "en", "nl", "zh")
    dim: int = 128
    layers: int = 3
    heads: int = 2
    expansion: int = 2
    rank: int = 64
    kernel: int = 31
    context: int = 100
    causal: bool = True
    delay: int = 12

    def __post_init__(self) -> None:
        if self.heads < 1 or self.dim % (2 * self.heads):
            raise ConfigError("conformer: dim must be a multiple of twice the heads")
        if not all(1 <= n <= 4096 for n in (self.dim, self.layers, self.rank, self.context, self.expansion)):
            raise ConfigError("conformer: dim, layers, rank, context and expansion are 1 to 4096")
        if not 1 <= self.kernel <= 999 or self.kernel % 2 == 0:
            raise ConfigError("conformer: kernel is an odd number from 1 to 999")
        if not 0 <= self.delay <= 500 or (self.delay and not self.causal):
            raise ConfigError("conformer: delay is 0 to 500 frames, and 0 without causal")
        if self.letters[:1] != " " or len(set(self.letters)) != len(self.letters) or not self.languages:
            raise ConfigError("conformer: letters are different characters, the first a space; languages at least one")


PRESETS = {
    "align": ConformerConfig(),
    # The sizes that are printed: "Audio Encoder" of J.O.S.I.E. (Gülmez 2025); its front end is another one.
    "printed": ConformerConfig(dim=1024, layers=6, heads=16, expansion=4, rank=256, causal=False, delay=0),
}


class FeedForward(nn.Module):
    """Norm, a wider layer, SiLU, and back: [B, T, D] -> [B, T, D]."""

    def __init__(self, dim: int, expansion: int):
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.linear1 = nn.Linear(dim, expansion * dim)
        self.linear2 = nn.Linear(expansion * dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear2(F.silu(self.linear1(self.norm(x))))


class ConvolutionModule(Streaming):
    """Norm, gate, convolution of every channel by itself, norm, SiLU, mixing: [B, T, D] -> [B, T, D].

    The second norm is over channels where the original's is over the batch, so that no statistics are kept.
    """

    def __init__(self, config: ConformerConfig):
        super().__init__()
        self.causal, self.kernel = config.causal, config.kernel
        self.norm = nn.LayerNorm(config.dim)
        self.pointwise1 = nn.Linear(config.dim, 2 * config.dim)
        self.depthwise = nn.Conv1d(config.dim, config.dim, config.kernel, groups=config.dim)
        self.depth_norm = nn.LayerNorm(config.dim)
        self.pointwise2 = nn.Linear(config.dim, config.dim)

    def forward(self, x: Tensor, state: State | None = None) -> Tensor:
        y = F.glu(self.pointwise1(self.norm(x)), -1).transpose(1, 2)
        if self.causal:
            y = with_past(self, y, self.kernel - 1, 2, state)
        else:
            y = F.pad(y, (self.kernel // 2, self.kernel // 2))
        y = self.depthwise(y).transpose(1, 2)
        return self.pointwise2(F.silu(self.depth_norm(y)))


class ConformerBlock(Streaming):
    """Half a feed-forward layer, attention, convolution, half a feed-forward layer, norm."""

    def __init__(self, config: ConformerConfig):
        super().__init__()
        self.ff1 = FeedForward(config.dim, config.expansion)
        self.attn_norm = nn.LayerNorm(config.dim)
        self.attn = LatentAttention(config.dim, config.heads, config.rank, config.context, config.causal)
        self.conv = ConvolutionModule(config)
        self.ff2 = FeedForward(config.dim, config.expansion)
        self.norm = nn.LayerNorm(config.dim)

    def forward(self, x: Tensor, state: State | None = None) -> Tensor:
        x = x + 0.5 * self.ff1(x)
        x = x + self.attn(self.attn_norm(x), state)
        x = x + self.conv(x, state)
        x = x + 0.5 * self.ff2(x)
        return self.norm(x)


class Conformer(Streaming):
    """Mel bands to two answers a frame: the letter that sounds, and that of CTC, whose last symbol is the blank."""

    band_mean: Tensor
    band_scale: Tensor

    def __init__(self, config: ConformerConfig | None = None):
        super().__init__()
        self.config = config = config or ConformerConfig()
        self.mel = LogMel()
        self.register_buffer("band_mean", torch.full((BANDS,), -7.0))
        self.register_buffer("band_scale", torch.full((BANDS,), 3.0))
        self.front = nn.Conv1d(BANDS, config.dim, 4, 2)
        self.front_norm = nn.LayerNorm(config.dim)
        self.language = nn.Embedding(len(config.languages), config.dim)
        self.blocks = nn.ModuleList(ConformerBlock(config) for _ in range(config.layers))
        self.frame_head = nn.Linear(config.dim, len(config.letters))
        self.ctc_head = nn.Linear(config.dim, len(config.letters) + 1)

    def forward(self, mel: Tensor, language: Tensor, state: State | None = None) -> tuple[Tensor, Tensor]:
        """Answers to bands.

        Args:
            mel: logarithms [B, 80, T] of `LogMel`, T even.
            language: which one of the configuration's it is, int64 [B].
            state: of the stream.

        Returns:
            logits [B, T / 2, letters] and [B, T / 2, letters + 1]; frame t of them answers frame t - delay.
        """
        x = (mel - self.band_mean[:, None]) / self.band_scale[:, None]
        x = with_past(self, x, 2, 2, state)
        x = self.front_norm(self.front(x).transpose(1, 2)) + self.language(language)[:, None]
        for block in self.blocks:
            x = block(x, state)
        return self.frame_head(x), self.ctc_head(x)

    @torch.inference_mode()
    def stream(self, chunks: Iterator[Tensor], language: str) -> Iterator[tuple[Tensor, Tensor]]:
        """Log-probabilities [n, letters] and [n, letters + 1] of a mono recording in chunks [n] at 16 kHz.

        The last frame, of less than 20 ms perhaps, is filled up with silence, and what the delay holds back comes last.
        """
        which = torch.tensor([self.config.languages.index(language)])
        state, waiting, skip, samples, given = State(), torch.zeros(0), self.config.delay, 0, 0
        for chunk in _with_end(chunks):
            if chunk is None:
                missing = (-samples) % STEP + self.config.delay * STEP
                chunk = torch.zeros(missing)
            else:
                samples += len(chunk)
            waiting = torch.cat([waiting, chunk])
            whole = len(waiting) // STEP * STEP
            for part in waiting[:whole].split(CHUNK * STEP) if whole else ():
                answers = self(self.mel(part[None], state), which, state)
                frames, ctc = (x[0, skip:].float().log_softmax(-1) for x in answers)
                skip = max(0, skip - len(part) // STEP)
                given += len(frames)
                yield frames, ctc
            waiting = waiting[whole:]

    def hear(self, wave: Tensor, language: str) -> tuple[Tensor, Tensor]:
        """Log-probabilities [F, letters] and [F, letters + 1] of a waveform [T] at 16 kHz; F is T / 320, rounded up."""
        if not self.config.causal:
            wave = F.pad(wave, (0, -len(wave) % STEP))
            with torch.inference_mode():
                answers = self(self.mel(wave[None]), torch.tensor([self.config.languages.index(language)]))
            frames, ctc = (x[0].float().log_softmax(-1) for x in answers)
            return frames, ctc
        parts = list(self.stream(iter([wave]), language))
        return torch.cat([a for a, _ in parts]), torch.cat([b for _, b in parts])


def _with_end(chunks: Iterator[Tensor]) -> Iterator[Tensor | None]:
    yield from chunks
    yield None

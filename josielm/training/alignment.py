"""When each symbol of a text is spoken, found while a small network learns what symbols sound like.

Monotonic alignment search (Kim et al. 2020, Glow-TTS, arXiv 2005.11129) over the likelihood of mel bands.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from josiecodec.errors import CodecError
from josiecodec.hearing.mel import BANDS

from ..speech.blocks import FFTBlock
from ..speech.config import VoiceConfig

Report = Callable[[str], None]
Scores = np.ndarray
MAX_CELLS = 1 << 27  # of a batch: symbols times frames


def best_alignment(scores: Tensor, symbols: Tensor, frames: Tensor) -> Tensor:
    """The way of greatest sum through tables of scores: frames are given to symbols in order, at least one to each.

    Args:
        scores: float32 [B, L, T].
        symbols, frames: how many of them each item has, int64 [B].

    Returns:
        frames of each symbol, int64 [B, L]; 0 beyond an item's symbols.

    Raises:
        ValueError: if an item has fewer frames than symbols, none of them, or the tables are too large.
    """
    batch, length, steps = scores.shape
    if batch * length * steps > MAX_CELLS:
        raise ValueError("too long to be aligned")
    if bool((symbols > frames).any()) or bool((symbols < 1).any()):
        raise ValueError("an item has no symbols, or fewer frames than symbols")
    low = torch.finfo(torch.float32).min / 4
    best = torch.full((batch, length), low, device=scores.device)
    moved = torch.zeros(steps, batch, length, dtype=torch.bool, device=scores.device)
    best[:, 0] = scores[:, 0, 0]
    for t in range(1, steps):
        before = torch.cat([torch.full_like(best[:, :1], low), best[:, :-1]], 1)
        moved[t] = before > best
        best = torch.maximum(best, before) + scores[:, :, t]
    rows = torch.arange(batch, device=scores.device)
    at = symbols - 1
    counts = torch.zeros(batch, length, dtype=torch.long, device=scores.device)
    for t in range(steps - 1, -1, -1):
        inside = frames > t
        counts[rows, at] += inside
        at = at - (moved[t, rows, at] & inside).long()
    return counts


@dataclass
class Clip:
    """A recording whose symbols are known, but not when they are spoken.

    Attributes:
        ids: symbols, int64 [L].
        bands: mean of two frames of `LogMel`, 50 a second, float32 [T, 80].
    """

    ids: Tensor
    bands: Tensor


class SymbolBands(nn.Module):
    """What symbols sound like: symbols in their context -> mean of their mel bands."""

    def __init__(self, symbols: int):
        super().__init__()
        config = replace(VoiceConfig(), dim=128, heads=4, rank=48, kernel=5, expansion=2, dropout=0.1)
        self.symbols = nn.Embedding(symbols, config.dim)
        self.blocks = nn.ModuleList(FFTBlock(config.dim, config) for _ in range(2))
        self.norm = nn.LayerNorm(config.dim)
        self.head = nn.Linear(config.dim, BANDS)

    def forward(self, ids: Tensor, keep: Tensor) -> Tensor:
        """Symbols int64 [B, L], of which `keep` [B, L, 1] are, -> bands [B, L, 80], in deviations from the mean."""
        x = self.symbols(ids)
        for block in self.blocks:
            x = block(x, keep)
        y: Tensor = self.head(self.norm(x))
        return y


def align_clips(
    clips: list[Clip],
    symbols: int,
    minutes: float,
    seed: int = 0,
    report: Report = lambda line: None,
    frames: int = 3000,
) -> list[Tensor]:
    """Frames (of 20 ms) of each symbol of each clip, int64 [L], after so many minutes of processor time.

    The network begins with symbols spread evenly, and from then on learns from what it aligns itself.

    Raises:
        CodecError: if a clip has fewer frames than symbols.
    """
    if any(len(clip.ids) > len(clip.bands) for clip in clips):
        raise CodecError("a clip is too short for its text")
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    network = SymbolBands(symbols)
    everything = torch.cat([clip.bands for clip in clips])
    mean, scale = everything.mean(0), everything.std(0).clamp(min=1e-2)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3, betas=(0.9, 0.98), weight_decay=0.01)
    order = sorted(range(len(clips)), key=lambda i: len(clips[i].bands))
    begun, step, recent = time.process_time(), 0, math.nan
    network.train()
    while (done := (time.process_time() - begun) / 60 / minutes) < 1:
        start = int(rng.integers(len(order)))
        rows: list[int] = []
        longest = 0
        for i in order[start:]:
            longest = max(longest, len(clips[i].bands))
            if rows and longest * (len(rows) + 1) > frames:
                break
            rows.append(i)
        batch = [clips[i] for i in rows]
        ids, keep, bands, counts = _padded(batch, mean, scale)
        got = network(ids, keep)
        spent = _even(counts) if done < 0.03 else best_alignment(_scores(got.detach(), bands), *counts)
        wanted, weights = _means(bands, spent)
        # Of each frame, its symbol's bands: squared error, but for what does not depend on the network.
        loss = ((got - wanted).square().mean(-1) * weights).sum() / weights.sum()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        for group in optimizer.param_groups:
            group["lr"] = 1e-3 * min(1, (step + 1) / 50) * (0.05 + 0.95 * (1 + math.cos(math.pi * done)) / 2)
        optimizer.step()
        recent = float(loss.detach()) if step == 0 else 0.95 * recent + 0.05 * float(loss.detach())
        if step % 100 == 0:
            report(f"alignment {done:4.0%} step {step} error {recent:.3f}")
        step += 1
    network.eval()
    out = []
    with torch.inference_mode():
        for clip in clips:
            ids, keep, bands, counts = _padded([clip], mean, scale)
            out.append(best_alignment(_scores(network(ids, keep), bands), *counts)[0])
    return out


def _padded(batch: list[Clip], mean: Tensor, scale: Tensor) -> tuple[Tensor, Tensor, Tensor, tuple[Tensor, Tensor]]:
    pad = torch.nn.utils.rnn.pad_sequence
    ids = pad([clip.ids for clip in batch], True)
    keep = pad([torch.ones(len(clip.ids), 1) for clip in batch], True)
    bands = pad([(clip.bands - mean) / scale for clip in batch], True)
    counts = torch.tensor([len(clip.ids) for clip in batch]), torch.tensor([len(clip.bands) for clip in batch])
    return ids, keep, bands, counts


def _scores(got: Tensor, bands: Tensor) -> Tensor:
    """Logarithms of likelihoods [B, L, T] but for constants: bands around `got` with deviation 1."""
    cross = got @ bands.transpose(1, 2)
    return cross - 0.5 * got.square().sum(-1, keepdim=True)


def _even(counts: tuple[Tensor, Tensor]) -> Tensor:
    """Frames spread evenly over symbols, int64 [B, L]."""
    symbols, frames = counts
    ends = torch.arange(1, int(symbols.max()) + 1)[None] * frames[:, None] // symbols[:, None]
    ends = torch.minimum(ends, frames[:, None])
    return torch.diff(ends, dim=1, prepend=torch.zeros(len(ends), 1, dtype=torch.long))


def _means(bands: Tensor, spent: Tensor) -> tuple[Tensor, Tensor]:
    """Mean bands of each symbol's frames [B, L, 80], and how many frames these are [B, L]."""
    ends = spent.cumsum(1)
    total = torch.nn.functional.pad(bands.cumsum(1), (0, 0, 1, 0))
    at = ends[..., None].expand(-1, -1, bands.shape[-1])
    sums = torch.diff(total.gather(1, at), dim=1, prepend=torch.zeros_like(total[:, :1]))
    return sums / spent.clamp(min=1)[..., None], spent.float()

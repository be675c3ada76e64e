"""Does a level of codes carry what is said? A probe with nothing to learn but counts."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from ...coding.jodio import Jodio
from .data import Recordings
from .phones import PHONES, STEP

Labelled = tuple[Recordings, Tensor]


@torch.no_grad()
def probe_levels(codec: Jodio, learn: Labelled, judge: Labelled, levels: int = 3) -> dict[str, float]:
    """How well one code of a level tells the phone of its frame, on voices that were not counted.

    On the recordings of `learn` the phones are counted that go with each code; on those of `judge` the most
    frequent phone is the guess. Silence is left out.

    Args:
        codec: the model.
        learn, judge: recordings and their labels, as `phones.load_phones` gives them.
        levels: how many levels to ask, one at a time.

    Returns:
        `majority` (the accuracy of always guessing the same phone) and for each level `accuracy/k` and
        `information/k` (bits that a code gives about the phone, estimated on `judge`).
    """
    train_codes, train_phones = _pairs(codec, learn, levels)
    valid_codes, valid_phones = _pairs(codec, judge, levels)
    prior = torch.bincount(train_phones, minlength=len(PHONES)).float()
    out = {"frames": float(len(valid_phones)), "majority": float((valid_phones == prior.argmax()).float().mean())}
    prior = prior / prior.sum()
    for level in range(levels):
        counts = torch.zeros(codec.codebook_size, len(PHONES))
        counts.index_put_((train_codes[:, level], train_phones), torch.ones(len(train_phones)), accumulate=True)
        p = counts + 2 * prior  # a few imagined observations, for codes that are rare
        p = p / p.sum(1, keepdim=True)
        guess = p[valid_codes[:, level]]
        out[f"accuracy/{level}"] = float((guess.argmax(1) == valid_phones).float().mean())
        gain = (guess[torch.arange(len(guess)), valid_phones] / prior[valid_phones].clamp_min(1e-6)).log2()
        out[f"information/{level}"] = float(gain.mean())
    return {name: value if math.isfinite(value) else 0.0 for name, value in out.items()}


def _pairs(codec: Jodio, labelled: Labelled, levels: int) -> tuple[Tensor, Tensor]:
    """Codes [N, levels] and phones [N] of all frames with a clear phone."""
    recordings, labels = labelled
    codes, phones = [], []
    device = next(codec.parameters()).device
    per_frame = codec.frame_size // STEP
    for segment in recordings.segments:
        known = labels[segment.start // STEP :][: segment.length // STEP]
        frames = len(known) // per_frame
        if frames == 0 or bool((known == 255).all()):
            continue
        wave = recordings.waveform(segment)[None, None].to(device)
        found = codec.encode(wave, levels)[0, :, :frames].t().cpu()
        shares = F.one_hot(known[: frames * per_frame].long().clamp_max(len(PHONES)), len(PHONES) + 1)
        majority = shares.view(frames, per_frame, -1).sum(1).max(-1)
        clear = (majority.values > per_frame // 2) & (majority.indices > 2) & (majority.indices < len(PHONES))
        codes.append(found[clear])
        phones.append(majority.indices[clear])
    if not codes:
        return torch.zeros(0, levels, dtype=torch.long), torch.zeros(0, dtype=torch.long)
    return torch.cat(codes), torch.cat(phones)

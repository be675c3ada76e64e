"""Training a voice on sentences whose symbols, their times and the codec's latents are known."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
from torch import Tensor

from josiecodec.atomic import write_bytes
from josiecodec.errors import CodecError

from ..speech.adaptor import Variance
from ..speech.voice import Voice

Report = Callable[[str], None]


@dataclass
class Spoken:
    """A sentence as it was spoken.

    Attributes:
        ids: symbols, int64 [L].
        seconds, pitch, voiced, energy: of each, as in `Variance`, float32 [L].
        latents: [F, semantic + acoustic] of the codec, float16.
        usual: seconds and pitch [2, L] as the speaker chooses them; other than the above where speed or pitch of the
            recording were changed.
    """

    ids: Tensor
    seconds: Tensor
    pitch: Tensor
    voiced: Tensor
    energy: Tensor
    latents: Tensor
    usual: Tensor


@dataclass(frozen=True)
class VoiceTraining:
    """Settings of a training.

    Attributes:
        minutes: of processor time.
        frames: of the codec in a step, about.
        lr, end_lr, warmup, weight_decay: of AdamW; the rate falls along a cosine to `end_lr` times `lr`.
        variance: weight of the variance adaptor's losses.
        average: decay of the moving average of the weights, which is what is kept.
        bf16: matrix products in bfloat16.
        seed: of everything random.
    """

    minutes: float = 50.0
    frames: int = 800
    lr: float = 1.5e-3
    end_lr: float = 0.02
    warmup: int = 150
    weight_decay: float = 0.02
    variance: float = 0.15
    average: float = 0.998
    bf16: bool = True
    seed: int = 0


def fit_statistics(voice: Voice, items: list[Spoken]) -> None:
    """Mean and deviation of the latents, and of what the adaptor predicts."""
    latents = torch.cat([item.latents.float() for item in items[:4000]])
    voice.latent_mean.copy_(latents.mean(0))
    voice.latent_scale.copy_(latents.std(0).clamp(min=1e-3))
    seconds = torch.cat([item.usual[0] for item in items]).clamp(min=1e-3).log()
    voiced = torch.cat([item.voiced for item in items])
    pitch = torch.cat([item.usual[1] for item in items])[voiced > 0.5]
    energy = torch.cat([item.energy for item in items])
    if len(pitch) < 2:
        raise CodecError("nothing in these recordings has a pitch: is it speech?")
    for i, x in enumerate((seconds, pitch, voiced, energy)):
        voice.adaptor.centre[i], voice.adaptor.scale[i] = x.mean(), x.std().clamp(min=1e-2)


def batches(items: list[Spoken], frames: int, seed: int) -> Iterator[list[Spoken]]:
    """Batches without end, each of about so many frames, of sentences of about one length."""
    rng = np.random.default_rng(seed)
    while True:
        lengths = np.array([len(item.latents) for item in items]) * rng.uniform(0.9, 1.1, len(items))
        groups: list[list[Spoken]] = [[]]
        longest = 0
        for i in np.argsort(lengths):
            longest = max(longest, len(items[i].latents))
            if groups[-1] and longest * (len(groups[-1]) + 1) > frames:
                groups.append([])
                longest = len(items[i].latents)
            groups[-1].append(items[i])
        for g in rng.permutation(len(groups)):
            yield groups[g]


def losses(voice: Voice, batch: list[Spoken]) -> dict[str, Tensor]:
    """Squared errors of a batch, in shares of the variance: semantic, acoustic, seconds, pitch, voiced, energy."""
    pad = torch.nn.utils.rnn.pad_sequence
    ids = pad([item.ids for item in batch], True)
    keep = pad([torch.ones(len(item.ids), 1) for item in batch], True)
    told = [pad([getattr(i, n) for i in batch], True) for n in ("seconds", "pitch", "voiced", "energy")]
    given = Variance(*told)
    target = pad([item.latents.float() for item in batch], True)
    usual = pad([item.usual.T for item in batch], True)
    frames = torch.tensor([len(item.latents) for item in batch])
    x = voice.encode(ids, keep)
    guess = voice.adaptor.predict(x, keep).float()
    wanted = voice.adaptor.normal(Variance(usual[..., 0], usual[..., 1], given.voiced, given.energy))
    weights = keep * torch.ones(4)
    weights[..., 1] *= given.voiced
    off = ((guess - wanted).square() * weights).sum((0, 1)) / weights.sum((0, 1)).clamp(min=1)
    got = voice.decode(x, given, keep, target.shape[1])
    inside = (torch.arange(target.shape[1])[None] < frames[:, None])[..., None]
    error = ((got - target).square() * inside).sum((0, 1)) / inside.sum()
    parts = [voice.config.semantic, voice.config.acoustic]
    spreads = voice.latent_scale.square().split(parts)
    semantic, acoustic = (e.sum() / s.sum() for e, s in zip(error.split(parts), spreads, strict=True))
    names = ("seconds", "pitch", "voiced", "energy")
    return {"semantic": semantic, "acoustic": acoustic, **dict(zip(names, off.unbind(), strict=True))}


def train_voice(
    voice: Voice,
    items: list[Spoken],
    config: VoiceTraining,
    checkpoint: Path | None = None,
    report: Report = lambda line: None,
) -> list[float]:
    """Train for some minutes of processor time; the voice ends up with the moving average of its weights.

    Args:
        voice: with `fit_statistics` done.
        checkpoint: file to which the average is written from time to time.
        report: called with lines of progress.

    Returns:
        the loss of each step.
    """
    torch.manual_seed(config.seed)
    voice.train()
    decayed = [p for p in voice.parameters() if p.dim() > 1]
    others = [p for p in voice.parameters() if p.dim() <= 1]
    groups = [{"params": decayed, "weight_decay": config.weight_decay}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=config.lr, betas=(0.9, 0.98))
    average = {name: p.detach().clone() for name, p in voice.named_parameters()}
    begun, said, seen, curve = time.process_time(), 0.0, dict[str, float](), list[float]()
    for step, batch in enumerate(batches(items, config.frames, config.seed)):
        done = (time.process_time() - begun) / 60 / config.minutes
        if done >= 1:
            break
        rate = config.end_lr + (1 - config.end_lr) * (1 + math.cos(math.pi * min(done, 1))) / 2
        for group in optimizer.param_groups:
            group["lr"] = config.lr * rate * min(1, (step + 1) / config.warmup)
        with torch.autocast("cpu", torch.bfloat16, enabled=config.bf16):
            parts = losses(voice, batch)
        loss = parts["semantic"] + parts["acoustic"]
        loss = loss + config.variance * (parts["seconds"] + parts["pitch"] + parts["voiced"] + parts["energy"])
        if not torch.isfinite(loss):
            raise CodecError(f"the loss of step {step} is not finite; try a lower rate")
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(voice.parameters(), 1.0)
        optimizer.step()
        decay = min(config.average, (step + 1) / (step + 10))
        with torch.no_grad():
            for name, p in voice.named_parameters():
                average[name].lerp_(p, 1 - decay)
        curve.append(float(loss.detach()))
        for name, value in parts.items():
            seen[name] = 0.95 * seen.get(name, float(value.detach())) + 0.05 * float(value.detach())
        if done - said >= 0.02:
            said = done
            report(f"{done:4.0%} step {step} " + " ".join(f"{name} {value:.3f}" for name, value in seen.items()))
            if checkpoint is not None:
                write_bytes(checkpoint, safetensors.torch.save({**voice.state_dict(), **average}))
    with torch.no_grad():
        for name, p in voice.named_parameters():
            p.copy_(average[name])
    voice.eval()
    return curve

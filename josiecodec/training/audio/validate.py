"""Judging a codec in the course of training, always on the same short excerpts."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ...audio.network import JodioNetwork
from ...coding.jodio import Jodio
from ...media.images import save_image
from ...metrics.audio import mel_distance, pesq, si_sdr, stoi
from ...nn.conv import pad_to_multiple
from ...panels import spectrogram_panels
from ..core.usage import usage_scores
from .data import Recordings


@dataclass(frozen=True)
class Excerpt:
    """A stretch of a validation recording: waveform [T], its voice and its kind."""

    wave: Tensor
    speaker: str
    kind: str


def choose_excerpts(recordings: Recordings, seconds: float = 5.0, max_excerpts: int = 24) -> list[Excerpt]:
    """The first long enough segment of each voice, cut to `seconds`, then second ones, up to `max_excerpts`.

    Segments of 60 % of `seconds` are long enough, or, if there are none, of the median length.
    Speech makes up all but a sixth of them. Nothing is random, so figures can be compared.
    """
    length = round(seconds * recordings.sample_rate)
    enough = min(0.6 * length, sorted(s.length for s in recordings.segments)[len(recordings.segments) // 2])
    by_voice: dict[tuple[str, str], list[Excerpt]] = {}
    for segment in recordings.segments:
        if segment.length >= enough:
            first = max(0, (segment.length - length) // 2)
            wave = recordings.waveform(segment)[first : first + length]
            by_voice.setdefault((segment.kind, segment.speaker), []).append(
                Excerpt(wave, segment.speaker, segment.kind)
            )
    chosen: list[Excerpt] = []
    for speech, quota in ((True, max_excerpts - max_excerpts // 6), (False, max_excerpts // 6)):
        voices = [v for (kind, _), v in by_voice.items() if (kind == "speech") == speech]
        rounds = max((len(v) for v in voices), default=0)
        ordered = [v[i] for i in range(rounds) for v in voices if i < len(v)]
        chosen += ordered[:quota]
    return chosen


CEILING = "unquantised"  # in place of a number of levels


@torch.no_grad()
def unquantised(model: JodioNetwork, wave: Tensor) -> Tensor:
    """What the decoder of the base makes of latents that no codebook has touched: [T] -> [T].

    The ceiling of the autoencoder: no codebooks, and no more levels of the base, can be better.
    """
    x = pad_to_multiple(wave[None, None].to(model.device), model.frame_size)
    z = model.quantizer.bypass(model.latent(x))
    return model.synthesize(z, model.base_levels)[0, 0, : len(wave)].cpu()


@torch.no_grad()
def validate(model: Jodio, excerpts: list[Excerpt], levels: tuple[int, ...] = (1, 3, 5, 9)) -> dict[str, float]:
    """Mean scores of speech excerpts at each number of levels, and how the codebooks are used.

    Keys are like `pesq_wb@9`, `stoi@9`, `mel@9`, `si_sdr@9`, `mel_other@9` (what is not speech),
    `pesq_wb@unquantised` and so on (the ceiling of the base), and, per level, `entropy_bits/0`, `used/0`.
    """
    scores: dict[str, list[float]] = {}
    usage = torch.zeros(max(levels), model.codebook_size)
    device = next(model.parameters()).device
    for excerpt in excerpts:
        codes = model.encode(excerpt.wave[None, None].to(device), max(levels))
        for k in range(max(levels)):
            usage[k] += torch.bincount(codes[0, k].cpu(), minlength=model.codebook_size)
        waves = {str(n): model.decode(codes[:, :n], len(excerpt.wave))[0, 0].cpu() for n in levels}
        for name, decoded in (waves | {CEILING: unquantised(model, excerpt.wave)}).items():
            for measure, value in _judged(decoded.clamp(-1, 1), excerpt, model.sample_rate).items():
                scores.setdefault(f"{measure}@{name}", []).append(value)
    out = {}
    for name, values in scores.items():
        known = [v for v in values if not math.isnan(v)]
        out[name] = round(sum(known) / len(known), 4) if known else math.nan
    return out | usage_scores(usage)


def _judged(decoded: Tensor, excerpt: Excerpt, sample_rate: int) -> dict[str, float]:
    distance = mel_distance(decoded, excerpt.wave, sample_rate)
    if excerpt.kind != "speech":
        return {"mel_other": distance}
    return {
        "mel": distance,
        "pesq_wb": pesq(decoded, excerpt.wave, sample_rate),
        "stoi": stoi(decoded, excerpt.wave, sample_rate),
        "si_sdr": si_sdr(decoded, excerpt.wave),
    }


@torch.no_grad()
def spectrogram_picture(model: Jodio, wave: Tensor, path: str | Path, levels: tuple[int, ...]) -> dict[str, Tensor]:
    """Save a PNG with the mel spectrograms of `wave` [T] and of its decoded selves, with axes, on one scale.

    Returns:
        the waveforms [T] by name, "original" first.
    """
    waves = {"original": wave.cpu()}
    for n in levels:
        codes = model.encode(wave[None, None].to(model.device), n)
        waves[f"n_q {n}"] = model.decode(codes, len(wave))[0, 0].cpu()
    save_image(spectrogram_panels(list(waves.items()), model.sample_rate), path)
    return waves

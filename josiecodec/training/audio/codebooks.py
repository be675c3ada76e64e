"""Placing the acoustic codebooks of a trained audio codec anew, over the latents of whole recordings.

While a codec is trained its codebooks follow a moving encoder, a few hundred vectors a step, and deep levels see only
what few items leave to them. Once the encoder stands still, k-means over all recordings does better: the codes of
level 9 to 31 of an early model were worth nothing until they were placed so.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from ...coding.jodio import Jodio
from ...quantization.beam_search import beam_encode
from ...quantization.rvq import ResidualVectorQuantizer
from .data import Recordings

FRAMES_AT_ONCE = 500
VECTORS_AT_ONCE = 8192


@torch.no_grad()
def collect_latents(
    model: Jodio, recordings: Recordings, gain_db: tuple[float, ...], max_latents: int | None = None, seed: int = 0
) -> Tensor:
    """Latents [N, D] of all recordings, each made louder or softer by a random gain as in training.

    With more than `max_latents` of them, so many at even distances.
    """
    random = torch.Generator().manual_seed(seed)
    model = model.eval()
    found = []
    for segment in recordings.segments:
        frames = segment.length // model.frame_size
        if frames < 4:
            continue
        low, high = gain_db
        gain = 10 ** ((float(torch.rand((), generator=random)) * (high - low) + low) / 20)
        wave = recordings.waveform(segment)[: frames * model.frame_size]
        wave = wave * min(gain, 0.99 / max(float(wave.abs().max()), 1e-3))
        for part in wave.split(FRAMES_AT_ONCE * model.frame_size):
            found.append(model.latent(part[None, None].to(model.device))[0].float())
    latents = torch.cat(found)
    if max_latents is not None and len(latents) > max_latents:
        latents = latents[torch.linspace(0, len(latents) - 1, max_latents).long()]
    return latents


@torch.no_grad()
def place_codebooks(
    model: Jodio,
    latents: Tensor,
    iterations: int = 2,
    searched: int = 9,
    seed: int = 0,
    report: Callable[[str], None] = print,
) -> None:
    """Place the acoustic codebooks by k-means, then improve those of the first levels to suit the search.

    Args:
        model: the codec, changed in place.
        latents: [N, D], of its encoder as it is.
        iterations: times that all codes are moved to the mean of what the search gives them.
        searched: levels of which that is done.
        seed: of what is random.
        report: receives lines meant for a person.
    """
    rvq, beams = model.quantizer.acoustic_rvq.eval(), model.settings.beams
    rvq.initialise(latents, torch.Generator().manual_seed(seed))
    z = rvq.enter(latents)
    searched = min(searched, rvq.levels, len(rvq.quantizers) - (len(rvq.quantizers) < rvq.levels))
    left = _left_over(z, rvq, searched, latents, beams)
    report(f"codes placed over {len(z)} vectors: {left:.4f} of the energy left over at {searched} levels")
    for _ in range(iterations):
        _suit_search(rvq, latents, z, searched, beams)
        report(f"suited to the search: {_left_over(z, rvq, searched, latents, beams):.4f}")
    rvq.reset_statistics()


def _suit_search(rvq: ResidualVectorQuantizer, latents: Tensor, z: Tensor, levels: int, beams: int) -> None:
    """Move every code to the mean of what the other levels leave over where the search chose it."""
    codes = torch.cat([beam_encode(rvq, part[None], levels, beams)[0] for part in latents.split(VECTORS_AT_ONCE)])
    move_codes(rvq, z, codes, torch.full_like(codes[:, 0], levels))


@torch.no_grad()
def move_codes(rvq: ResidualVectorQuantizer, z: Tensor, codes: Tensor, counts: Tensor, min_members: int = 4) -> None:
    """Move the codes of every level, one after the other, to the mean of what the other levels leave over.

    Args:
        rvq: the stack; a codebook that several levels share stays as it is.
        z: vectors [N, D] of its space.
        codes: [N, L] that code them, all levels at their best together.
        counts: [N], how many of the L levels each vector has.
        min_members: vectors that a code must have been chosen for to be moved.
    """
    rest = z - _sum(rvq, codes, counts)
    own = len(rvq.quantizers) - (len(rvq.quantizers) < rvq.levels)
    for k in range(min(own, codes.shape[1])):
        book = rvq.level(k)[0].codebook.weight
        rows = (counts > k).nonzero()[:, 0]
        chosen = codes[rows, k]
        wanted = rest[rows] + F.embedding(chosen, book)
        members = torch.bincount(chosen, minlength=len(book)).to(z.dtype)
        sums = torch.zeros_like(book).index_add_(0, chosen, wanted)
        book.copy_(torch.where((members >= min_members)[:, None], sums / members.clamp_min(1)[:, None], book))
        rest[rows] = wanted - F.embedding(chosen, book)


def _sum(rvq: ResidualVectorQuantizer, codes: Tensor, counts: Tensor) -> Tensor:
    """What the first `counts` codes of each vector add up to: [N, D]."""
    total = torch.zeros(len(codes), rvq.level(0)[0].codebook.embedding_dim, device=codes.device)
    for k in range(codes.shape[1]):
        quantizer, scale = rvq.level(k)
        rows = (counts > k).nonzero()[:, 0]
        total.index_add_(0, rows, F.embedding(codes[rows, k], quantizer.codebook.weight) * scale)
    return total


def _left_over(z: Tensor, rvq: ResidualVectorQuantizer, levels: int, latents: Tensor, beams: int) -> float:
    """Share of the energy of `z` [N, D] that `levels` levels leave over, over a part of the vectors."""
    step = max(1, len(z) // 20000)
    chosen = z[::step]
    codes = beam_encode(rvq, latents[::step][None], levels, beams)[0]
    total = _sum(rvq, codes, torch.full_like(codes[:, 0], levels))
    variance = (chosen - chosen.mean(0)).square().sum()
    return float((chosen - total).square().sum() / variance)

"""Fitting the speaker encoder: centres by k-means, then the directions in which voices differ more than pieces of one.

Linear discriminants need sums over the pieces and one decomposition, so that a corpus of hours is fitted in a minute.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ...errors import CodecError
from ...hearing.speaker import SpeakerEncoder
from .features import Bands, played

Report = Callable[[str], None]


@dataclass(frozen=True)
class SpeakerTraining:
    """Settings.

    Attributes:
        frames: of a piece.
        most: pieces of a voice that are used, at random.
        speeds: of tapes that a voice is played from; each makes another voice of it.
        rounds: of k-means.
        ridge: share of the variance within voices that is added to it in every direction: the fewer pieces there are,
            the more.
        seed: of everything random.
    """

    frames: int = 300
    most: int = 30
    speeds: tuple[float, ...] = (1.0, 0.9, 1.1)
    rounds: int = 10
    ridge: float = 3.0
    seed: int = 0


@dataclass(frozen=True)
class Pieces:
    """Pieces of voices.

    Attributes:
        mel: logarithms of mel bands, fp16 [N, 80, frames].
        voices: whose each is, int64 [N].
    """

    mel: Tensor
    voices: Tensor


def pieces_of(sources: list[tuple[Bands, list[int]]], config: SpeakerTraining) -> Pieces:
    """Pieces of all voices at all speeds; each voice and speed counts as a voice.

    Args:
        sources: bands, each with the voice of every segment, -1 of those that are left out.

    Raises:
        CodecError: if there are fewer than two voices.
    """
    random = torch.Generator().manual_seed(config.seed)
    by_voice: dict[int, list[tuple[Bands, int, int]]] = {}
    for bands, voices in sources:
        for segment, voice in enumerate(voices):
            for first in range(0, bands.length(segment) - config.frames + 1, config.frames) if voice >= 0 else ():
                by_voice.setdefault(voice, []).append((bands, segment, first))
    if len(by_voice) < 2:
        raise CodecError(f"a speaker encoder needs two voices or more with pieces of {config.frames / 100:g} s")
    mel, labels = [], []
    for voice in sorted(by_voice):
        order = torch.randperm(len(by_voice[voice]), generator=random)[: config.most].tolist()
        for bands, segment, first in (by_voice[voice][i] for i in order):
            piece = bands.piece(segment, first, config.frames)
            for tape, speed in enumerate(config.speeds):
                count = min(config.frames, int((config.frames - 1) / speed)) if speed != 1 else config.frames
                again = torch.arange(config.frames) % count
                mel.append(played(piece, speed, count)[again].t().half())
                labels.append(voice * len(config.speeds) + tape)
    return Pieces(torch.stack(mel), torch.tensor(labels))


@torch.no_grad()
def fit_speakers(encoder: SpeakerEncoder, pieces: Pieces, config: SpeakerTraining, report: Report = print) -> None:
    """Fit an encoder in place."""
    random = torch.Generator().manual_seed(config.seed)
    encoder.scale.fill_(1)
    frames = torch.cat([encoder.cepstra(part.float()).flatten(0, 1)[::60] for part in pieces.mel.split(64)])
    encoder.scale.copy_(frames.std(0).clamp_min(1e-3))
    encoder.centres.copy_(k_means(frames / encoder.scale, encoder.config.centres, config.rounds, random))
    found = torch.cat([encoder.deviations(part.float()) for part in pieces.mel.split(64)])
    report(f"{len(found)} pieces of {len(pieces.voices.unique())} voices, {found.shape[1]} numbers each")
    encoder.mean.copy_(found.mean(0))
    encoder.output_proj.weight.copy_(discriminants(found - encoder.mean, pieces.voices, encoder.config.size, config))
    encoder.eval()


def k_means(x: Tensor, count: int, rounds: int, random: torch.Generator) -> Tensor:
    """Centres [count, D] of rows [N, D].

    Raises:
        CodecError: if there are fewer rows than centres.
    """
    if len(x) < count:
        raise CodecError(f"{len(x)} frames are too few for {count} kinds of sound")
    centres = x[torch.randperm(len(x), generator=random)[:count]]
    for _ in range(rounds):
        nearest = (x @ centres.t() - centres.square().sum(1) / 2).argmax(1)
        sums = torch.zeros_like(centres).index_add(0, nearest, x)
        sizes = torch.bincount(nearest, minlength=count)[:, None]
        centres = torch.where(sizes > 0, sums / sizes.clamp_min(1), centres)
    return centres


def discriminants(x: Tensor, voices: Tensor, size: int, config: SpeakerTraining) -> Tensor:
    """Directions [size, D] in which voices differ most, in units of how much pieces of one voice do.

    Args:
        x: rows [N, D], of mean 0.
        voices: whose each is, [N]. Voices of one piece say nothing of what differs within a voice.

    Raises:
        CodecError: if no voice has two pieces.
    """
    _, voices, sizes = voices.unique(return_inverse=True, return_counts=True)
    means = torch.zeros(len(sizes), x.shape[1]).index_add(0, voices, x) / sizes[:, None]
    spread = x.std(0).clamp_min(1e-6)
    within = ((x - means[voices]) / spread)[sizes[voices] > 1]
    if not len(within):
        raise CodecError("no voice has two pieces")
    covariance = (within.t() @ within / len(within)).double()
    covariance += torch.diag(config.ridge * covariance.diagonal() + 1e-9)
    root = torch.linalg.cholesky(covariance)
    between = ((means - means.mean(0)) / spread).double()
    white = torch.linalg.solve_triangular(root, between.t(), upper=False)
    directions = torch.linalg.svd(white, full_matrices=False)[0][:, :size]
    found = torch.linalg.solve_triangular(root.t(), directions, upper=True).t() / spread
    return F.pad(found, (0, 0, 0, size - len(found))).float()


def equal_error_rate(same: Tensor, other: Tensor) -> float:
    """Share of errors at the threshold where as many pairs of one voice are below it as pairs of two are above.

    Args:
        same, other: scores of pairs of one voice, and of two; [N] each, more is more alike.
    """
    scores = torch.cat([same, other]).double()
    one = torch.cat([torch.ones(len(same)), torch.zeros(len(other))]).double()
    order = scores.argsort()
    missed = one[order].cumsum(0) / len(same)
    taken = 1 - (1 - one[order]).cumsum(0) / len(other)
    place = (missed - taken).abs().argmin()
    return float((missed[place] + taken[place]) / 2)

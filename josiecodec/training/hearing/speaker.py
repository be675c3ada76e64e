"""Training the speaker encoder: voices are told apart by an angular margin (Deng et al. 2019, arXiv 1801.07698)."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...errors import CodecError
from ...hearing.speaker import SpeakerEncoder
from .features import Bands, Disturbance, disturbed, played

Report = Callable[[str], None]


@dataclass(frozen=True)
class SpeakerTraining:
    """Settings of a training.

    Attributes:
        minutes: of processor time.
        batch: voices of a step, one piece each.
        frames: of a piece, from and to.
        lr, end_lr, warmup: learning rate, what share of it is left at the end, and steps of its rise.
        margin, scale: of the loss; the margin grows from 0 in the first third.
        weight_decay: of AdamW.
        speeds: of tapes that a voice is played from; each makes another voice of it.
        teaching: weight of what a teacher says of a piece, where there is one.
        decoded: how much more often than from recordings pieces are drawn from what a codec decoded.
        disturbance: what is done to the pieces.
        bf16: matrix products in bfloat16.
        seed: of everything random.
    """

    minutes: float = 6.0
    batch: int = 64
    frames: tuple[int, int] = (150, 260)
    lr: float = 2e-3
    end_lr: float = 0.01
    warmup: int = 100
    margin: float = 0.2
    scale: float = 30.0
    weight_decay: float = 0.02
    speeds: tuple[float, ...] = (1.0, 0.9, 1.1)
    teaching: float = 20.0
    decoded: float = 2.0
    disturbance: Disturbance = field(default_factory=Disturbance)
    bf16: bool = True
    seed: int = 0


class Voices:
    """Random pieces of voices.

    Args:
        sources: bands, each with the voice of every segment (-1 leaves it out) and how often it is drawn from.
        noise: bands of what is put underneath, and which segments of them.
    """

    def __init__(
        self,
        sources: list[tuple[Bands, list[int], float]],
        noise: tuple[Bands, list[int]],
        config: SpeakerTraining,
    ):
        self.config = config
        self.noise = noise
        self.random = torch.Generator().manual_seed(config.seed)
        self.places: dict[int, list[tuple[Bands, int]]] = {}
        self.weights: dict[int, list[float]] = {}
        for bands, voices, weight in sources:
            for segment, voice in enumerate(voices):
                if voice >= 0 and bands.length(segment) > 0:
                    self.places.setdefault(voice, []).append((bands, segment))
                    self.weights.setdefault(voice, []).append(weight * bands.length(segment))
        self.names = sorted(self.places)
        if len(self.names) < 2:
            raise CodecError("a speaker encoder is trained on two voices or more")

    def batch(self) -> tuple[Tensor, Tensor]:
        """Bands [B, 80, T], and which voice and speed [B] they are; voices repeat only when there are fewer."""
        config = self.config
        low, high = config.frames
        frames = int(torch.randint(low, high + 1, (), generator=self.random))
        order = torch.randperm(len(self.names), generator=self.random).repeat(-(-config.batch // len(self.names)))
        tapes = torch.randint(len(config.speeds), (config.batch,), generator=self.random).tolist()
        labels = order[: config.batch] + len(self.names) * torch.tensor(tapes)
        pieces, under = [], []
        for place, tape in zip(order[: config.batch].tolist(), tapes, strict=True):
            voice, speed = self.names[place], config.speeds[tape]
            pick = int(torch.multinomial(torch.tensor(self.weights[voice]), 1, generator=self.random))
            piece = self._piece(*self.places[voice][pick], math.ceil(frames * speed) + 1)
            pieces.append(played(piece, speed, frames))
            bands, segments = self.noise
            pick = int(torch.randint(len(segments), (), generator=self.random))
            under.append(self._piece(bands, segments[pick], frames))
        mel = disturbed(torch.stack(pieces), torch.stack(under), config.disturbance, self.random)
        return mel.transpose(1, 2), labels

    def _piece(self, bands: Bands, segment: int, frames: int) -> Tensor:
        room = max(1, bands.length(segment) - frames)
        return bands.piece(segment, int(torch.randint(room, (), generator=self.random)), frames)


class Lessons:
    """Random pieces with what another speaker encoder says of them, centred: unlike voices are far apart then.

    Args:
        bands: where the pieces are.
        places: segment and first and last frame of each.
        embeddings: of the pieces [N, D].
    """

    def __init__(
        self,
        bands: Bands,
        places: list[tuple[int, int, int]],
        embeddings: Tensor,
        noise: tuple[Bands, list[int]],
        config: SpeakerTraining,
    ):
        self.bands, self.places, self.noise, self.config = bands, places, noise, config
        self.targets = F.normalize(embeddings - embeddings.mean(0), dim=1)
        self.random = torch.Generator().manual_seed(config.seed + 1)

    def batch(self) -> tuple[Tensor, Tensor]:
        """Bands [B, 80, T] and what is to be said of them [B, D]."""
        config = self.config
        frames = int(torch.randint(config.frames[0], config.frames[1] + 1, (), generator=self.random))
        picks = torch.randint(len(self.places), (config.batch,), generator=self.random)
        pieces, under = [], []
        noises, segments = self.noise
        for segment, first, last in (self.places[i] for i in picks.tolist()):
            late = int(torch.randint(max(1, last - first - frames), (), generator=self.random))
            pieces.append(self.bands.piece(segment, first + late, frames))
            pick = segments[int(torch.randint(len(segments), (), generator=self.random))]
            late = int(torch.randint(max(1, noises.length(pick) - frames), (), generator=self.random))
            under.append(noises.piece(pick, late, frames))
        mel = disturbed(torch.stack(pieces), torch.stack(under), config.disturbance, self.random)
        return mel.transpose(1, 2), self.targets[picks]


class MarginLoss(nn.Module):
    """Cross-entropy of cosines to the centres of voices, where the true one has to be nearer by an angle."""

    def __init__(self, size: int, voices: int, scale: float):
        super().__init__()
        self.centres = nn.Parameter(torch.randn(voices, size) * size**-0.5)
        self.scale = scale

    def forward(self, x: Tensor, voices: Tensor, margin: float) -> Tensor:
        """Of embeddings [B, D] of length 1 and the voices [B] that they are of, in nats."""
        cosines = x @ F.normalize(self.centres, dim=1).t()
        rows = torch.arange(len(x), device=x.device)
        true = cosines[rows, voices].clamp(-1 + 1e-6, 1 - 1e-6)
        moved = torch.where(true > -math.cos(margin), torch.cos(true.acos() + margin), true - margin * math.sin(margin))
        return F.cross_entropy(self.scale * cosines.index_put((rows, voices), moved), voices)


def train_speakers(
    encoder: SpeakerEncoder,
    voices: Voices,
    config: SpeakerTraining,
    lessons: Lessons | None = None,
    check: Callable[[], dict[str, float]] | None = None,
    report: Report = print,
) -> None:
    """Train an encoder in place, for `config.minutes` of processor time.

    Args:
        lessons: of a teacher, one batch after each batch of voices.
        check: figures for the report, asked after each quarter of the time, with the encoder in evaluation mode.
    """
    loss_of = MarginLoss(encoder.config.size, len(voices.names) * len(config.speeds), config.scale)
    parameters = [*encoder.parameters(), *loss_of.parameters()]
    optimizer = torch.optim.AdamW(parameters, config.lr, (0.9, 0.98), weight_decay=config.weight_decay, fused=True)
    begin, step, turn, mean = time.process_time(), 0, 1, 0.0
    encoder.train()
    while (done := (time.process_time() - begin) / (60 * config.minutes)) < 1:
        for group in optimizer.param_groups:
            fall = config.end_lr + (1 - config.end_lr) * 0.5 * (1 + math.cos(math.pi * done))
            group["lr"] = config.lr * min(1.0, (step + 1) / config.warmup) * fall
        mel, labels = voices.batch()
        with torch.autocast("cpu", torch.bfloat16, config.bf16):
            embeddings = encoder(mel)
        loss = loss_of(embeddings, labels, config.margin * min(1.0, 3 * done))
        if lessons is not None:
            mel, targets = lessons.batch()
            with torch.autocast("cpu", torch.bfloat16, config.bf16):
                said = encoder(mel)
            loss = loss + config.teaching * (1 - (said * targets).sum(1).mean())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 5.0)
        optimizer.step()
        step += 1
        mean = float(loss.detach()) if step == 1 else mean + 0.02 * (float(loss.detach()) - mean)
        if step in (1, 10, 50) or step % 100 == 0 or done * 4 >= turn:
            figures: dict[str, float] = {}
            if check is not None and done * 4 >= turn:
                turn = int(done * 4) + 1
                encoder.eval()
                figures = check()
                encoder.train()
            report(f"step {step}, {done:.0%}: loss {mean:.3f} " + " ".join(f"{k} {v:.4f}" for k, v in figures.items()))
    encoder.eval()


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

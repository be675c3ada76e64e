"""Training a conformer to hear letters: where they are in the recordings follows from the conformer itself.

All begin with letters spread evenly: over their word where its times are known, else over what sounds.
From time to time some are aligned anew (Viterbi training), within the times of words where these are known.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...hearing.alignment import ANY, SILENCE, best_states, shortest, states_of
from ...hearing.conformer import STEP, Conformer
from ...hearing.mel import HOP
from .features import Bands, Disturbance, disturbed, played

Report = Callable[[str], None]
SOUND = -11.0  # mean logarithm of bands above which there is sound
UNKNOWN = -100  # a frame whose letter nobody knows
PER_FRAME = STEP // HOP


@dataclass
class Utterance:
    """A recording and what is said in it.

    Attributes:
        bands, segment: where its mel bands are.
        language: number of the language.
        words: letters of each word.
        times: first frame of each word and the frame behind it, or None where nobody knows.
        labels: letter of each frame of 20 ms, int64 [F]; `UNKNOWN` where there is none yet.
    """

    bands: Bands
    segment: int
    language: int
    words: list[list[int]]
    times: list[tuple[float, float]] | None
    labels: Tensor

    @property
    def frames(self) -> int:
        """Frames of 20 ms."""
        return self.bands.length(self.segment) // PER_FRAME


@dataclass(frozen=True)
class LetterTraining:
    """Settings of a training.

    Attributes:
        minutes: of processor time.
        seconds: of sound in a step.
        lr, end_lr, warmup, weight_decay: of AdamW.
        ctc: weight of the CTC loss beside that of frames.
        align: after which shares of the time recordings are aligned anew, and
        align_items: how many at random.
        slack: frames by which an alignment may leave the known times of a word.
        speeds: of tapes that recordings are played from, evenly over (low, high).
        disturbance: what is done to the sound.
        bf16: matrix products in bfloat16.
        seed: of everything random.
    """

    minutes: float = 20.0
    seconds: float = 60.0
    lr: float = 2e-3
    end_lr: float = 0.01
    warmup: int = 100
    weight_decay: float = 0.02
    ctc: float = 0.3
    align: tuple[float, ...] = (0.25, 0.45, 0.65)
    align_items: int = 600
    slack: int = 3
    speeds: tuple[float, float] = (0.92, 1.08)
    disturbance: Disturbance = field(
        default_factory=lambda: Disturbance(noise=0.3, noise_db=(8.0, 30.0), tilt=0.4, limit=0.2, room=0.15)
    )
    bf16: bool = True
    seed: int = 0


def spread(words: list[list[int]], times: list[tuple[float, float]], frames: int) -> Tensor:
    """Letters spread evenly over the times of their words (in frames), silence between them: int64 [frames]."""
    labels = torch.full((frames,), SILENCE)
    for word, (begin, end) in zip(words, times, strict=True):
        first, last = round(begin), max(round(end), round(begin) + 1)
        for at in range(max(0, first), min(frames, last)):
            letter = word[min(len(word) - 1, (at - first) * len(word) // (last - first))]
            labels[at] = UNKNOWN if letter == ANY else letter
    return labels


def aligned(frames: np.ndarray, item: Utterance, slack: int) -> Tensor | None:
    """Letters [F] of the likeliest way, which keeps to known times of words; None if the letters do not fit."""
    if shortest(item.words) > len(frames):
        return None
    scores = frames
    if item.times is not None:  # outside of all words there is silence, deep inside of one there is none
        scores = frames.copy()
        inside, around = np.zeros(len(frames), bool), np.zeros(len(frames), bool)
        for begin, end in item.times:
            around[max(0, round(begin) - slack) : round(end) + slack] = True
            inside[round(begin) + slack : max(0, round(end) - slack)] = True
        scores[~around, 1:] -= 30
        scores[inside, 0] -= 30
    states, _ = best_states(scores, item.words)
    letters = torch.from_numpy(states_of(item.words)[0][states])
    return letters.masked_fill(letters == ANY, UNKNOWN)


class Batches:
    """Random batches of utterances of similar length."""

    def __init__(self, items: list[Utterance], noise: tuple[Bands, list[int]], config: LetterTraining, delay: int):
        self.items, self.noise, self.config, self.delay = items, noise, config, delay
        self.random = torch.Generator().manual_seed(config.seed)
        self.waiting: list[list[int]] = []

    def next(self) -> tuple[Tensor, Tensor, Tensor, list[list[int]], Tensor]:
        """Bands [B, 80, T], languages [B], labels [B, T / 2] with the delay, the letters said, frames of each [B]."""
        if not self.waiting:
            self.waiting = self._epoch()
        chosen = [self.items[i] for i in self.waiting.pop()]
        low, high = self.config.speeds
        speed = low + (high - low) * float(torch.rand((), generator=self.random))
        counts = [int((item.frames - 1) / speed) for item in chosen]
        longest = max(counts) + self.delay
        quiet = math.log(1e-6)
        mel, under = torch.full((len(chosen), longest * 2, 80), quiet), []
        labels = torch.full((len(chosen), longest), UNKNOWN)
        for row, (item, count) in enumerate(zip(chosen, counts, strict=True)):
            whole = item.bands.piece(item.segment, 0, item.frames * PER_FRAME)
            mel[row, : count * 2] = played(whole, speed, count * 2)
            where = (torch.arange(count) * speed).round().long()
            labels[row, self.delay : self.delay + count] = item.labels[where]
            bands, segments = self.noise
            pick = segments[int(torch.randint(len(segments), (), generator=self.random))]
            first = int(torch.randint(max(1, bands.length(pick) - longest * 2), (), generator=self.random))
            under.append(bands.piece(pick, first, longest * 2))
        mel = disturbed(mel, torch.stack(under), self.config.disturbance, self.random)
        said = [[letter for word in item.words for letter in (*word, SILENCE)][:-1] for item in chosen]
        languages = torch.tensor([item.language for item in chosen])
        return mel.transpose(1, 2), languages, labels, said, torch.tensor(counts) + self.delay

    def _epoch(self) -> list[list[int]]:
        jitter = 1 + 0.1 * torch.rand(len(self.items), generator=self.random)
        lengths = torch.tensor([float(item.frames) for item in self.items]) * jitter
        batches: list[list[int]] = []
        batch: list[int] = []
        longest = 0
        room = self.config.seconds * 16000 / STEP
        for i in lengths.argsort().tolist():
            longest = max(longest, self.items[i].frames)
            if batch and longest * (len(batch) + 1) > room:
                batches.append(batch)
                batch, longest = [], self.items[i].frames
            batch.append(i)
        batches.append(batch)
        return [batches[i] for i in torch.randperm(len(batches), generator=self.random).tolist()]


def letter_losses(
    answers: tuple[Tensor, Tensor], labels: Tensor, said: list[list[int]], counts: Tensor
) -> tuple[Tensor, Tensor]:
    """Cross-entropy of frames, and CTC a letter, both in nats."""
    frames, ctc = (x.float() for x in answers)
    first = F.cross_entropy(frames.flatten(0, 1), labels.flatten(), ignore_index=UNKNOWN, reduction="sum")
    first = first / max(1, int((labels != UNKNOWN).sum()))
    blank = ctc.shape[-1] - 1
    usable = [i for i, letters in enumerate(said) if ANY not in letters]
    if not usable:
        return first, ctc.sum() * 0
    targets = torch.tensor([letter for i in usable for letter in said[i]])
    sizes = torch.tensor([len(said[i]) for i in usable])
    scores = ctc[usable].log_softmax(-1).transpose(0, 1)
    second = F.ctc_loss(scores, targets, counts[usable], sizes, blank, zero_infinity=True)
    return first, second


def train_letters(
    network: Conformer,
    items: list[Utterance],
    noise: tuple[Bands, list[int]],
    config: LetterTraining,
    check: Callable[[], dict[str, float]] | None = None,
    report: Report = print,
) -> None:
    """Train a conformer in place, for `config.minutes` of processor time; labels of `items` are made better, too."""
    batches = Batches(items, noise, config, network.config.delay)
    parameters = list(network.parameters())
    optimizer = torch.optim.AdamW(parameters, config.lr, (0.9, 0.98), weight_decay=config.weight_decay, fused=True)
    begin, step, turn, means = time.process_time(), 0, 0, [0.0, 0.0]
    network.train()
    while (done := (time.process_time() - begin) / (60 * config.minutes)) < 1:
        if turn < len(config.align) and done >= config.align[turn]:
            turn += 1
            chosen = torch.randperm(len(items), generator=batches.random)[: config.align_items].tolist()
            changed = realign(network, [items[i] for i in chosen], config)
            figures = check() if check is not None else {}
            report(f"step {step}, {done:.0%}: {changed:.1%} of the letters moved " + _listed(figures))
        for group in optimizer.param_groups:
            fall = config.end_lr + (1 - config.end_lr) * 0.5 * (1 + math.cos(math.pi * done))
            group["lr"] = config.lr * min(1.0, (step + 1) / config.warmup) * fall
        mel, languages, labels, said, counts = batches.next()
        with torch.autocast("cpu", torch.bfloat16, config.bf16):
            answers = network(mel, languages)
        losses = letter_losses(answers, labels, said, counts)
        optimizer.zero_grad(set_to_none=True)
        (losses[0] + config.ctc * losses[1]).backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        step += 1
        means = [b + max(0.03, 1 / step) * (float(a.detach()) - b) for a, b in zip(losses, means, strict=True)]
        if step in (1, 10, 30) or step % 100 == 0:
            report(f"step {step}, {done:.1%}: frames {means[0]:.3f} ctc {means[1]:.3f}")
    network.eval()
    figures = check() if check is not None else {}
    report(f"step {step}, the end: frames {means[0]:.3f} ctc {means[1]:.3f} " + _listed(figures))


def fit_bands(network: Conformer, bands: Bands) -> None:
    """Let a conformer know how loud bands are where there is sound, and how much that differs."""
    frames = bands.frames[:: max(1, len(bands.frames) // 50000)].float()
    frames = frames[frames.mean(1) > SOUND]
    network.band_mean.copy_(frames.mean(0))
    network.band_scale.copy_(frames.std(0))


@torch.inference_mode()
def realign(network: Conformer, items: list[Utterance], config: LetterTraining) -> float:
    """Align utterances by the network; the share of the known letters that moved."""
    moved = known = 0
    network.eval()
    for item in items:
        mel = item.bands.piece(item.segment, 0, item.frames * PER_FRAME).t()[None]
        mel = F.pad(mel, (0, network.config.delay * PER_FRAME), value=math.log(1e-6))
        with torch.autocast("cpu", torch.bfloat16, config.bf16):
            frames = network(mel, torch.tensor([item.language]))[0]
        scores = frames[0, network.config.delay :].float().log_softmax(-1).numpy()
        labels = aligned(scores, item, config.slack)
        if labels is not None:
            both = (labels != UNKNOWN) & (item.labels != UNKNOWN)
            moved, known = moved + int((labels != item.labels)[both].sum()), known + int(both.sum())
            item.labels = labels
    network.train()
    return moved / max(1, known)


def _listed(figures: dict[str, float]) -> str:
    return " ".join(f"{name} {value:.4f}" for name, value in figures.items())

"""Training a codec's envelope layer on recordings, through its base as it is.

The energies of all recordings and of their decoded base are computed once. The axes of the transform follow from their
differences; the network then learns by likelihood what to expect along them.
"""

from __future__ import annotations

import dataclasses
import math
import time
from dataclasses import dataclass

import torch
from torch import Tensor

from ...audio.envelope_layer import FLOOR, EnvelopeLayer, EnvelopeLayerConfig
from ...coding.jodio import Jodio
from ...errors import ModelError
from .data import Recordings
from .waveform_layer import HELD_OUT, Report, with_base

MIN_VARIANCE = 1e-6
SILENT = 1e-3  # share of a recording's mean energy below which a frame does not count for the axes


@dataclass(frozen=True)
class EnvelopeTraining:
    """Settings of an envelope layer's training.

    Attributes:
        batch: items of a step.
        frames: of each item.
        lr, end_lr: learning rate, and what share of it is left at the end.
        weight_decay: of AdamW.
        warmup: steps.
        gain_db: items are made louder or softer by up to this much, evenly over (low, high).
        skip: frames at the beginning of an item that do not count, as the network has not heard what was before.
    """

    batch: int = 16
    frames: int = 32
    lr: float = 1e-3
    end_lr: float = 0.03
    weight_decay: float = 0.02
    warmup: int = 50
    gain_db: tuple[float, float] = (-10.0, 5.0)
    skip: int = 3


@dataclass(frozen=True)
class Envelopes:
    """Log energies of recordings and of their decoded base, float16 [F * hops, bands], whole frames."""

    original: list[Tensor]
    base: list[Tensor]

    def chosen(self, places: list[int]) -> Envelopes:
        """Those at some places."""
        return Envelopes([self.original[i] for i in places], [self.base[i] for i in places])


def add_envelope_layer(model: Jodio, config: EnvelopeLayerConfig) -> Jodio:
    """A model with the weights of another, and a new envelope layer.

    Raises:
        ConfigError: if the model has no waveform layer, or the layer does not fit.
    """
    made = Jodio(dataclasses.replace(model.config, envelope=config))
    made.load_state_dict(made.state_dict() | model.state_dict())
    return made.to(model.device).eval()


@torch.no_grad()
def envelopes(model: Jodio, recordings: Recordings, frames: int, report: Report = print) -> Envelopes:
    """Log energies of all recordings of at least so many frames.

    Raises:
        ModelError: if the model has no envelope layer, or there are no such recordings.
    """
    layer = _layer(model)
    found = Envelopes([], [])
    for wave, base in with_base(model, recordings, frames, report):
        for part, kept in ((wave, found.original), (base, found.base)):
            kept.append(layer.log_energies(part)[0].half().cpu())
    return found


def _layer(model: Jodio) -> EnvelopeLayer:
    if model.envelope_layer is None:
        raise ModelError(f"{model.config.name} has no envelope layer")
    return model.envelope_layer


@torch.no_grad()
def fit_axes(layer: EnvelopeLayer, found: Envelopes) -> None:
    """Put mean, principal axes and their variances of what is to be coded into a layer."""
    parts = []
    for original, base in zip(found.original, found.base, strict=True):
        x, y = original.float(), base.float()
        energy = y.exp().sum(1).view(-1, layer.hops).mean(1)
        gains = 0.5 * (x - y)[:, -layer.coded :].reshape(-1, layer.dim)
        parts.append(gains[energy > SILENT * energy.mean()])
    gains = torch.cat(parts).double()
    layer.centre.copy_(gains.mean(0))
    variances, axes = torch.linalg.eigh(torch.cov(gains.t()))
    layer.axes.copy_(axes.flip(1))
    layer.log_variance.copy_(variances.flip(0).clamp_min(MIN_VARIANCE).log())


def envelope_loss(layer: EnvelopeLayer, original: Tensor, base: Tensor) -> Tensor:
    """Negative log likelihood, in nats less a constant, of log energies [B, F * hops, bands]: [B, F]."""
    mean, log_variance = layer.expect(base)
    error = layer.differences(original, base) - mean
    loss = 0.5 * (log_variance + error.square() * (-log_variance).exp())
    return loss.mean(1).view(len(base), -1)


@torch.no_grad()
def _judge(layer: EnvelopeLayer, found: Envelopes) -> float:
    layer.eval()
    device = layer.axes.device
    losses = [
        float(envelope_loss(layer, x[None].float().to(device), y[None].float().to(device)).mean())
        for x, y in zip(found.original, found.base, strict=True)
    ]
    return sum(losses) / len(losses)


def train_envelope(
    model: Jodio,
    recordings: Recordings,
    minutes: float,
    config: EnvelopeTraining | None = None,
    seed: int = 0,
    report: Report = print,
) -> float:
    """Train the network of a model's envelope layer for so many minutes; the axes of a new layer are fitted before.

    What is likeliest on the held-out recordings is kept: the network as it was, if training makes it worse.

    Returns:
        mean negative log likelihood of held-out recordings; of those learned from, if there are only a few.

    Raises:
        ModelError: if there is no such layer, or no recording is long enough.
    """
    layer, config = _layer(model), config or EnvelopeTraining()
    found = envelopes(model, recordings, config.frames, report)
    places = list(range(len(found.original)))
    few = len(places) < 2 * HELD_OUT
    learn = found if few else found.chosen([i for i in places if i % HELD_OUT])
    held_out = found if few else found.chosen(places[::HELD_OUT])
    if not bool(layer.log_variance.any()):  # a new layer
        fit_axes(layer, learn)
    network = [p for name, p in layer.named_parameters()]
    optimizer = torch.optim.AdamW(network, lr=config.lr, weight_decay=config.weight_decay)
    best = _Best(layer, held_out)
    report(f"envelope loss {best.loss:.4f} at first")
    random = torch.Generator().manual_seed(seed)
    begin = said = time.monotonic()
    step, total, count = 0, 0.0, 0
    for parameter in network:
        parameter.requires_grad_(True)
    while minutes and (share := (time.monotonic() - begin) / (60 * minutes)) < 1:
        for group in optimizer.param_groups:
            warm = min(1.0, (step + 1) / config.warmup)
            group["lr"] = config.lr * warm * (1 - share * (1 - config.end_lr))
        layer.train()
        original, base = _crops(layer, learn, config, random)
        loss = envelope_loss(layer, original, base)[:, config.skip :].mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network, 1.0)
        optimizer.step()
        step, total, count = step + 1, total + float(loss.detach()), count + 1
        if time.monotonic() - said > 30:
            report(f"step {step}  envelope loss {total / count:.4f}  held out {best.judge(step):.4f}")
            said, total, count = time.monotonic(), 0.0, 0
    report(f"step {step}  held out {best.judge(step):.4f}")
    layer.load_state_dict(best.tensors)
    layer.eval().requires_grad_(False)
    if best.step < step:
        what = f"the network of step {best.step}" if best.step else "the network as it was at first"
        report(f"kept: {what}, held out {best.loss:.4f}")
    return best.loss


class _Best:
    """The tensors of a layer that were likeliest on held-out recordings so far."""

    def __init__(self, layer: EnvelopeLayer, held_out: Envelopes):
        self.layer, self.held_out = layer, held_out
        self.loss = _judge(layer, held_out)
        self._keep(0)

    def judge(self, step: int) -> float:
        """The loss as it is now."""
        loss = _judge(self.layer, self.held_out)
        if loss < self.loss:
            self.loss = loss
            self._keep(step)
        return loss

    def _keep(self, step: int) -> None:
        self.step = step
        self.tensors = {name: value.detach().clone() for name, value in self.layer.state_dict().items()}


def _crops(
    layer: EnvelopeLayer, found: Envelopes, config: EnvelopeTraining, random: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Random crops of log energies [batch, frames * hops, bands], made louder or softer."""
    weights = torch.tensor([float(len(x)) for x in found.original])
    low, high = config.gain_db
    pairs = []
    for place in torch.multinomial(weights, config.batch, True, generator=random).tolist():
        room = len(found.original[place]) // layer.hops - config.frames + 1
        first = int(torch.randint(room, (), generator=random)) * layer.hops
        gain = (low + (high - low) * float(torch.rand((), generator=random))) / 10 * math.log(10)
        part = slice(first, first + config.frames * layer.hops)
        pairs.append([((z[place][part].float() + gain).exp() + FLOOR).log() for z in (found.original, found.base)])
    original, base = (torch.stack(part).to(layer.axes.device) for part in zip(*pairs, strict=True))
    return original, base

"""Training a codec's waveform layer on recordings, through its base as it is.

The low bands of all recordings and of their decoded base are computed once. The covariance network then learns by
likelihood: first its variances alone, which is several times faster, then the whole. Codebooks, if they are to be
learned, follow level by level what the levels before leave over, by Lloyd's algorithm over batches (`learn_codebooks`).
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from ...audio.bit_plan import BitPlan
from ...audio.covariance import negative_log_likelihood
from ...audio.envelope_layer import EnvelopeLayer
from ...audio.waveform_layer import WaveformLayer, WaveformLayerConfig
from ...coding.jodio import Jodio
from ...errors import ModelError
from ...nn.streaming import State
from ...quantization.shaped_rvq import ShapedResidualQuantizer
from .data import Recordings

HELD_OUT = 20  # every so many-th recording is judged on
FRAMES_AT_ONCE = 250
Report = Callable[[str], None]
Loss = Callable[[WaveformLayer, Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class LayerTraining:
    """Settings of a layer's training.

    Attributes:
        variances: share of the time in which variances are trained alone.
        batch: items of a step.
        frames: of each item.
        lr, end_lr: learning rate, and what share of it is left at the end.
        weight_decay: of AdamW.
        warmup: steps.
        gain_db: items are made louder or softer by up to this much, evenly over (low, high).
        min_rms: items that are softer than that are not learned from.
        memory: batches that learned codes are averages over.
        prior: frames that a code of the random codebook, from which learning starts, counts for.
    """

    variances: float = 0.3
    batch: int = 16
    frames: int = 24
    lr: float = 1e-3
    end_lr: float = 0.03
    weight_decay: float = 0.01
    warmup: int = 50
    gain_db: tuple[float, float] = (-10.0, 5.0)
    min_rms: float = 2e-3
    memory: float = 50.0
    prior: float = 3.0


def add_waveform_layer(model: Jodio, config: WaveformLayerConfig, base_levels: int = 9) -> Jodio:
    """A model with the weights of another's first levels, and a new waveform layer after them.

    A decoder that is told the number of levels keeps what it knows of these; of unquantised latents it is then told
    what the last of them was.

    Raises:
        ModelError: if it has fewer levels.
        ConfigError: if the layer does not fit the model.
    """
    if not 2 <= base_levels <= model.base_levels:
        raise ModelError(f"{model.config.name} has {model.base_levels} levels, not {base_levels}")
    quantizer = dataclasses.replace(model.config.quantizer, acoustic_levels=base_levels - 1)
    if quantizer.shared_from >= base_levels - 2:
        quantizer = dataclasses.replace(quantizer, shared_from=-1)  # no levels are left to share it
    made = Jodio(dataclasses.replace(model.config, quantizer=quantizer, waveform=config))
    old = model.state_dict()
    tensors = {}
    for name, value in made.state_dict().items():
        known = old.get(name)
        if known is not None and known.shape[1:] == value.shape[1:] and known.dim() == value.dim():
            tensors[name] = known[: len(value)] if value.dim() else known  # tables of levels lose the last ones
        else:
            tensors[name] = value
    made.load_state_dict(tensors)
    return made.to(model.device)


def with_settings(model: Jodio, config: WaveformLayerConfig) -> Jodio:
    """The same model with other settings of its waveform layer, of those that no tensor depends on."""
    made = Jodio(dataclasses.replace(model.config, waveform=config))
    made.load_state_dict(model.state_dict())
    return made.to(model.device)


@dataclass(frozen=True)
class LowBands:
    """The low bands of recordings and of their decoded base, float16 [n], each a whole number of frames.

    Attributes:
        heard: of what the envelope layer made of the base, for layers `after_envelope`; of others there is none.
    """

    original: list[Tensor]
    base: list[Tensor]
    heard: list[Tensor] = dataclasses.field(default_factory=list)

    def held_out(self) -> tuple[LowBands, LowBands]:
        """What to learn from, and what to judge on: the same if there are only a few."""
        if len(self.original) < 2 * HELD_OUT:
            return self, self
        learn = [i for i in range(len(self.original)) if i % HELD_OUT]
        judge = range(0, len(self.original), HELD_OUT)
        return self._chosen(learn), self._chosen(judge)

    def _chosen(self, places: list[int] | range) -> LowBands:
        parts = [[part[i] for i in places] if part else [] for part in (self.original, self.base, self.heard)]
        return LowBands(*parts)


def _layer(model: Jodio) -> WaveformLayer:
    if model.waveform_layer is None:
        raise ModelError(f"{model.config.name} has no waveform layer")
    return model.waveform_layer


@torch.no_grad()
def low_bands(model: Jodio, recordings: Recordings, frames: int, report: Report = print) -> LowBands:
    """Low bands of all recordings of at least so many frames.

    Raises:
        ModelError: if the model has no waveform layer, or there are no such recordings.
    """
    layer = _layer(model)
    found = LowBands([], [], [])
    random = torch.Generator().manual_seed(0)
    for wave, base in with_base(model, recordings, frames, report):
        parts = [(wave, found.original), (base, found.base)]
        if layer.config.after_envelope and model.envelope_layer is not None:
            parts.append((_heard(model.envelope_layer, wave, base, random), found.heard))
        for part, kept in parts:
            kept.append(layer.decimate(part)[0].half().cpu())
    return found


def _heard(layer: EnvelopeLayer, wave: Tensor, base: Tensor, random: torch.Generator) -> Tensor:
    """What an envelope layer makes of a base [1, 1, F * frame_size], with any number of levels on average."""
    state = State()
    vectors, priorities = layer.vectors(wave, base, state)
    share = float(torch.rand((), generator=random))
    counts = (priorities[0] > priorities.flatten().quantile(share)).sum(0)
    shapes = layer.plan(vectors.log_variance, layer.config.levels).shapes()
    codes = layer.quantizer.encode(vectors.target, shapes, counts=counts).t().unsqueeze(0)
    state = State()
    heard = layer.decode(codes, base, state)
    return torch.cat([heard, layer.finish(state)], -1)[..., layer.late :]


@torch.no_grad()
def with_base(
    model: Jodio, recordings: Recordings, frames: int, report: Report = print
) -> Iterator[tuple[Tensor, Tensor]]:
    """Whole frames of each recording of at least so many, and their decoded base, both [1, 1, F * frame_size].

    Raises:
        ModelError: if there are no such recordings.
    """
    model.eval()
    begin = said = time.monotonic()
    seconds = 0.0
    for segment in recordings.segments:
        length = segment.length // model.frame_size * model.frame_size
        if length < frames * model.frame_size:
            continue
        wave = recordings.waveform(segment)[None, None, :length].to(model.device)
        yield wave, model.decode(model.encode(wave, model.base_levels))
        seconds += length / model.sample_rate
        if time.monotonic() - said > 30:
            said = time.monotonic()
            report(f"base of {seconds:.0f} s of recordings, {seconds / (said - begin):.0f} s a second")
    if not seconds:
        raise ModelError(f"there is no recording of {frames * model.frame_size / model.sample_rate:g} s")


class LowBandSampler:
    """Random crops of low bands: original and base [batch, frames * samples], and the generator behind them."""

    def __init__(self, bands: LowBands, layer: WaveformLayer, config: LayerTraining, seed: int = 0):
        self.bands, self.config = bands, config
        self.device = layer.taper.device
        self.samples = config.frames * layer.config.hops * layer.hop
        self.random = torch.Generator().manual_seed(seed)
        self.weights = torch.tensor([float(len(x)) for x in bands.original])

    def batch(self) -> tuple[Tensor, Tensor]:
        """Draw crops, in proportion to the lengths of recordings; what is silent is drawn anew, within reason."""
        pairs: list[tuple[Tensor, Tensor]] = []
        low, high = self.config.gain_db
        for attempt in range(20 * self.config.batch):
            place = int(torch.multinomial(self.weights, 1, generator=self.random))
            original, base = self.bands.original[place], self.bands.base[place]
            first = int(torch.randint(len(original) - self.samples + 1, (), generator=self.random))
            x, y = (band[first : first + self.samples].float() for band in (original, base))
            if float(x.square().mean()) < self.config.min_rms**2 and attempt < 18 * self.config.batch:
                continue
            gain = 10 ** ((float(torch.rand((), generator=self.random)) * (high - low) + low) / 20)
            pairs.append((x * gain, y * gain))
            if len(pairs) == self.config.batch:
                break
        return tuple(torch.stack(part).to(self.device) for part in zip(*pairs, strict=True))  # type: ignore[return-value]


def variance_loss(layer: WaveformLayer, original: Tensor, base: Tensor) -> Tensor:
    """Mean negative log likelihood, in nats less a constant, of low bands [B, n], by variances alone."""
    log_variance = layer.covariance.variance(base)
    squares = layer.mdct(original).square() + 1e-9
    # The first windows of a crop begin before it.
    return 0.5 * (log_variance + squares * (-log_variance).exp())[:, layer.config.hops :].mean()


def covariance_loss(layer: WaveformLayer, original: Tensor, base: Tensor) -> Tensor:
    """As `variance_loss`, by covariances."""
    segments = layer.covariance.segments
    losses = negative_log_likelihood(layer.covariance(base), segments.split(layer.mdct(original)))
    return losses.view(len(base), -1, segments.count)[:, 1:].mean() / segments.dim


@torch.no_grad()
def judge(layer: WaveformLayer, bands: LowBands, loss: Loss = covariance_loss) -> float:
    """A loss over whole recordings, each counting alike."""
    layer.eval()
    device = layer.taper.device
    losses = [
        float(loss(layer, x[None].float().to(device), y[None].float().to(device)))
        for x, y in zip(bands.original, bands.base, strict=True)
    ]
    return sum(losses) / len(losses)


def train_covariances(
    model: Jodio,
    bands: LowBands,
    minutes: float,
    config: LayerTraining | None = None,
    seed: int = 0,
    report: Report = print,
) -> float:
    """Train the covariance network for so many minutes; gives what `judge` says of held-out recordings."""
    layer, config = _layer(model), config or LayerTraining()
    learn, held_out = bands.held_out()
    sampler = LowBandSampler(learn, layer, config, seed)
    first = config.variances * minutes
    if first:
        _train(layer, variance_loss, sampler, held_out, first, config, report)
    if minutes > first:
        _train(layer, covariance_loss, sampler, held_out, minutes - first, config, report)
    return judge(layer, held_out)


def _train(
    layer: WaveformLayer,
    loss: Loss,
    sampler: LowBandSampler,
    held_out: LowBands,
    minutes: float,
    config: LayerTraining,
    report: Report,
) -> None:
    """Make a loss of the network less."""
    network = layer.covariance.requires_grad_(True)
    optimizer = torch.optim.AdamW(network.parameters(), lr=config.lr, weight_decay=config.weight_decay)
    name = loss.__name__.replace("_", " ")
    report(f"{name}: {judge(layer, held_out, loss):.4f} at first")
    begin = said = time.monotonic()
    step, total, count = 0, 0.0, 0
    while (share := (time.monotonic() - begin) / (60 * minutes)) < 1:
        for group in optimizer.param_groups:
            warm = min(1.0, (step + 1) / config.warmup)
            group["lr"] = config.lr * warm * (1 - share * (1 - config.end_lr))
        network.train()
        value = loss(layer, *sampler.batch())
        optimizer.zero_grad()
        value.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        step, total, count = step + 1, total + float(value.detach()), count + 1
        if time.monotonic() - said > 30:
            report(f"step {step}  {name} {total / count:.4f}  held out {judge(layer, held_out, loss):.4f}")
            said, total, count = time.monotonic(), 0.0, 0
    network.eval().requires_grad_(False)
    report(f"step {step}  held out {judge(layer, held_out, loss):.4f}")


@torch.no_grad()
def learn_codebooks(
    model: Jodio,
    bands: LowBands,
    minutes: float,
    config: LayerTraining | None = None,
    seed: int = 0,
    report: Report = print,
) -> None:
    """Learn the codebooks of the layer for so many minutes, from what they are on.

    Every code moves to the average of the vectors that chose it, weighted as they shape it, over the last batches;
    codes that few chose stay near where they began.

    Raises:
        ModelError: if the layer's codebooks are not learned ones.
    """
    layer, config = _layer(model).eval(), config or LayerTraining()
    if layer.config.codebooks != "learned":
        raise ModelError(f"{model.config.name} has random codebooks, which cannot be learned")
    sampler = LowBandSampler(bands.held_out()[0], layer, config, seed)
    lloyd = _Lloyd(layer.quantizer, config)
    begin = said = time.monotonic()
    step = 0
    while time.monotonic() - begin < 60 * minutes:
        original, base = sampler.batch()
        transform = layer.transform(base)
        plan = layer.plan(transform, layer.config.levels)
        left = lloyd.step(transform.forward(layer.mdct(original)), plan)
        step += 1
        if time.monotonic() - said > 30:
            said = time.monotonic()
            report(f"step {step}  left over {10 * math.log10(left):.2f} dB")
    lloyd.finish()
    report(f"{step} steps")


class _Lloyd:
    """Codebooks as running averages of the vectors that choose their codes."""

    def __init__(self, quantizer: ShapedResidualQuantizer, config: LayerTraining):
        self.quantizer = quantizer
        self.first = quantizer.tables()[0].clone()
        self.books = self.first.clone()
        self.sums, self.weights = torch.zeros_like(self.books), torch.zeros_like(self.books)
        self.frames = torch.zeros(quantizer.books, 1, 1, device=self.books.device)  # that the sums are over
        self.keep = 1 - 1 / config.memory
        self.prior = config.prior

    def step(self, x: Tensor, plan: BitPlan) -> float:
        """Learn from vectors [N, D] that are coded by a plan; gives the share of their energy that is left over."""
        shapes = plan.shapes()
        energy = (plan.left[0] * plan.weights[0]).sum(1, keepdim=True).clamp_min(1e-12)
        rest = x
        self.sums *= self.keep
        self.weights *= self.keep
        self.frames *= self.keep
        for k in range(len(shapes)):
            book, turn = self.quantizer.level(k)
            codes = self.books[book]
            shape = shapes[k].roll(-turn, -1)
            weight = plan.weights[k].roll(-turn, -1)
            target, size = rest.roll(-turn, -1) * shape * weight, shape.square() * weight
            chosen = (target @ codes.t() - 0.5 * size @ codes.square().t()).argmax(1)
            self.sums[book].index_add_(0, chosen, target / energy)
            self.weights[book].index_add_(0, chosen, size / energy)
            self.frames[book] += len(x)
            rest = rest - shapes[k] * codes[chosen].roll(turn, -1)
        prior = self.prior * self.weights.sum(1, keepdim=True) / self.frames.clamp_min(1) + 1e-12
        self.books = (self.sums + prior * self.first) / (self.weights + prior)
        self.books[:, 0] = self.first[:, 0]  # code 0 does nothing
        return float((rest.square().sum(1) / x.square().sum(1).clamp_min(1e-9)).mean())

    def finish(self) -> None:
        """Put the codes into the quantizer."""
        self.quantizer.set_codebooks(self.books)

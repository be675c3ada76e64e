"""Training the filter behind a waveform layer's codes, on the low bands of recordings as the layer decodes them.

Everything before it stands still, so that the codes of all recordings are searched once. Every step decodes crops at a
random number of levels, and the filter is held to the original by compressed spectra (magnitude and complex), by the
ratio of signal to noise and, if the package for it is there, by PESQ of the low band alone.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import torch
from torch import Tensor

from ...audio.low_band_filter import LowBandFilter
from ...audio.variance import COMPRESSION
from ...audio.waveform_layer import WaveformLayer
from ...coding.jodio import Jodio
from ...errors import ModelError
from ...nn.streaming import State
from .losses import PesqTerm
from .waveform_layer import FRAMES_AT_ONCE, LowBands, Report

PAST = 3  # frames before a crop that the networks hear, and that count for nothing
SCALES = ((144, 36), (384, 96))  # windows and hops of the spectra that are compared, in samples of the low band
SOFT = 2e-4  # magnitudes below which differences of logarithms count less
LOUDNESS = 0.1  # rms at which crops are compared


@dataclass(frozen=True)
class FilterTraining:
    """Settings of a filter's training.

    Attributes:
        batch, frames: items of a step, and frames of each.
        lr, end_lr: learning rate, and what share of it is left at the end.
        warmup: steps.
        gain_db: items are made louder or softer by up to this much, evenly over (low, high).
        min_rms: items that are softer than that are not learned from.
        few: share of the steps with a third of the levels or less.
        by_frame: share of the steps in which frames have as many levels as they deserve, of layers that code so.
        magnitude, fine, complex, ratio, pesq: weights of the losses.
        average: of the weights, steps that their moving average reaches back over at most.
    """

    batch: int = 8
    frames: int = 25
    lr: float = 1.5e-3
    end_lr: float = 0.02
    warmup: int = 100
    gain_db: tuple[float, float] = (-10.0, 5.0)
    min_rms: float = 2e-3
    few: float = 0.5
    by_frame: float = 0.7
    magnitude: float = 2.0
    fine: float = 0.15
    complex: float = 1.0
    ratio: float = 0.1
    pesq: float = 0.1
    average: int = 1000


@torch.no_grad()
def band_codes(layer: WaveformLayer, bands: LowBands, beams: int = 2, report: Report = print) -> list[Tensor]:
    """Codes int16 [levels, F] of all recordings."""
    layer.eval()
    size = FRAMES_AT_ONCE * layer.config.hops * layer.hop
    found = []
    begin = said = time.monotonic()
    for original, base in zip(bands.original, bands.base, strict=True):
        state = State()
        parts = [
            layer.encode_low(x[None].float(), y[None].float(), layer.config.levels, beams, state)[0]
            for x, y in zip(original.to(layer.taper.device).split(size), base.to(layer.taper.device).split(size))
        ]
        found.append(torch.cat(parts, -1).to(torch.int16).cpu())
        if time.monotonic() - said > 30:
            said = time.monotonic()
            report(f"codes of {len(found)} of {len(bands.original)} recordings after {said - begin:.0f} s")
    return found


class _Crops:
    """Crops of low bands and their codes."""

    def __init__(self, layer: WaveformLayer, bands: LowBands, codes: list[Tensor], config: FilterTraining, seed: int):
        self.layer, self.bands, self.codes, self.config = layer, bands, codes, config
        self.size = layer.config.hops * layer.hop
        self.random = torch.Generator().manual_seed(seed)
        rooms = [max(0, c.shape[1] - config.frames - PAST + 1) for c in codes]
        if not any(rooms):
            raise ModelError(f"there is no recording of {config.frames + PAST} frames")
        self.rooms = torch.tensor(rooms, dtype=torch.float)

    def batch(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Originals, bases and what the filter hears of these [B, n], codes [B, levels, F], the past included."""
        items: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []
        heard = self.bands.heard or self.bands.base
        count, (low, high) = self.config.frames + PAST, self.config.gain_db
        while len(items) < self.config.batch:
            place = int(torch.multinomial(self.rooms, 1, generator=self.random))
            first = int(torch.randint(int(self.rooms[place]), (), generator=self.random))
            part = slice(first * self.size, (first + count) * self.size)
            x = self.bands.original[place][part].float()
            gain = 1.0 if float(x.square().mean()) < self.config.min_rms**2 else self._gain(low, high)
            y, h = (band[place][part].float() for band in (self.bands.base, heard))
            codes = self.codes[place][:, first : first + count]
            items.append((x * gain, y * gain, h * gain, codes.long() & 0xFFFF))
        device = self.layer.taper.device
        x, y, h, codes = (torch.stack(part).to(device) for part in zip(*items, strict=True))
        return x, y, h, codes

    def chosen(self, base: Tensor, codes: Tensor) -> Tensor:
        """Codes [B, levels, F] with those of some levels alone, the same in all frames or as frames deserve."""
        levels = self.levels()
        if not self.layer.config.by_frame or float(torch.rand((), generator=self.random)) > self.config.by_frame:
            return codes[:, :levels]
        transform = self.layer.transform(base)
        plan = self.layer.plan(transform, self.layer.config.levels)
        priorities = self.layer.priorities(transform, plan).view(self.layer.config.levels, len(codes), -1)
        level = priorities.flatten().quantile(1 - levels / self.layer.config.levels)
        counts = self.layer.chosen_counts(priorities, float(level))
        return codes * (torch.arange(codes.shape[1], device=codes.device)[:, None] < counts.unsqueeze(1))

    def levels(self) -> int:
        """How many levels a step uses, on average."""
        most = self.layer.config.levels
        few = float(torch.rand((), generator=self.random)) < self.config.few
        top = max(1, most // 3) if few else most
        return int(torch.randint(1, top + 1, (), generator=self.random))

    def _gain(self, low: float, high: float) -> float:
        return 10 ** ((float(torch.rand((), generator=self.random)) * (high - low) + low) / 20)


def filter_losses(y: Tensor, x: Tensor, bins: float) -> dict[str, Tensor]:
    """Distances between a low band and the original [B, n]; `bins` is the share of the spectrum that counts."""
    size = x.square().mean(1, keepdim=True).sqrt() + 1e-4
    y, x = y / size * LOUDNESS, x / size * LOUDNESS
    magnitude, fine, complex_ = (y.new_zeros(()) for _ in range(3))
    for window, hop in SCALES:
        hann = torch.hann_window(window, device=y.device)
        count = int(bins * window / 2)
        made, wanted = (torch.fft.rfft(z.unfold(1, window, hop) * hann)[..., :count] * (2 / window) for z in (y, x))
        m, n = ((s.real.square() + s.imag.square() + 1e-7).sqrt() for s in (made, wanted))
        p, q = m.pow(COMPRESSION), n.pow(COMPRESSION)
        off = made * (p / m) - wanted * (q / n)
        magnitude = magnitude + (p - q).square().mean()
        fine = fine + ((m + SOFT).log() - (n + SOFT).log()).abs().mean() / len(SCALES)
        complex_ = complex_ + (off.real.square() + off.imag.square()).mean()
    ratio = ((y - x).square().sum(1) / x.square().sum(1).clamp_min(1e-9) + 0.01).log10().mean()
    return {"magnitude": 32 * magnitude, "fine": fine, "complex": 32 * complex_, "ratio": ratio}


def train_filter(
    model: Jodio,
    bands: LowBands,
    codes: list[Tensor],
    minutes: float,
    config: FilterTraining | None = None,
    seed: int = 0,
    report: Report = print,
) -> float:
    """Train the filter of a model's layer for so many minutes; gives the mean loss of the last ones.

    Raises:
        ModelError: if there is none, or no recording is long enough.
    """
    layer, config = model.waveform_layer, config or FilterTraining()
    if layer is None or layer.filter is None:
        raise ModelError(f"{model.config.name} has no filter behind a waveform layer")
    layer.eval().requires_grad_(False)
    filter_: LowBandFilter = layer.filter
    crops = _Crops(layer, bands, codes, config, seed)
    weights = {name: getattr(config, name) for name in ("magnitude", "fine", "complex", "ratio", "pesq")}
    pesq = PesqTerm(model.sample_rate // layer.config.decimation) if config.pesq else None
    share = layer.config.cutoff / (0.5 * model.sample_rate / layer.config.decimation)
    parameters = list(filter_.requires_grad_(True).train().parameters())
    average = [p.detach().clone() for p in parameters]
    optimizer = torch.optim.AdamW(parameters, lr=config.lr, betas=(0.9, 0.98), weight_decay=0.01)
    begin = said = time.monotonic()
    step, total, count, mean = 0, 0.0, 0, math.nan
    while (progress := (time.monotonic() - begin) / (60 * minutes)) < 1:
        fall = config.end_lr + (1 - config.end_lr) * 0.5 * (1 + math.cos(math.pi * progress))
        for group in optimizer.param_groups:
            group["lr"] = config.lr * min(1.0, (step + 1) / config.warmup) * fall
        original, base, heard, searched = crops.batch()
        y, x = _filtered(layer, filter_, original, (base, heard), crops.chosen(base, searched))
        terms = filter_losses(y, x, share)
        if pesq is not None:
            heard = x.square().mean(1).sqrt() > config.min_rms
            if bool(heard.any()):
                terms["pesq"] = pesq(y[heard], x[heard]).mean()
        loss = torch.stack([weights[name] * term for name, term in terms.items()]).sum()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        step, total, count = step + 1, total + float(loss.detach()), count + 1
        with torch.no_grad():
            for own, kept in zip(parameters, average, strict=True):
                kept.lerp_(own, max(1 / config.average, 1 / (step + 1)))
        if time.monotonic() - said > 30:
            mean = total / count
            report(f"step {step}  filter loss {mean:.4f}")
            said, total, count = time.monotonic(), 0.0, 0
    with torch.no_grad():
        for own, kept in zip(parameters, average, strict=True):
            own.copy_(kept)
    filter_.eval().requires_grad_(False)
    mean = total / count if count else mean
    report(f"step {step}  filter loss {mean:.4f}")
    return mean


def _filtered(
    layer: WaveformLayer, filter_: LowBandFilter, original: Tensor, bases: tuple[Tensor, Tensor], codes: Tensor
) -> tuple[Tensor, Tensor]:
    """What comes out of the filter, and what should, [B, n] without the past."""
    base, heard = bases
    with torch.no_grad():
        decoded, late = layer.low_bands(codes, base, State(), heard)
    change = filter_(decoded, late, layer.shares(layer.used(codes)[1]))
    delay = filter_.config.delay
    made = decoded[:, : -delay or None] + change[:, delay:]
    first = PAST * layer.config.hops * layer.hop
    # The low band is a hop late against the original, and the last window lacks its other half.
    return made[:, first + layer.hop :], original[:, first : first + made.shape[1] - first - layer.hop]

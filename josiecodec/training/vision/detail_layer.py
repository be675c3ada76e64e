"""Training a picture codec's detail layer on pictures, through its base as it is.

First the network learns what symbols cost, with symbols as an encoder would choose them at that moment; then symbols
are chosen for all crops and counted for the tables, and the filter learns to undo what their steps have cut.
"""

from __future__ import annotations

import copy
import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from ...coding.detail import ChosenDetail, DetailCoder
from ...coding.detail_bits import size_chances
from ...coding.jovio import Jovio
from ...coding.shape_map import USUAL_BITS
from ...errors import ModelError
from ...nn.convnext2d import ConvNeXtBlock2d
from ...vision.block_arrays import COEFFICIENTS
from ...vision.block_shapes import to_shapes
from ...vision.config import DetailConfig
from ...vision.convnet import ConvDecoder
from ...vision.detail_layer import MAX_SYMBOL, SHRINK, DetailLayer
from ...vision.detail_steps import STEPS, DetailSteps
from .detail_coding import begin_coding, count_sizes, learn_coding, sizes_by_scale
from .detail_data import DetailCrops, Report
from .detail_network import (
    DrawnSteps,
    TrainedNetwork,
    chosen_symbols,
    frequencies,
    laplacian_frequencies,
    log_scale,
    symbol_bits,
)
from .detail_shapes import best_shapes, in_their_shapes, shape_places

BASES = 3  # every so many-th crop is one of a base alone
HELD_OUT = 20  # every so many-th crop is judged on
LEARNED_FROM = 400  # crops that contexts learn from
PRIOR = 20.0  # symbols of each scale that are assumed before any are counted
REPORT_SECONDS = 60
StepLoss = Callable[[], Tensor]
Judge = Callable[[], float]


@dataclass(frozen=True)
class DetailTraining:
    """Settings of a layer's training.

    Attributes:
        batch: crops of a step.
        lr: learning rate, which falls to nothing over the second half.
        warmup: steps.
        average: decay of the averaged weights, which are what is kept.
        steps: range of the steps that symbols are drawn with.
        weighting: range of the powers of the weight of an error in structural similarity, see `picture_base.Tuning`.
        crop: side of the crops that the filter learns from.
    """

    batch: int = 6
    lr: float = 2e-3
    warmup: int = 200
    average: float = 0.997
    steps: tuple[int, int] = (0, STEPS)
    weighting: tuple[float, float] = (0.0, 0.5)
    crop: int = 192


def add_detail_layer(codec: Jovio, config: DetailConfig, name: str) -> Jovio:
    """The same codec with a detail layer that has learned nothing yet.

    Raises:
        ModelError: if it has one, or its decoder does not begin with a linear transform of patches.
    """
    if codec.config.detail is not None:
        raise ModelError("the model has a detail layer")
    if not isinstance(codec.decoder, ConvDecoder):
        raise ModelError("a detail layer needs a convolutional decoder")
    made = Jovio(dataclasses.replace(codec.config, name=name, detail=config))
    made.load_state_dict(codec.state_dict(), strict=False)
    made.settings, made.tables = codec.settings, codec.tables
    layer = layer_of(made)
    TrainedNetwork(made, config, tensors(layer)).export(layer)
    if config.states > 1:
        begin_coding(layer, sizes_by_scale(config.scales))
    else:
        layer.tensor("frequencies").copy_(laplacian_frequencies(config.scales))
    return made.eval().requires_grad_(False)


def grown_layer(codec: Jovio, name: str, filter_blocks: int, bases: bool) -> Jovio:
    """The same codec with a filter of so many blocks, new ones idle at first, that smooths bases, too, if asked to.

    Raises:
        ModelError: if the model has no detail layer, or more blocks.
    """
    config = layer_of(codec).config
    if filter_blocks < config.filter_blocks:
        raise ModelError(f"the filter has {config.filter_blocks} blocks, which is more than {filter_blocks}")
    config = dataclasses.replace(config, filter_blocks=filter_blocks, bases=bases or config.bases)
    made = Jovio(dataclasses.replace(codec.config, name=name, detail=config))
    made.load_state_dict(codec.state_dict(), strict=False)
    made.settings, made.tables = codec.settings, codec.tables
    for block in list(layer_of(made).filter_blocks.children())[layer_of(codec).config.filter_blocks :]:
        assert isinstance(block, ConvNeXtBlock2d)
        nn.init.zeros_(block.contract.weight)
        nn.init.zeros_(block.contract.bias)
    return made.eval().requires_grad_(False)


def layer_of(codec: Jovio) -> DetailLayer:
    """The detail layer of a model.

    Raises:
        ModelError: if it has none.
    """
    if codec.detail is None:
        raise ModelError("the model has no detail layer")
    return codec.detail


def tensors(layer: DetailLayer) -> tuple[Tensor, ...]:
    """Coefficients of each pass."""
    return tuple(torch.from_numpy(members) for members in layer.passes)


def train_network(
    codec: Jovio, crops: DetailCrops, minutes: float, config: DetailTraining | None = None, report: Report = print
) -> float:
    """Train the network that says what symbols to expect; bits a pixel of crops that are held out."""
    config, layer = config or DetailTraining(), layer_of(codec)
    scales, dependent = layer.config.scales, layer.config.states > 1
    network = TrainedNetwork(codec, layer.config, tensors(layer))
    network.start_from(layer)
    network.to(codec.device)
    kept = copy.deepcopy(network).requires_grad_(False)
    learned, held_out = _split(crops.to(codec.device))
    random = torch.Generator().manual_seed(0)
    optimizer = torch.optim.AdamW(network.parameters(), config.lr, betas=(0.9, 0.98), weight_decay=0.01)

    def bits(model: TrainedNetwork, part: DetailCrops, steps: DrawnSteps, weighting: Tensor) -> Tensor:
        wanted, latents = part.missing() / steps.sizes, part.latents.float()
        with torch.no_grad():
            first = (wanted.abs() + 0.38).floor() * wanted.sign()
            found, price, shapes = kept(latents, part.counts, steps, first), part.prices(weighting, dependent), None
            if layer.config.shapes > 1:
                shapes = _shapes(kept, part, steps, found, price)
                wanted = in_their_shapes(part.missing(), shapes) / steps.sizes
                first = (wanted.abs() + 0.38).floor() * wanted.sign()
                found = kept(latents, part.counts, steps, first, shapes)
            symbols = chosen_symbols(wanted, log_scale(found.floor(), scales), price)
        expected = log_scale(model(latents, part.counts, steps, symbols, shapes), scales)
        return symbol_bits(symbols, expected).sum() / (wanted.numel() / 3)

    @torch.no_grad()
    def judge() -> float:
        found, middle = 0.0, sum(config.weighting) / 2
        for places in torch.arange(len(held_out)).split(config.batch):
            indexes = torch.linspace(36, 108, len(places)).round().int().tolist()
            steps = DrawnSteps(
                [DetailSteps(i, n % layer.config.strengths) for n, i in enumerate(indexes)], codec.device
            )
            weighting = torch.full((len(places),), middle)
            found += float(bits(kept, held_out.chosen(places), steps, weighting)) * len(places)
        return found / len(held_out)

    def step_loss() -> Tensor:
        index = torch.randint(len(learned), (config.batch,), generator=random)
        steps = DrawnSteps(_drawn(config, layer, config.batch, random), codec.device)
        return bits(network, learned.chosen(index), steps, _weighting(config, config.batch, random))

    _descend(network, kept, optimizer, step_loss, judge, minutes, config, "bits a pixel", report)
    kept.export(layer)
    return judge()


@torch.no_grad()
def count_symbols(
    codec: Jovio, crops: DetailCrops, config: DetailTraining | None = None, report: Report = print
) -> tuple[Tensor, list[DetailSteps], list[np.ndarray | None]]:
    """Choose symbols for all crops at random steps, and make the tables of what was chosen; levels int8
    [N, S / 8, S / 8, 192], the steps of each, and the shapes of its blocks. Where bases are smoothed, too, every
    `BASES`-th crop has no coefficients, and the last step."""
    config, layer = config or DetailTraining(), layer_of(codec)
    random = torch.Generator().manual_seed(1)
    steps, weighting = _drawn(config, layer, len(crops), random), _weighting(config, len(crops), random)
    counted = _Counted(layer)
    coder, found = DetailCoder(layer), []
    shapes: list[np.ndarray | None] = []
    for number, each in enumerate(steps):
        if layer.config.bases and number % BASES == BASES - 1:
            steps[number] = DetailSteps(STEPS - 1, each.strength)
            found.append(torch.zeros(*(2 * n for n in crops.counts.shape[1:]), COEFFICIENTS, dtype=torch.int8))
            shapes.append(None)
            continue
        crop = crops.chosen(torch.tensor([number]))
        wanted = crop.missing()[0].cpu().numpy()
        base = crop.latents[0].cpu().numpy().astype(np.int64), crop.counts[0].cpu().numpy()
        price = crop.prices(weighting[number : number + 1], coder.dependent)[0].cpu().numpy()
        shaped = coder.shapes_for(*base, wanted, each, price)
        wanted = wanted if shaped is None else to_shapes(wanted, shaped)
        chosen = coder.choose(*base, wanted / each.sizes(), each, price, shapes=shaped)
        shapes.append(shaped)
        found.append(torch.from_numpy(chosen.levels.clip(-127, 127).astype(np.int8)))
        counted.add(chosen)
    counted.put()
    report(f"symbols of {len(crops)} crops counted")
    return torch.stack(found), steps, shapes


class _Counted:
    """Tables of symbols in the making."""

    def __init__(self, layer: DetailLayer):
        self.layer, self.dependent = layer, layer.config.states > 1
        if self.dependent:
            self.sizes = PRIOR * size_chances(layer.numbers("decisions"))
            self.kept: list[ChosenDetail] = []
        else:
            before = layer.tensor("frequencies").double()
            self.counted = PRIOR * before / before.sum(1, keepdim=True)

    def add(self, chosen: ChosenDetail) -> None:
        if self.dependent:
            count_sizes(chosen, self.sizes)
            self.kept = [*self.kept, chosen][-LEARNED_FROM:]
            return
        for table, values in chosen.streams():
            place = table * (2 * MAX_SYMBOL + 1) + values.clip(-MAX_SYMBOL, MAX_SYMBOL) + MAX_SYMBOL
            more = torch.from_numpy(np.bincount(place, minlength=self.counted.numel()))
            self.counted += more.view(self.counted.shape).to(self.counted)

    def put(self) -> None:
        """Give them to the layer."""
        if self.dependent:
            begin_coding(self.layer, self.sizes)
            learn_coding(self.layer, self.kept)
        else:  # either sign is as likely
            self.layer.tensor("frequencies").copy_(frequencies(self.counted + self.counted.flip(1)))


def train_filter(
    codec: Jovio,
    crops: DetailCrops,
    symbols: Tensor,
    steps: list[DetailSteps],
    shapes: list[np.ndarray | None],
    minutes: float,
    config: DetailTraining | None = None,
    report: Report = print,
) -> float:
    """Train the filter; dB that it gains on crops that are held out."""
    config, layer = config or DetailTraining(), layer_of(codec)
    network = _FilterParts(copy.deepcopy(layer)).requires_grad_(True)
    kept = copy.deepcopy(network).requires_grad_(False)
    crops, symbols = crops.to(codec.device), symbols.to(codec.device)
    order = torch.arange(len(crops))
    learned, held_out = order[order % HELD_OUT != 0], order[order % HELD_OUT == 0]
    random = torch.Generator().manual_seed(2)
    optimizer = torch.optim.AdamW(network.parameters(), config.lr, weight_decay=0.01)

    def gain(model: _FilterParts, index: Tensor, cut: int) -> Tensor:
        pictures, bases = crops.chosen(index).floats()
        residuals = torch.cat([layer.residual(symbols[i], steps[i], shapes[i]) for i in index.tolist()])
        side = pictures.shape[-1]
        if cut < side:
            top, left = (8 * int(torch.randint((side - cut) // 8 + 1, (), generator=random)) for _ in range(2))
            window = (..., slice(top, top + cut), slice(left, left + cut))
            pictures, bases, residuals = pictures[window], bases[window], residuals[window]
        drawn = DrawnSteps([steps[i] for i in index.tolist()], codec.device)
        before = (pictures - bases - residuals).square().mean((1, 2, 3))
        after = (
            (pictures - model.layer.filtered(bases, residuals, drawn.known, drawn.strength)).square().mean((1, 2, 3))
        )
        return -10 * ((after + 1e-6) / (before + 1e-6)).log10().mean()

    @torch.no_grad()
    def judge() -> float:
        places = held_out.split(config.batch)
        return sum(float(gain(kept, p, crops.pictures.shape[-1])) * len(p) for p in places) / len(held_out)

    def step_loss() -> Tensor:
        index = learned[torch.randint(len(learned), (config.batch,), generator=random)]
        return -gain(network, index, config.crop)

    _descend(network, kept, optimizer, step_loss, judge, minutes, config, "dB lost", report)
    gained = judge()
    if gained > 0:  # else it stays as it was
        layer.load_state_dict(kept.layer.state_dict())
    return gained


class _FilterParts(nn.Module):
    """A layer of which only the filter is trained: its network of whole numbers has no gradients."""

    layer: DetailLayer

    def __init__(self, layer: DetailLayer):
        super().__init__()
        self.layer = layer


def _shapes(network: TrainedNetwork, part: DetailCrops, steps: DrawnSteps, found: Tensor, price: Tensor) -> Tensor:
    """Shapes of blocks as an encoder would choose them, from the scales found for blocks of 8 x 8."""
    scales = network.config.scales
    zero = torch.zeros(*part.counts.shape, dtype=torch.long, device=found.device)
    level = found + steps.shifts - network.offsets[shape_places(zero)]

    def cost(x: Tensor, shaped: Tensor) -> tuple[Tensor, Tensor]:
        expected = log_scale((shaped - steps.shifts).floor(), scales)
        symbols = chosen_symbols(x, expected, price)
        return (x - symbols + SHRINK * symbols.sign()).square() / price, symbol_bits(symbols, expected)

    return best_shapes(part.missing(), steps.sizes, level, network.offsets, cost, torch.tensor(USUAL_BITS))


def _drawn(config: DetailTraining, layer: DetailLayer, count: int, random: torch.Generator) -> list[DetailSteps]:
    """Random steps."""
    low, high = config.steps
    indexes = torch.randint(low, high, (count,), generator=random).tolist()
    strengths = torch.randint(layer.config.strengths, (count,), generator=random).tolist()
    return [DetailSteps(index, strength) for index, strength in zip(indexes, strengths)]


def _weighting(config: DetailTraining, count: int, random: torch.Generator) -> Tensor:
    """Random powers [count]."""
    low, high = config.weighting
    return low + (high - low) * torch.rand(count, generator=random)


def _split(crops: DetailCrops) -> tuple[DetailCrops, DetailCrops]:
    order = torch.arange(len(crops))
    return crops.chosen(order[order % HELD_OUT != 0]), crops.chosen(order[order % HELD_OUT == 0])


def _descend(
    network: nn.Module,
    kept: nn.Module,
    optimizer: torch.optim.Optimizer,
    step_loss: StepLoss,
    judge: Judge,
    minutes: float,
    config: DetailTraining,
    what: str,
    report: Report,
) -> None:
    """Make a loss less for so long, and average the weights into `kept`."""
    begin = said = time.monotonic()
    step, total, count = 0, 0.0, 0
    while (share := (time.monotonic() - begin) / (60 * minutes)) < 1:
        for group in optimizer.param_groups:
            group["lr"] = config.lr * min(1.0, (step + 1) / config.warmup) * min(1.0, 2 * (1 - share))
        value = step_loss()
        optimizer.zero_grad()
        value.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 0.5)
        optimizer.step()
        step, total, count = step + 1, total + float(value.detach()), count + 1
        with torch.no_grad():
            decay = min(config.average, (1 + step) / (10 + step))
            for old, new in zip(kept.parameters(), network.parameters()):
                old.lerp_(new, 1 - decay)
        if time.monotonic() - said > REPORT_SECONDS:
            left = 60 * minutes * (1 - share)
            report(f"step {step}  {what} {total / count:.4f}  held out {judge():.4f}  {left:.0f} s left")
            said, total, count = time.monotonic(), 0.0, 0
    report(f"step {step}  held out {judge():.4f}")

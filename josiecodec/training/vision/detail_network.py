"""The network of a detail layer as it is trained: numbers are rounded as `vision/detail_network.py` has them, and
gradients go through the rounding as if it were not there."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...coding.jovio import Jovio
from ...nn.convnext2d import unmerge
from ...vision.block_shapes import PLACES
from ...vision.block_transform import COEFFICIENTS, to_coefficients
from ...vision.config import DetailConfig
from ...vision.convnet import ConvDecoder
from ...vision.detail_layer import MAX_SYMBOL, SHRINK, DetailLayer
from ...vision.detail_network import ACTIVATION, FAR, LATENT, LIMIT, MAX_COUNT, NEAR, PER_SCALE, WEIGHT
from ...vision.detail_steps import PER_KNOWN, RATIO, STEPS, DetailSteps
from .detail_shapes import in_shapes, shape_places

SMALLEST = -2.5  # logarithm of the first scale, in units of the step
BIAS = ACTIVATION * WEIGHT  # units of what is added to a sum of products
HIGHEST = LIMIT / ACTIVATION


def log_scale(index: Tensor, scales: int) -> Tensor:
    """Logarithm of the scale with an index, in units of the step; those that are not coded count as the index -1."""
    return SMALLEST + RATIO * index.clamp(-1, scales - 1)


def symbol_bits(symbols: Tensor, log_scales: Tensor) -> Tensor:
    """Bits of whole numbers whose sources are Laplacian with these scales."""
    scale = log_scales.exp()
    zero = -torch.log1p(-torch.exp(-0.5 / scale) + 1e-9)
    other = math.log(2) + (symbols.abs() - 0.5) / scale - torch.log1p(-torch.exp(-1 / scale) + 1e-9)
    return torch.where(symbols == 0, zero, other) / math.log(2)


def chosen_symbols(wanted: Tensor, log_scales: Tensor, bit_price: Tensor) -> Tensor:
    """Whole numbers for coefficients in units of their steps, as an encoder chooses them if these are their scales and
    `bit_price` is the price of their bits, in units of the steps squared."""
    size = wanted.abs()
    above = (size + 0.5).floor().clamp_min(1)
    below = above - 1
    dearer = (size - above + SHRINK).square() + bit_price * symbol_bits(above, log_scales)
    cheaper = (size - below + SHRINK * (below > 0)).square() + bit_price * symbol_bits(below, log_scales)
    chosen = torch.where(dearer < cheaper, above, below)
    return torch.where(size > 0.5, chosen, torch.zeros_like(chosen)) * wanted.sign()


class DrawnSteps:
    """Steps of each of N crops, as tensors.

    Attributes:
        each: of the crops.
        known, strength: integers [N], as networks take them.
        sizes: float [N, 1, 1, 192], of each coefficient, in units of 8-bit pixels.
        shifts: integers [N, 1, 1, 192], see `DetailSteps.shifts`.
    """

    def __init__(self, each: Sequence[DetailSteps], device: torch.device):
        def stacked(values: list[np.ndarray]) -> Tensor:
            return torch.from_numpy(np.stack(values))[:, None, None].to(device)

        self.each = list(each)
        self.known, self.strength = (
            torch.tensor(values, device=device) for values in ([s.known for s in each], [s.strength for s in each])
        )
        self.sizes = stacked([s.sizes() for s in each]).float()
        self.shifts = stacked([s.shifts() for s in each])


class TrainedNetwork(nn.Module):
    """Latents and level counts of patches, their steps and symbols -> indices of scales.

    Args:
        codec: whose linear decoder says what a base looks like.
        config: of the layer.
        passes: coefficients of each pass.
    """

    matrix: Tensor
    offset: Tensor

    def __init__(self, codec: Jovio, config: DetailConfig, passes: tuple[Tensor, ...]):
        super().__init__()
        self.passes, self.config, width = passes, config, config.channels
        matrix, offset = linear_coefficients(codec)
        self.register_buffer("matrix", matrix)
        self.register_buffer("offset", offset)
        self.input = _Linear(COEFFICIENTS, width)
        self.count = nn.Parameter(torch.zeros(MAX_COUNT + 1, width))
        self.step = nn.Parameter(torch.zeros(-(-STEPS // PER_KNOWN), width))
        self.strength: nn.Parameter | None = None
        if config.strengths > 1:
            self.strength = nn.Parameter(torch.zeros(config.strengths, width))
        self.shape: nn.Parameter | None = None
        if config.shapes > 1:
            self.shape = nn.Parameter(torch.zeros(PLACES * config.shapes, width))
            self.offsets = nn.Parameter(torch.zeros(PLACES * config.shapes, COEFFICIENTS))
        self.blocks = nn.ModuleList(_Block(width, config.expansion) for _ in range(sum(config.blocks)))
        self.seen = nn.ModuleList(_Linear(2 * len(members), width) for members in passes[:-1])
        self.heads = nn.ModuleList(_Linear(width, len(members)) for members in passes)
        for head in self.heads:
            assert isinstance(head, nn.Linear)
            nn.init.zeros_(head.weight)
            nn.init.constant_(head.bias, 5.0)

    def forward(
        self, latents: Tensor, counts: Tensor, steps: DrawnSteps, symbols: Tensor, shapes: Tensor | None = None
    ) -> Tensor:
        """Indices of scales [N, 2 h, 2 w, 192], not rounded.

        Args:
            latents: float [N, h, w, D] in units of 1 / `LATENT`.
            counts: integers [N, h, w].
            steps: of N.
            symbols: float [N, 2 h, 2 w, 192].
            shapes: integers [N, h, w], of the blocks of each patch; None for 8 x 8.
        """
        n, h, w, d = latents.shape
        x = (latents.reshape(-1, d) / LATENT) @ self.matrix + self.offset
        x = x.view(n, h, w, 2, 2, -1).permute(0, 1, 3, 2, 4, 5).reshape(n, 2 * h, 2 * w, -1)
        counts = counts.long().clamp_max(MAX_COUNT).repeat_interleave(2, 1).repeat_interleave(2, 2)
        side = _weight(self.count)[counts] + _weight(self.step)[steps.known][:, None, None]
        if self.strength is not None:
            side = side + _weight(self.strength)[steps.strength][:, None, None]
        if self.shape is not None:
            shapes = torch.zeros(n, h, w, dtype=torch.long, device=x.device) if shapes is None else shapes
            side = side + _weight(self.shape)[shape_places(shapes)]
        x = _activation(self.input(_floor(x.sign() * torch.log2(1 + x.abs()))) + side)
        found, done = torch.zeros_like(symbols), 0
        for number, members in enumerate(self.passes):
            for block in self.blocks[done : done + self.config.blocks[number]]:
                x = block(x)
            done += self.config.blocks[number]
            level = _floor(self.heads[number](x)) * (ACTIVATION / PER_SCALE)
            if self.shape is not None and shapes is not None:
                level = in_shapes(level, shapes, self.offsets[:, members])
            found[..., members] = level
            if number < len(self.seen):
                own = symbols[..., members]
                own = torch.cat([own.clamp(-NEAR, NEAR), own.abs().clamp_max(FAR)], -1)
                x = _activation(x + self.seen[number](own))
        return found - steps.shifts

    @torch.no_grad()
    def export(self, layer: DetailLayer) -> None:
        """Write the numbers into a layer."""

        def put(name: str, value: Tensor, unit: int) -> None:
            layer.tensor(name).copy_((value.double() * unit).round())

        def linear(name: str, module: nn.Module) -> None:
            assert isinstance(module, nn.Linear)
            put(f"{name}.weight", module.weight, WEIGHT)
            put(f"{name}.bias", _weight(module.bias), BIAS)

        put("matrix", self.matrix, WEIGHT)
        put("offset", self.offset, WEIGHT * LATENT)
        put("count", _weight(self.count), BIAS)
        put("step", _weight(self.step), BIAS)
        if self.strength is not None:
            put("strength", _weight(self.strength), BIAS)
        if self.shape is not None:
            put("shape", _weight(self.shape), BIAS)
            put("offsets", self.offsets, PER_SCALE)
        linear("input", self.input)
        for k, block in enumerate(self.blocks):
            assert isinstance(block, _Block)
            put(f"blocks.{k}.depth.weight", block.depth[:, 0].flatten(1).t(), WEIGHT)
            put(f"blocks.{k}.depth.bias", _weight(block.depth_bias), BIAS)
            linear(f"blocks.{k}.expand", block.expand)
            linear(f"blocks.{k}.contract", block.contract)
        for name, modules in (("seen", self.seen), ("heads", self.heads)):
            for k, module in enumerate(modules):
                linear(f"{name}.{k}", module)

    @torch.no_grad()
    def start_from(self, layer: DetailLayer) -> None:
        """Take over the numbers of a layer."""

        def get(name: str, unit: int) -> Tensor:
            return layer.tensor(name).float() / unit

        def linear(name: str, module: nn.Module) -> None:
            assert isinstance(module, nn.Linear)
            module.weight.copy_(get(f"{name}.weight", WEIGHT))
            module.bias.copy_(get(f"{name}.bias", BIAS))

        self.count.copy_(get("count", BIAS))
        self.step.copy_(get("step", BIAS))
        if self.strength is not None and "strength" in layer.names:
            self.strength.copy_(get("strength", BIAS))
        if self.shape is not None and "shape" in layer.names:
            self.shape.copy_(get("shape", BIAS))
            self.offsets.copy_(get("offsets", PER_SCALE))
        linear("input", self.input)
        for k, block in enumerate(self.blocks):
            assert isinstance(block, _Block)
            block.depth.copy_(get(f"blocks.{k}.depth.weight", WEIGHT).t().reshape(block.depth.shape))
            block.depth_bias.copy_(get(f"blocks.{k}.depth.bias", BIAS))
            linear(f"blocks.{k}.expand", block.expand)
            linear(f"blocks.{k}.contract", block.contract)
        for name, modules in (("seen", self.seen), ("heads", self.heads)):
            for k, module in enumerate(modules):
                linear(f"{name}.{k}", module)


def linear_coefficients(codec: Jovio) -> tuple[Tensor, Tensor]:
    """The linear part of a decoder as a map from latents to coefficients of a patch's four blocks, in units of 8-bit
    pixels: [D, 768] and [768]."""
    assert isinstance(codec.decoder, ConvDecoder)
    linear, patch = codec.decoder.linear, codec.patch
    rows = torch.cat([linear.weight.detach().t(), (linear.bias.detach() + 0.5)[None]]).float().cpu()
    pictures = unmerge(rows.view(len(rows), 1, 1, -1), patch).permute(0, 3, 1, 2)
    found = 255 * to_coefficients(pictures).reshape(len(rows), -1)
    return found[:-1], found[-1]


def laplacian_frequencies(scales: int) -> Tensor:
    """Frequencies of symbols before any were counted, int32 [scales, 2 * MAX_SYMBOL + 1]."""
    symbols = torch.arange(-MAX_SYMBOL, MAX_SYMBOL + 1).float()
    log_scales = log_scale(torch.arange(scales).float(), scales)[:, None].expand(-1, len(symbols))
    return frequencies(torch.exp2(-symbol_bits(symbols.expand_as(log_scales), log_scales)).double())


def frequencies(weights: Tensor, total: int = 1 << 15) -> Tensor:
    """Whole numbers of at least 1 in the proportion of weights [scales, symbols], `total` in each row: int32."""
    share = weights / weights.sum(1, keepdim=True)
    found = (share * (total - weights.shape[1])).floor().long() + 1
    found[torch.arange(len(found)), found.argmax(1)] += total - found.sum(1)
    return found.int()


class _Linear(nn.Linear):
    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, _weight(self.weight), _weight(self.bias))


class _Block(nn.Module):
    def __init__(self, width: int, expansion: int):
        super().__init__()
        self.depth = nn.Parameter(torch.randn(width, 1, 3, 3) * 0.1)
        self.depth.data[:, :, 1, 1] += 0.5
        self.depth_bias = nn.Parameter(torch.zeros(width))
        self.expand, self.contract = _Linear(width, width * expansion), _Linear(width * expansion, width)
        self.contract.weight.data *= 0.1
        nn.init.zeros_(self.contract.bias)

    def forward(self, x: Tensor) -> Tensor:
        weight, bias = _weight(self.depth), _weight(self.depth_bias)
        y = F.conv2d(x.permute(0, 3, 1, 2), weight, bias, padding=1, groups=len(bias)).permute(0, 2, 3, 1)
        return _activation(x + self.contract(_activation(self.expand(_activation(y))).relu()))


def _floor(x: Tensor) -> Tensor:
    return x + ((x * ACTIVATION).floor() / ACTIVATION - x).detach()


def _activation(x: Tensor) -> Tensor:
    return _floor(x.clamp(-HIGHEST, HIGHEST))


def _weight(x: Tensor) -> Tensor:
    return x + ((x * WEIGHT).round() / WEIGHT - x).detach()

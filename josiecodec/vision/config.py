"""Configuration of a JOVIO model, as it is stored in `config.json` beside the weights."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import Literal

from ..errors import ConfigError
from ..quantization.config import ResidualQuantizerConfig
from ..settings import EncoderSettings

MAX_STRENGTHS = 16  # of quantization matrices
MAX_SHAPES = 4  # of blocks of a detail layer
MAX_STATES = 8  # of its dependent quantization


@dataclass(frozen=True)
class ConvConfig:
    """A convolutional network around a linear transform (`vision/convnet.py`).

    Attributes:
        kind: "conv".
        fine: pixels a side of a place of the fine grid; the patch is a multiple.
        fine_channels, fine_blocks: width and depth on the fine grid.
        channels, blocks: width and depth on the grid of patches.
        fine_kernel, kernel: of the depthwise convolutions on the two grids.
        expansion: width of hidden layers in multiples of the channels.
    """

    kind: Literal["conv"] = "conv"
    fine: int = 4
    fine_channels: int = 64
    fine_blocks: int = 2
    channels: int = 256
    blocks: int = 4
    fine_kernel: int = 5
    kernel: int = 3
    expansion: int = 3

    def __post_init__(self) -> None:
        if self.fine < 1 or self.kernel % 2 == 0 or self.fine_kernel % 2 == 0:
            raise ConfigError("conv: the fine grid must be at least 1, and kernels odd")


@dataclass(frozen=True)
class VitConfig:
    """A vision transformer on the grid of patches (`vision/vit.py`).

    Attributes:
        kind: "vit".
        channels: width.
        layers: blocks, each with attention inside the picture, attention to the same place in earlier pictures,
            and a feed-forward layer.
        heads: of either attention.
        hidden: width of the feed-forward layer.
        theta: base of the rotary frequencies.
        chunked: give the three axes a share each of one row of frequencies, time first (M-RoPE as published);
            else every axis has a full row of its own.
        window: attention inside the picture is limited to squares of so many patches a side in pictures that
            are larger; 0 for never.
        max_frames: groups that a group can look back, itself included.
    """

    kind: Literal["vit"] = "vit"
    channels: int = 512
    layers: int = 8
    heads: int = 16
    hidden: int = 2048
    theta: float = 500000.0
    chunked: bool = False
    window: int = 32
    max_frames: int = 12

    def __post_init__(self) -> None:
        if self.heads < 1 or self.channels % self.heads or (self.channels // self.heads) % 2:
            raise ConfigError("vit: channels must be an even multiple of heads")


@dataclass(frozen=True)
class DetailConfig:
    """A detail layer (`vision/detail_layer.py`).

    Attributes:
        splits: where in the zigzag order of a block each pass ends, for brightness and for colours.
        channels, expansion: widths of the network of whole numbers.
        blocks: how many of its blocks come before each pass.
        scales: sizes that a coefficient can be expected to have.
        strengths: quantization matrices that the layer knows, see `vision/detail_steps.py`; 1 for none.
        shapes: of blocks that the layer knows, see `vision/block_shapes.py`; 1 for 8 x 8 alone.
        states: of the machine of dependent quantization, see `vision/dependent_steps.py`; 1 for none.
        bases: whether a base without coefficients can be smoothed, too.
        fine: pixels a side of a place of the filter's grid.
        filter_channels, filter_blocks, filter_kernel: widths, depth and kernels of the filter.
    """

    splits: tuple[tuple[int, ...], ...] = ((6, 21, 64), (1, 6, 64))
    channels: int = 128
    expansion: int = 2
    blocks: tuple[int, ...] = (3, 1, 1)
    scales: int = 40
    strengths: int = 1
    shapes: int = 1
    states: int = 1
    bases: bool = False
    fine: int = 4
    filter_channels: int = 64
    filter_blocks: int = 4
    filter_kernel: int = 5

    def __post_init__(self) -> None:
        good = len(self.splits) == 2 and len(self.splits[0]) == len(self.splits[1]) == len(self.blocks) > 0
        for ends in self.splits:
            good = good and all(a < b for a, b in itertools.pairwise((0, *ends))) and ends[-1] == 64
        if not good:
            raise ConfigError("detail: splits must rise to 64, with as many passes in both rows as in blocks")
        sizes = (self.channels, self.expansion, self.scales, self.strengths, self.fine, self.filter_channels)
        if min(sizes) < 1 or self.strengths > MAX_STRENGTHS or 16 % self.fine:
            raise ConfigError("detail: sizes must be positive, and the fine grid divide 16")
        if self.shapes not in (1, MAX_SHAPES):
            raise ConfigError(f"detail: there are 1 or {MAX_SHAPES} shapes of blocks")
        if self.states not in (1, MAX_STATES):
            raise ConfigError(f"detail: there are 1 or {MAX_STATES} states")
        if min(self.blocks) < 0 or self.filter_blocks < 0 or self.filter_kernel % 2 == 0:
            raise ConfigError("detail: blocks must not be negative, and kernels odd")


@dataclass(frozen=True)
class JovioConfig:
    """A whole JOVIO model.

    Attributes:
        name: of the preset or the trained model.
        patch: side of a patch in pixels.
        group: pictures of a video coded together after the first, 1 or 2.
        latent_dim: numbers that describe a patch before they are quantized.
        quantizer: see `ResidualQuantizerConfig`; its codebooks compare latents as they are.
        encoding: how its encoder looks for codes where the caller does not say; no part of its identity.
        starts: for modes 1 to 3 of a patch of a video, from which level on the leftover of its prediction
            is coded.
        encoder, decoder: the networks.
        detail: of the detail layer of still pictures, or None.
    """

    name: str = "jovio"
    patch: int = 16
    group: int = 2
    latent_dim: int = 96
    quantizer: ResidualQuantizerConfig = field(default_factory=ResidualQuantizerConfig)
    starts: tuple[int, ...] = (1, 4, 8)
    encoding: EncoderSettings = field(default_factory=EncoderSettings)
    encoder: ConvConfig | VitConfig = field(default_factory=ConvConfig)
    decoder: ConvConfig | VitConfig = field(default_factory=lambda: ConvConfig(channels=320, blocks=7, fine_blocks=3))
    detail: DetailConfig | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.patch <= 255:
            raise ConfigError("jovio: patch must be in 1..255")
        if self.group not in (1, 2):
            raise ConfigError("jovio: group must be 1 or 2")
        if not 1 <= self.encoding.n_q <= self.n_q:
            raise ConfigError(f"encoding: n_q must be in 1..{self.n_q}")
        if len(self.starts) != 3 or any(not 0 <= s < self.n_q for s in self.starts):
            raise ConfigError("jovio: starts must be three levels")
        if self.quantizer.code_dim or self.quantizer.normalize or self.quantizer.update == "gradient":
            raise ConfigError("jovio: codebooks must compare latents as they are (code_dim 0, update ema)")
        if self.detail is not None and self.patch != 16:
            raise ConfigError("jovio: a detail layer needs patches of 16 pixels")
        for part in (self.encoder, self.decoder):
            if isinstance(part, ConvConfig) and self.patch % part.fine:
                raise ConfigError("jovio: the patch must be a multiple of the fine grid")

    @property
    def n_q(self) -> int:
        """Levels in all."""
        return self.quantizer.levels

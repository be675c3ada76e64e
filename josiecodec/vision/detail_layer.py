"""The detail layer: what a decoded picture lacks, as quantized coefficients of a block transform.

A patch of 96 numbers cannot hold all that a picture has, however many levels code them. The layer codes the rest:

    picture - decoded base -> block transform -> / step -> whole numbers, range coded with the scales of a network
    decoded base + step x whole numbers -> transform back -> small network that smooths what the steps have cut

What a coefficient will be is known beforehand only as far as its size: `detail_network.py` says it from the codes of
the base and the coefficients that came before. The idea is that of image codecs with hyperpriors (Ballé et al. 2018,
arXiv 1802.01436), with the base as the hyperprior, and passes over channels (Minnen and Singh 2020, arXiv 2007.08739).
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from ..nn.convnext2d import ConvNeXtBlock2d, merge, unmerge
from ..nn.linear import RowStableLinear
from .block_shapes import PLACES, from_shapes
from .block_transform import COEFFICIENTS, COLORS, SIDE, from_coefficients
from .config import DetailConfig
from .detail_network import MAX_COUNT, DetailNetwork
from .detail_steps import PER_KNOWN, STEPS, DetailSteps

MAX_SYMBOL = 15  # coefficients of greater size have a symbol for "more", and the rest coded after it
SHRINK = 0.05  # of a step: coefficients lie a little nearer to zero than the middle of their step
RESIDUAL_SCALE = 8.0


class DetailLayer(nn.Module):
    """Coefficients of pictures beside a decoded base.

    Args:
        config: its settings.
        latent_dim, patch: of the codec.
    """

    def __init__(self, config: DetailConfig, latent_dim: int, patch: int):
        super().__init__()
        self.config = config
        blocks = (patch // SIDE) ** 2
        width, hidden, known = config.channels, config.channels * config.expansion, -(-STEPS // PER_KNOWN)
        self.passes = _passes(config.splits)
        shapes = {"matrix": (latent_dim, blocks * COEFFICIENTS), "offset": (blocks * COEFFICIENTS,)}
        shapes |= {"count": (MAX_COUNT + 1, width), "step": (known, width)}
        if config.strengths > 1:
            shapes["strength"] = (config.strengths, width)
        if config.shapes > 1:
            places = PLACES * config.shapes
            shapes |= {"shape": (places, width), "offsets": (places, COEFFICIENTS)}
        shapes |= _linear("input", COEFFICIENTS, width)
        for k in range(sum(config.blocks)):
            shapes |= {f"blocks.{k}.depth.weight": (9, width), f"blocks.{k}.depth.bias": (width,)}
            shapes |= _linear(f"blocks.{k}.expand", width, hidden) | _linear(f"blocks.{k}.contract", hidden, width)
        for k, members in enumerate(self.passes):
            shapes |= _linear(f"heads.{k}", width, len(members))
            if k + 1 < len(self.passes):
                shapes |= _linear(f"seen.{k}", 2 * len(members), width)
        shapes["frequencies"] = (config.scales, 2 * MAX_SYMBOL + 1)
        self.names = {name: name.replace(".", "_") for name in shapes}  # of the buffers
        for name, shape in shapes.items():
            self.register_buffer(self.names[name], torch.zeros(shape, dtype=torch.int32))
        self.input_proj = RowStableLinear(2 * COLORS * config.fine**2, config.filter_channels)
        self.step_embedding = nn.Embedding(known, config.filter_channels)
        self.strength_embedding: nn.Embedding | None = None
        if config.strengths > 1:
            self.strength_embedding = nn.Embedding(config.strengths, config.filter_channels)
            nn.init.zeros_(self.strength_embedding.weight)
        self.filter_blocks = nn.Sequential(
            *[ConvNeXtBlock2d(config.filter_channels, 2, config.filter_kernel) for _ in range(config.filter_blocks)]
        )
        self.norm = nn.LayerNorm(config.filter_channels, eps=1e-6)
        self.output_proj = RowStableLinear(config.filter_channels, COLORS * config.fine**2)
        nn.init.zeros_(self.output_proj.weight)
        nn.init.zeros_(self.output_proj.bias)

    def numbers(self, name: str) -> np.ndarray:
        """The same as `tensor`, as an array."""
        return self.tensor(name).cpu().numpy()

    def tensor(self, name: str) -> Tensor:
        """A tensor of whole numbers, by the name that `DetailNetwork` has for it."""
        buffer: Tensor = getattr(self, self.names[name])
        return buffer

    def network(self) -> DetailNetwork:
        """The network that gives the scales of coefficients.

        Raises:
            ModelError: if its sums could be too large to be exact.
        """
        tensors = {name: self.numbers(name) for name in self.names if name != "frequencies"}
        return DetailNetwork(tensors, self.passes, self.config.blocks)

    @property
    def margin(self) -> int:
        """Patches that the filter looks beyond each patch."""
        reach = self.config.filter_blocks * (self.config.filter_kernel // 2) * self.config.fine
        return -(-reach // (2 * SIDE))

    def residual(self, symbols: Tensor, steps: DetailSteps, shapes: np.ndarray | None = None) -> Tensor:
        """Quantized coefficients [h, w, 192] of blocks, and the shape of each patch [h / 2, w / 2] -> what they add to
        the base, [1, 3, 8 h, 8 w]."""
        shrunk = symbols.float() - SHRINK * symbols.sign()
        if not steps.strength and shapes is None:
            return from_coefficients(shrunk[None]) * (steps.size / 255)
        sized = shrunk * torch.from_numpy(steps.sizes() / 255).to(shrunk)
        return from_coefficients((sized if shapes is None else from_shapes(sized, shapes))[None])

    def filtered(self, base: Tensor, residual: Tensor, known: Tensor, strength: Tensor | None = None) -> Tensor:
        """Decoded base and residual, both [B, 3, H, W] of whole patches, and integers [B], the step as networks know it
        and the strength of the matrix -> pictures of the same shape."""
        fine = self.config.fine
        x = [merge((base - 0.5).permute(0, 2, 3, 1), fine), merge(residual.permute(0, 2, 3, 1) * RESIDUAL_SCALE, fine)]
        side = self.step_embedding(known)
        if strength is not None and self.strength_embedding is not None:
            side = side + self.strength_embedding(strength)
        y = self.input_proj(torch.cat(x, -1)) + side[:, None, None]
        y = self.output_proj(self.norm(self.filter_blocks(y)))
        return base + residual + unmerge(y, fine).permute(0, 3, 1, 2)

    def smoothed(self, base: Tensor, residual: Tensor, steps: DetailSteps) -> Tensor:
        """`filtered` with the same steps everywhere."""
        known, strength = (torch.tensor([v], device=base.device) for v in (steps.known, steps.strength))
        return self.filtered(base, residual, known, strength)


def _passes(splits: tuple[tuple[int, ...], ...]) -> tuple[np.ndarray, ...]:
    """Coefficients of each pass, from where each colour's passes end in the zigzag order."""
    size = SIDE * SIDE
    kinds = (splits[0], splits[1], splits[1])
    return tuple(
        np.concatenate([color * size + np.arange(ends[k - 1] if k else 0, ends[k]) for color, ends in enumerate(kinds)])
        for k in range(len(splits[0]))
    )


def _linear(name: str, inputs: int, outputs: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}

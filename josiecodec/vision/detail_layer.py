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
from .block_shapes import from_shapes
from .block_transform import COLORS, from_coefficients
from .config import DetailConfig
from .dependent_steps import HALF
from .detail_network import DetailNetwork
from .detail_shapes import CODING, KNOWN_STEPS, MAX_SYMBOL, SHRINK, filter_margin, passes_of, shapes_of
from .detail_steps import DetailSteps

__all__ = ["MAX_SYMBOL", "RESIDUAL_SCALE", "SHRINK", "DetailLayer"]

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
        self.passes = passes_of(config.splits)
        shapes = shapes_of(config, latent_dim, patch)
        self.names = {name: name.replace(".", "_") for name in shapes}  # of the buffers
        for name, shape in shapes.items():
            self.register_buffer(self.names[name], torch.zeros(shape, dtype=torch.int32))
        self.input_proj = RowStableLinear(2 * COLORS * config.fine**2, config.filter_channels)
        self.step_embedding = nn.Embedding(KNOWN_STEPS, config.filter_channels)
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
        tensors = {name: self.numbers(name) for name in self.names if name not in CODING}
        return DetailNetwork(tensors, self.passes, self.config.blocks)

    @property
    def margin(self) -> int:
        """Patches that the filter looks beyond each patch."""
        return filter_margin(self.config)

    def residual(self, symbols: Tensor, steps: DetailSteps, shapes: np.ndarray | None = None) -> Tensor:
        """Quantized coefficients [h, w, 192] of blocks, and the shape of each patch [h / 2, w / 2] -> what they add to
        the base, [1, 3, 8 h, 8 w]. With dependent quantization they are in half steps."""
        shrunk = symbols.float() / (1 if self.config.states == 1 else HALF) - SHRINK * symbols.sign()
        if not steps.strength and shapes is None:
            return from_coefficients(shrunk[None]) * (steps.size / 255)
        sized = shrunk * torch.from_numpy(steps.sizes() / 255).to(shrunk)
        if shapes is not None and shapes.any():
            sized = torch.from_numpy(from_shapes(sized.cpu().numpy(), shapes)).to(sized)
        return from_coefficients(sized[None])

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

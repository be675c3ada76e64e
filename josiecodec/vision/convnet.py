"""Convolutional encoder and decoder that begin as a linear codec.

    encoder  picture -> linear transform of each patch -----------------+-> latent
                     -> fine grid -> blocks -> grid of patches -> blocks +
    decoder  latent  -> transposed linear transform ---------------------+-> picture
                     -> grid of patches -> blocks -> fine grid -> blocks +

The branches below end in layers that are zero at first. With the principal components of patches as the linear
transform, training so begins at what a linear codec can do, and never has to find that again.
Both take a group (mean and half difference, see `grouping.py`); the linear transform is that of the mean.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..nn.convnext2d import ConvNeXtBlock2d, merge, unmerge
from ..nn.linear import RowStableLinear
from .config import ConvConfig


class ConvEncoder(nn.Module):
    """Groups [N, 6, H, W] (pixels in [0, 1]) -> latents [N, H/patch, W/patch, dim]."""

    def __init__(self, dim: int, patch: int, config: ConvConfig):
        super().__init__()
        self.patch, self.fine = patch, config.fine
        self.linear = RowStableLinear(3 * patch * patch, dim)
        self.input_proj = RowStableLinear(6 * config.fine**2, config.fine_channels)
        self.fine_blocks = _blocks(config.fine_blocks, config.fine_channels, config.expansion, config.fine_kernel)
        self.down = RowStableLinear(config.fine_channels * (patch // config.fine) ** 2, config.channels)
        self.blocks = _blocks(config.blocks, config.channels, config.expansion, config.kernel)
        self.norm = nn.LayerNorm(config.channels, eps=1e-6)
        self.output_proj = _zeroed(RowStableLinear(config.channels, dim))

    def forward(self, x: Tensor) -> Tensor:
        x = x.permute(0, 2, 3, 1)
        mean = x[..., :3] - 0.5
        x = torch.cat([mean, x[..., 3:]], -1)
        y = self.fine_blocks(self.input_proj(merge(x, self.fine)))
        y = self.blocks(self.down(merge(y, self.patch // self.fine)))
        with torch.autocast(x.device.type, enabled=False):
            return self.linear(merge(mean, self.patch)) + self.output_proj(self.norm(y.float()))


class ConvDecoder(nn.Module):
    """Latents [N, h, w, dim] and levels of each patch [N, h, w] -> groups [N, 6, h*patch, w*patch]."""

    def __init__(self, dim: int, patch: int, levels: int, config: ConvConfig):
        super().__init__()
        self.patch, self.fine = patch, config.fine
        self.linear = RowStableLinear(dim, 3 * patch * patch)
        self.input_proj = RowStableLinear(dim, config.channels)
        # How coarse each patch is: what to fill in depends on it.
        self.level_embedding = nn.Embedding(levels + 1, config.channels)
        self.blocks = _blocks(config.blocks, config.channels, config.expansion, config.kernel)
        self.up = RowStableLinear(config.channels, config.fine_channels * (patch // config.fine) ** 2)
        self.fine_blocks = _blocks(config.fine_blocks, config.fine_channels, config.expansion, config.fine_kernel)
        self.norm = nn.LayerNorm(config.fine_channels, eps=1e-6)
        self.output_proj = _zeroed(RowStableLinear(config.fine_channels, 6 * config.fine**2))

    def forward(self, z: Tensor, counts: Tensor) -> Tensor:
        return self.pixels(z, self.hidden(z, counts))

    def hidden(self, z: Tensor, counts: Tensor) -> Tensor:
        """The coarse half: latents and levels -> [N, h, w, channels]."""
        y: Tensor = self.blocks(self.input_proj(z) + self.level_embedding(counts))
        return y

    def pixels(self, z: Tensor, y: Tensor) -> Tensor:
        """The fine half: latents and what `hidden` gave -> groups."""
        y = self.fine_blocks(unmerge(self.up(y), self.patch // self.fine))
        with torch.autocast(z.device.type, enabled=False):
            y = unmerge(self.output_proj(self.norm(y.float())), self.fine)
            mean = unmerge(self.linear(z.float()), self.patch) + y[..., :3] + 0.5
        return torch.cat([mean, y[..., 3:]], -1).permute(0, 3, 1, 2)


@torch.no_grad()
def start_linear(encoder: ConvEncoder, decoder: ConvDecoder, patches: Tensor) -> None:
    """Set the linear transforms to the principal components of `patches` [M, 3, patch, patch] in [0, 1]."""
    rows = merge(patches.permute(0, 2, 3, 1) - 0.5, encoder.patch).reshape(len(patches), -1).double()
    mean = rows.mean(0)
    covariance = (rows - mean).t() @ (rows - mean) / len(rows)
    basis = torch.linalg.eigh(covariance).eigenvectors.flip(1)[:, : encoder.linear.out_features].float()
    encoder.linear.weight.copy_(basis.t())
    encoder.linear.bias.copy_(-(mean.float() @ basis))
    decoder.linear.weight.copy_(basis)
    decoder.linear.bias.copy_(mean.float())
    # The last components are a hundredth of the first in size, but to the branch they matter as much.
    size = ((rows - mean) @ basis.double()).square().mean(0).sqrt().float()
    decoder.input_proj.weight /= size + 0.05


def _blocks(count: int, channels: int, expansion: int, kernel: int) -> nn.Sequential:
    return nn.Sequential(*(ConvNeXtBlock2d(channels, expansion, kernel) for _ in range(count)))


def _zeroed(layer: nn.Linear) -> nn.Linear:
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


__all__ = ["ConvDecoder", "ConvEncoder", "start_linear"]

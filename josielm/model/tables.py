"""Tables of vectors for ids; ids without a row count as nothing."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class IdTable(nn.Embedding):
    """Vectors of ids 0 .. rows - 1; every other id is the zero vector."""

    def __init__(self, rows: int, dim: int):
        super().__init__(rows, dim)
        nn.init.normal_(self.weight, std=dim**-0.5)

    def forward(self, ids: Tensor) -> Tensor:
        known = (ids >= 0) & (ids < self.num_embeddings)
        return super().forward(torch.where(known, ids, 0)) * known.unsqueeze(-1)


class LevelTables(nn.Module):
    """A table for every level of codes.

    Args:
        levels: how many.
        rows: ids of each.
        dim: of the vectors.
        shared: the acoustic levels (all but the first) use one table together.
    """

    def __init__(self, levels: int, rows: int, dim: int, shared: bool = False):
        super().__init__()
        self.tables = nn.ModuleList(IdTable(rows, dim) for _ in range(min(levels, 2) if shared else levels))

    def of(self, level: int, ids: Tensor) -> Tensor:
        """Vectors [..., D] of the ids [...] of one level."""
        return self.tables[min(level, len(self.tables) - 1)](ids)

    def forward(self, ids: Tensor) -> Tensor:
        """Sum over the levels: [B, K, T] -> [B, T, D]."""
        total = self.of(0, ids[:, 0])
        for level in range(1, ids.shape[1]):
            total = total + self.of(level, ids[:, level])
        return total


class GridPositions(nn.Module):
    """Where a patch is in its picture: sines of row and column, mixed to the width of the sequence."""

    WAVES = 16

    def __init__(self, dim: int):
        super().__init__()
        self.projection = nn.Linear(4 * self.WAVES, dim, bias=False)

    def forward(self, positions: Tensor) -> Tensor:
        """Rows and columns [..., 2] -> [..., D]. Wavelengths run from 4 patches to 1000."""
        waves = torch.arange(self.WAVES, device=positions.device) / (self.WAVES - 1)
        angles = positions.float().unsqueeze(-1) * (2 * torch.pi / 4) * 250.0**-waves
        waves = torch.cat([angles.sin(), angles.cos()], -1).flatten(-2)
        return self.projection(waves.to(self.projection.weight.dtype))

"""Lloyd's k-means, for initialising codebooks from a buffer of vectors."""

from __future__ import annotations

import torch
from torch import Tensor


def assign(x: Tensor, centers: Tensor) -> Tensor:
    """Index of the nearest centre (Euclidean) of each row of `x` [N, D] -> [N]."""
    bias = 0.5 * centers.square().sum(-1)
    # In pieces: a table of all distances would not fit the processor's cache, nor, for many rows, memory.
    return torch.cat([(part @ centers.t() - bias).argmax(-1) for part in x.split(1024)])


def kmeans(x: Tensor, k: int, iterations: int = 10, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
    """Cluster the rows of `x`.

    Args:
        x: [N, D], at least one row. With fewer rows than `k` the rows are repeated with a little
            noise, so that no two centres coincide.
        k: number of clusters.
        generator: source of randomness, on the CPU.

    Returns:
        centres [k, D] and the number of rows of `x` that fall to each [k] (float).
    """
    n = len(x)
    order = torch.randperm(n, generator=generator).to(x.device)
    centers = x[order[torch.arange(k, device=x.device) % n]].clone()
    if n < k:
        noise = torch.randn(k, x.shape[1], generator=generator).to(x)
        centers += 1e-3 * x.std() * noise
    counts = x.new_zeros(k)
    for _ in range(iterations):
        nearest = assign(x, centers)
        counts = torch.bincount(nearest, minlength=k).to(x.dtype)
        sums = torch.zeros_like(centers).index_add_(0, nearest, x)
        filled = counts > 0
        centers[filled] = sums[filled] / counts[filled, None]
        empty = int((~filled).sum())
        if empty:  # restart empty clusters at random rows
            pick = torch.randint(n, (empty,), generator=generator).to(x.device)
            centers[~filled] = x[pick]
    return centers, counts

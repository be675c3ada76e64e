"""Shapes of blocks while a detail layer is trained: see `vision/block_shapes.py`."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ...vision.block_arrays import SIDE
from ...vision.block_shapes import PLACES, SHAPES, to_shape, to_shapes

Choose = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


def shape_places(shapes: Tensor) -> Tensor:
    """`block_shapes.places` of shapes [N, h, w]: integers [N, 2 h, 2 w]."""
    corner = torch.arange(PLACES, device=shapes.device).view(2, 2).repeat(*shapes.shape[1:])
    return PLACES * shapes.long().repeat_interleave(2, 1).repeat_interleave(2, 2) + corner


def in_shapes(level: Tensor, shapes: Tensor, offsets: Tensor) -> Tensor:
    """Expected scales [N, 2 h, 2 w, n] of blocks of 8 x 8 -> of blocks of these shapes [N, h, w], with offsets [16, n]
    of each place of each shape."""
    n, height, width, members = level.shape
    patches = level.view(n, height // 2, 2, width // 2, 2, members)
    which = shapes[:, :, None, :, None, None]
    found = patches
    for number, (down, across) in enumerate(SHAPES):
        axes = [axis for axis, side in ((2, down), (4, across)) if side > SIDE]
        if axes:
            found = torch.where(which == number, patches.mean(axes, keepdim=True), found)
    return found.reshape(level.shape) + offsets[shape_places(shapes)]


def in_their_shapes(wanted: Tensor, shapes: Tensor) -> Tensor:
    """Coefficients of blocks of 8 x 8 [N, 2 h, 2 w, 192] -> of blocks of these shapes [N, h, w]."""
    return torch.stack(
        [torch.from_numpy(to_shapes(x.cpu().numpy(), s.cpu().numpy())) for x, s in zip(wanted, shapes)]
    ).to(wanted)


def best_shapes(wanted: Tensor, sizes: Tensor, level: Tensor, offsets: Tensor, cost: Choose, bits: Tensor) -> Tensor:
    """The shape of each patch that costs least: integers [N, h, w].

    Args:
        wanted: coefficients of blocks of 8 x 8 [N, 2 h, 2 w, 192], in units of 8-bit pixels.
        sizes: of steps, as `DrawnSteps` has them.
        level: scales that a network expects of blocks of 8 x 8, less their offsets.
        offsets: [16, 192], see `in_shapes`.
        cost: of coefficients in units of their steps with these scales: error over price, and bits.
        bits: of each shape.
    """
    n, height, width, _ = wanted.shape
    costs = []
    for number in range(len(SHAPES)):
        all_so = torch.full((n, height // 2, width // 2), number, device=wanted.device)
        turned = torch.stack([torch.from_numpy(to_shape(x.cpu().numpy(), number)) for x in wanted]).to(wanted)
        error, taken = cost(turned / sizes, in_shapes(level, all_so, offsets))
        each = (error + taken).sum(-1).view(n, height // 2, 2, width // 2, 2).sum((2, 4))
        costs.append(each + bits[number])
    return torch.stack(costs).argmin(0)

"""Running a convolutional network over a large picture tile by tile, with exactly the result of one piece.

Each tile is computed with a margin at least as wide as the network looks, and the margin is thrown away. At the
borders of the picture there is no margin: there the tile ends where the picture ends, as it would in one piece.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

TILE = 48  # patches a side


def tiled(
    run: Callable[..., Any],
    inputs: tuple[Any, ...],
    scales: tuple[int, ...],
    out_scale: int,
    margin: int,
    side: int | tuple[int, int] | None = None,
    *,
    channels_last: bool = False,
) -> Any:
    """Apply `run` to tiles of `inputs` and put the results together.

    Args:
        run: network over tensors, or arrays, whose last two axes are the picture's.
        inputs: tensors, or arrays, [..., h * scale, w * scale] on grids of h x w patches.
        scales: places a patch has a side in each input.
        out_scale: the same of the result.
        margin: patches that the network looks beyond each patch.
        side: patches a side of a tile, or down and across; None for `TILE`.
        channels_last: whether the axes of the picture come before the last one, in inputs and result.
    """
    side = side or TILE
    tall, wide = side if isinstance(side, tuple) else (side, side)
    rows, columns = (-3, -2) if channels_last else (-2, -1)
    height, width = inputs[0].shape[rows] // scales[0], inputs[0].shape[columns] // scales[0]
    if height <= tall + 2 * margin and width <= wide + 2 * margin:
        return run(*inputs)
    tall, wide = (-(-size // -(-size // most)) for size, most in ((height, tall), (width, wide)))  # all about as large

    def cut(x: Any, scale: int, down: tuple[int, int], across: tuple[int, int]) -> Any:
        part = tuple(slice(first * scale, last * scale) for first, last in (down, across))
        return x[(..., *part, slice(None))] if channels_last else x[(..., *part)]

    out: Any = None
    for top in range(0, height, tall):
        for left in range(0, width, wide):
            bottom, right = min(top + tall, height), min(left + wide, width)
            up, west = max(0, top - margin), max(0, left - margin)
            down, east = min(height, bottom + margin), min(width, right + margin)
            y = run(*(cut(x, s, (up, down), (west, east)) for x, s in zip(inputs, scales)))
            if out is None:
                shape = list(y.shape)
                shape[rows], shape[columns] = height * out_scale, width * out_scale
                out = np.empty(shape, y.dtype) if isinstance(y, np.ndarray) else y.new_empty(shape)
            inner = cut(y, out_scale, (top - up, bottom - up), (left - west, right - west))
            cut(out, out_scale, (top, bottom), (left, right))[...] = inner
    assert out is not None
    return out

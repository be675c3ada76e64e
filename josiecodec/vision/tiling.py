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
    side: int | None = None,
) -> Any:
    """Apply `run` to tiles of `inputs` and put the results together.

    Args:
        run: network over tensors, or arrays, whose last two axes are the picture's.
        inputs: tensors, or arrays, [..., h * scale, w * scale] on grids of h x w patches.
        scales: places a patch has a side in each input.
        out_scale: the same of the result.
        margin: patches that the network looks beyond each patch.
        side: patches a side of a tile; None for `TILE`.
    """
    side = side or TILE
    height, width = inputs[0].shape[-2] // scales[0], inputs[0].shape[-1] // scales[0]
    if height <= side + 2 * margin and width <= side + 2 * margin:
        return run(*inputs)
    out: Any = None
    for top in range(0, height, side):
        for left in range(0, width, side):
            bottom, right = min(top + side, height), min(left + side, width)
            up, west = max(0, top - margin), max(0, left - margin)
            down, east = min(height, bottom + margin), min(width, right + margin)
            parts = [x[..., up * s : down * s, west * s : east * s] for x, s in zip(inputs, scales)]
            y = run(*parts)
            s = out_scale
            if out is None:
                shape = (*y.shape[:-2], height * s, width * s)
                out = np.empty(shape, y.dtype) if isinstance(y, np.ndarray) else y.new_empty(shape)
            inner = y[..., (top - up) * s : (bottom - up) * s, (left - west) * s : (right - west) * s]
            out[..., top * s : bottom * s, left * s : right * s] = inner
    assert out is not None
    return out

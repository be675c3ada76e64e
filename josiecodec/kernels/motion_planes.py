"""From planes of bytes to colours: see `vision/motion_planes.py`."""

from __future__ import annotations

import numpy as np

from .compiling import compiled


@compiled("float32[:, :, ::1](uint8[:, ::1], uint8[:, ::1], uint8[:, ::1], int64, int64)")
def to_rgb(y, u, v, height, width):
    """A picture [3, height, width] in [0, 1] of planes [H, W] and [H / 2, W / 2], at least as large.

    Chroma is interpolated by weights 3/4 and 1/4, first down, then across: sixteenths, which are exact. What follows is
    rounded to 32 bits at each step, as NumPy does it.
    """
    rows, columns = u.shape
    height, width = max(min(height, 2 * rows, len(y)), 0), max(min(width, 2 * columns, y.shape[1]), 0)
    out = np.empty((3, height, width), np.float32)
    if v.shape[0] != rows or v.shape[1] != columns or rows == 0 or columns == 0:
        out[:] = 0
        return out
    down = np.empty((2, columns), np.float32)
    across = np.empty((2, 2 * columns), np.float32)
    quarter, most = np.float32(0.25), np.float32(0.75)
    red, green_u, green_v, blue = np.float32(1.402), np.float32(0.344136), np.float32(0.714136), np.float32(1.772)
    white, zero, one = np.float32(255), np.float32(0), np.float32(1)
    for i in range(height):
        near = i // 2
        other = min(max(near + 2 * (i % 2) - 1, 0), rows - 1)
        for j in range(columns):
            down[0, j] = most * np.float32(np.int32(u[near, j]) - 128) + quarter * np.float32(
                np.int32(u[other, j]) - 128
            )
            down[1, j] = most * np.float32(np.int32(v[near, j]) - 128) + quarter * np.float32(
                np.int32(v[other, j]) - 128
            )
        for n in range(2):
            for j in range(columns):
                left, right = max(j - 1, 0), min(j + 1, columns - 1)
                across[n, 2 * j] = most * down[n, j] + quarter * down[n, left]
                across[n, 2 * j + 1] = most * down[n, j] + quarter * down[n, right]
        for j in range(width):
            light, cb, cr = np.float32(y[i, j]), across[0, j], across[1, j]
            out[0, i, j] = min(max((light + red * cr) / white, zero), one)
            out[1, i, j] = min(max(((light - green_u * cb) - green_v * cr) / white, zero), one)
            out[2, i, j] = min(max((light + blue * cb) / white, zero), one)
    return out

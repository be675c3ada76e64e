"""Layers of the network of whole numbers of a detail layer: see `vision/detail_network.py`.

All sums are of whole numbers that single precision holds exactly, so their order does not matter.
"""

from __future__ import annotations

import numpy as np

from .compiling import compiled


@compiled("void(float32[:, :, ::1], float32[:, ::1], float32[::1], float32, float32, float32[:, :, ::1])")
def depthwise(x, weight, bias, unit, limit, out):
    """Each channel of places [h, w, C] with those around it, zeros beyond the edges; rounded down, and bounded.

    Args:
        x: of the places.
        weight, bias: [9, C] and [C].
        unit: that sums are multiplied with.
        limit: of absolute values.
        out: what comes out, [h, w, C].
    """
    height, width, channels = x.shape
    for i in range(height):
        for j in range(width):
            here = out[i, j]
            for c in range(channels):
                here[c] = bias[c]
            for down in range(max(i - 1, 0), min(i + 2, height)):
                for right in range(max(j - 1, 0), min(j + 2, width)):
                    near, weights = x[down, right], weight[3 * (down - i + 1) + right - j + 1]
                    for c in range(channels):
                        here[c] += near[c] * weights[c]
            for c in range(channels):
                here[c] = min(max(np.floor(here[c] * unit), -limit), limit)


@compiled("void(float32[:, ::1], float32[::1], float32, float32, float32)")
def finish(y, bias, unit, low, high):
    """Products [n, C] with their bias, rounded down and bounded, in their place."""
    for n in range(len(y)):
        here = y[n]
        for c in range(len(bias)):
            here[c] = min(max(np.floor((here[c] + bias[c]) * unit), low), high)


@compiled("void(float32[:, ::1], float32[::1], float32, float32, float32[:, ::1])")
def finish_beside(y, bias, unit, limit, x):
    """The same beside what went around the layers, x [n, C]."""
    for n in range(len(y)):
        here, other = y[n], x[n]
        for c in range(len(bias)):
            here[c] = min(max(np.floor((here[c] + bias[c]) * unit) + other[c], -limit), limit)


@compiled("void(float64[:, :, ::1], float64[::1], float64, float32[::1], float32[:, :, ::1])")
def features(x, offset, unit, logarithms, out):
    """Coefficients of patches [h, w, 4 n] -> their logarithms with their signs, in blocks [2 h, 2 w, n].

    Args:
        x, offset: products, and [4 n] to be added.
        unit: that sums are multiplied with.
        logarithms: of whole numbers from 0 on.
        out: [2 h, 2 w, n].
    """
    most, size = np.float64(len(logarithms) - 1), out.shape[2]
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            for block in range(4):
                here = out[2 * i + block // 2, 2 * j + block % 2]
                for k in range(size):
                    place = block * size + k
                    level = np.int64(min(max(np.floor((x[i, j, place] + offset[place]) * unit + 0.5), -most), most))
                    here[k] = -logarithms[-level] if level < 0 else logarithms[level]


@compiled("void(float32[:, :, ::1], uint8[:, ::1], float32[:, ::1], int64[::1], int64, int64[:, :, ::1])")
def scales(level, shapes, offsets, shifts, unit, out):
    """Scales of coefficients of blocks [2 h, 2 w, n], from what a head gives.

    Args:
        level: of the head, whole numbers [2 h, 2 w, n].
        shapes: of the blocks of each patch [h, w]: 1 for 16 x 16, 2 for 16 x 8, 3 for 8 x 16.
        offsets: to be added, by 4 x shape + place [16, n].
        shifts: to be taken off [n].
        unit: of `level`.
        out: [2 h, 2 w, n].
    """
    size = level.shape[2]
    for i in range(shapes.shape[0]):
        for j in range(shapes.shape[1]):
            shape = min(shapes[i, j], np.uint8(3))
            for k in range(size):
                a, b = np.int64(level[2 * i, 2 * j, k]), np.int64(level[2 * i, 2 * j + 1, k])
                c, d = np.int64(level[2 * i + 1, 2 * j, k]), np.int64(level[2 * i + 1, 2 * j + 1, k])
                if shape == 1:
                    a = (a + b + c + d) >> 2
                    b = c = d = a
                elif shape == 2:
                    a, b = (a + c) >> 1, (b + d) >> 1
                    c, d = a, b
                elif shape == 3:
                    a, c = (a + b) >> 1, (c + d) >> 1
                    b, d = a, c
                first, shift = 4 * np.int64(shape), shifts[k]
                out[2 * i, 2 * j, k] = (a + np.int64(offsets[first, k])) // unit - shift
                out[2 * i, 2 * j + 1, k] = (b + np.int64(offsets[first + 1, k])) // unit - shift
                out[2 * i + 1, 2 * j, k] = (c + np.int64(offsets[first + 2, k])) // unit - shift
                out[2 * i + 1, 2 * j + 1, k] = (d + np.int64(offsets[first + 3, k])) // unit - shift

"""Inverse transform and smoothing of edges: see `vision/motion_residual.py`."""

from __future__ import annotations

import numpy as np

from .compiling import compiled, part


@part
def _inverse(levels, size, scan, cosines, work, out):
    """Levels [64] times a size, transformed back into `out` [8, 8]; in whole numbers below 2^53."""
    for k in range(8):
        for x in range(8):
            work[k, x] = 0
            out[k, x] = 0
    for n in range(64):
        if levels[n]:
            value = np.int64(levels[n]) * size
            k, m = scan[n] >> 3 & 7, scan[n] & 7
            for x in range(8):
                work[k, x] += value * cosines[m, x]
    for k in range(8):
        some = np.int64(0)
        for x in range(8):
            some |= work[k, x]
        if some:
            for y in range(8):
                factor = cosines[k, y]
                for x in range(8):
                    out[y, x] += factor * work[k, x]


@compiled(
    "void(uint8[:, ::1], uint8[:, ::1], uint8[:, ::1], int16[:, :, :, ::1], int64[:, ::1], int64[:, ::1], int64[::1], "
    "int64[:, ::1], int64)"
)
def add_levels(y, u, v, levels, luma, chroma, scan, cosines, shift):
    """Add to planes of whole patches, in place, what levels [h, w, 6, 64] stand for.

    Args:
        y, u, v: planes [16 h, 16 w] and [8 h, 8 w].
        levels: in scan order.
        luma, chroma: sizes of steps [h, w].
        scan: places of coefficients [64].
        cosines: [8, 8] of the transform.
        shift: bits of the fraction of what comes out.
    """
    h, w = levels.shape[0], levels.shape[1]
    if y.shape[0] < 16 * h or y.shape[1] < 16 * w or luma.shape[0] < h or luma.shape[1] < w:
        return
    work, out = np.empty((8, 8), np.int64), np.empty((8, 8), np.int64)
    half = np.int64(1) << (shift - 1)
    for i in range(h):
        for j in range(w):
            for n in range(6):
                own, some = levels[i, j, n], False
                for k in range(64):
                    some |= own[k] != 0
                if not some:
                    continue
                _inverse(own, luma[i, j] if n < 4 else chroma[i, j], scan, cosines, work, out)
                plane = y if n < 4 else (u if n == 4 else v)
                top = 16 * i + 8 * (n // 2) if n < 4 else 8 * i
                left = 16 * j + 8 * (n % 2) if n < 4 else 8 * j
                for a in range(8):
                    for b in range(8):
                        value = np.int64(plane[top + a, left + b]) + ((out[a, b] + half) >> shift)
                        plane[top + a, left + b] = min(max(value, 0), 255)


@part
def _smooth(plane, i, j, down, right, size, edges):
    """Take the jump off an edge of 8 pixels that begins at (i, j), across which (down, right) leads."""
    jump, flat, most = size * edges[0] >> 8, size * edges[1] >> 8, size * edges[2] >> 8
    for n in range(8):
        r, s = i + n * right, j + n * down
        b, a = np.int64(plane[r - 2 * down, s - 2 * right]), np.int64(plane[r - down, s - right])
        c, d = np.int64(plane[r, s]), np.int64(plane[r + down, s + right])
        across = c - a
        if abs(across) < jump and abs(b - a) < flat and abs(d - c) < flat:
            change = min(max((3 * across + (b - d) + 4) >> 3, -most), most)
            plane[r - down, s - right] = min(max(a + change, 0), 255)
            plane[r, s] = min(max(c - change, 0), 255)


@compiled("void(uint8[:, ::1], boolean[:, ::1], int64[:, ::1], int64[::1])")
def smooth_edges(plane, coded, sizes, edges):
    """Smooth the edges of cells that have levels, or stand beside some, in place; upright edges first.

    Args:
        plane: [8 H, 8 W].
        coded: which cells have levels [H, W].
        sizes: of their steps [H, W].
        edges: jumps and slopes beside them that are smoothed, and the most that is moved; of a step, in 256ths.
    """
    rows, columns = coded.shape
    if plane.shape[0] < 8 * rows or plane.shape[1] < 8 * columns:
        return
    for i in range(rows):
        for j in range(1, columns):
            if coded[i, j - 1] or coded[i, j]:
                _smooth(plane, 8 * i, 8 * j, 0, 1, min(sizes[i, j - 1], sizes[i, j]), edges)
    for i in range(1, rows):
        for j in range(columns):
            if coded[i - 1, j] or coded[i, j]:
                _smooth(plane, 8 * i, 8 * j, 1, 0, min(sizes[i - 1, j], sizes[i, j]), edges)

"""Inverse transform and smoothing of edges: see `vision/motion_residual.py`."""

from __future__ import annotations

import numpy as np

from .compiling import compiled, part


@part
def _inverse(levels, size, scan, cosines, work, out):
    """Levels [n n] times a size, transformed back into `out` [n, n], n 8 or 16; in whole numbers below 2^54."""
    side = len(cosines)
    for k in range(side):
        for x in range(side):
            work[k, x] = 0
            out[k, x] = 0
    for n in range(side * side):
        if levels[n]:
            value = np.int64(levels[n]) * size
            k, m = scan[n] // side, scan[n] % side
            for x in range(side):
                work[k, x] += value * cosines[m, x]
    for k in range(side):
        some = np.int64(0)
        for x in range(side):
            some |= work[k, x]
        if some:
            for y in range(side):
                factor = cosines[k, y]
                for x in range(side):
                    out[y, x] += factor * work[k, x]


@part
def _add(plane, top, left, out, side, shift):
    half = np.int64(1) << (shift - 1)
    for a in range(side):
        for b in range(side):
            value = np.int64(plane[top + a, left + b]) + ((out[a, b] + half) >> shift)
            plane[top + a, left + b] = min(max(value, 0), 255)


@compiled(
    "void(uint8[:, ::1], uint8[:, ::1], uint8[:, ::1], int16[:, :, :, ::1], uint8[:, ::1], int64[:, ::1], "
    "int64[:, ::1], int64[::1], int64[:, ::1], int64[::1], int64[::1], int64[:, ::1], int64)"
)
def add_levels(y, u, v, levels, shapes, luma, chroma, scan, cosines, fold, large_scan, large_cosines, shift):
    """Add to planes of whole patches, in place, what levels [h, w, 6, 64] stand for.

    Args:
        y, u, v: planes [16 h, 16 w] and [8 h, 8 w].
        levels: in scan order.
        shapes: 1 of patches whose luma is one block of 16 x 16 [h, w], with coefficients `fold` of those of four.
        luma, chroma: sizes of steps [h, w].
        scan, large_scan: places of coefficients [64], [256].
        cosines, large_cosines: [8, 8], [16, 16] of the transforms.
        shift: bits of the fraction of what comes out.
    """
    h, w = levels.shape[0], levels.shape[1]
    if y.shape[0] < 16 * h or y.shape[1] < 16 * w or luma.shape[0] < h or luma.shape[1] < w:
        return
    work, out = np.empty((16, 16), np.int64), np.empty((16, 16), np.int64)
    whole = np.empty(256, np.int16)
    for i in range(h):
        for j in range(w):
            if shapes[i, j]:
                for k in range(256):
                    whole[k] = levels[i, j, fold[k] >> 6 & 3, fold[k] & 63]
                _inverse(whole, luma[i, j], large_scan, large_cosines, work, out)
                _add(y, 16 * i, 16 * j, out, 16, shift)
            for n in range(4 if shapes[i, j] else 0, 6):
                own, some = levels[i, j, n], False
                for k in range(64):
                    some |= own[k] != 0
                if not some:
                    continue
                _inverse(own, luma[i, j] if n < 4 else chroma[i, j], scan, cosines, work, out)
                plane = y if n < 4 else (u if n == 4 else v)
                top = 16 * i + 8 * (n // 2) if n < 4 else 8 * i
                left = 16 * j + 8 * (n % 2) if n < 4 else 8 * j
                _add(plane, top, left, out, 8, shift)


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


@compiled("void(uint8[:, ::1], boolean[:, ::1], uint8[:, ::1], int64[:, ::1], int64[::1])")
def smooth_edges(plane, coded, shapes, sizes, edges):
    """Smooth the edges of cells that have levels, or stand beside some, in place; upright edges first.

    Args:
        plane: [8 H, 8 W].
        coded: which cells have levels [H, W].
        shapes: 1 of patches that have no edges inside [H / 2, W / 2].
        sizes: of their steps [H, W].
        edges: jumps and slopes beside them that are smoothed, and the most that is moved; of a step, in 256ths.
    """
    rows, columns = coded.shape
    if plane.shape[0] < 8 * rows or plane.shape[1] < 8 * columns or 2 * shapes.shape[0] < rows:
        return
    if 2 * shapes.shape[1] < columns:
        return
    for i in range(rows):
        for j in range(1, columns):
            inside = j & 1 and shapes[i // 2, j // 2]
            if not inside and (coded[i, j - 1] or coded[i, j]):
                _smooth(plane, 8 * i, 8 * j, 0, 1, min(sizes[i, j - 1], sizes[i, j]), edges)
    for i in range(1, rows):
        for j in range(columns):
            inside = i & 1 and shapes[i // 2, j // 2]
            if not inside and (coded[i - 1, j] or coded[i, j]):
                _smooth(plane, 8 * i, 8 * j, 1, 0, min(sizes[i - 1, j], sizes[i, j]), edges)

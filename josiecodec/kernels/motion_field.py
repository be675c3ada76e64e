"""Quarter-pixel positions and motion compensation: see `vision/motion_planes.py` and `vision/motion_field.py`."""

from __future__ import annotations

import numpy as np

from .compiling import compiled, part


@compiled("uint8[:, :, ::1](uint8[:, ::1], int64, int16[:, ::1])")
def quarters(plane, pad, taps):
    """A plane [H, W] at all quarters of a pixel: [16, H + 2 pad, W + 2 pad].

    Args:
        plane: of bytes.
        pad: rows and columns around it, which repeat its edges.
        taps: [4, 8], filters whose sums are 64.
    """
    height, width = plane.shape
    rows, columns = height + 2 * pad, width + 2 * pad
    out = np.empty((16, rows, columns), np.uint8)
    across = np.empty((rows + 8, columns), np.int16)
    line, total = np.empty(columns + 8, np.int16), np.empty(columns, np.int16)
    for b in range(4):
        for i in range(rows + 8):
            source = plane[min(max(i - pad - 4, 0), height - 1)]
            for j in range(pad + 4):
                line[j] = source[0]
                line[pad + 4 + width + j] = source[width - 1]
            middle = line[pad + 4 : pad + 4 + width]
            for j in range(width):
                middle[j] = source[j]
            into = across[i]
            if b == 0:
                part = line[4 : 4 + columns]
                for j in range(columns):
                    into[j] = part[j]
                continue
            for j in range(columns):
                total[j] = 32
            for t in range(8):
                tap = taps[b, t]
                part = line[1 + t : 1 + t + columns]
                for j in range(columns):
                    total[j] = np.int16(total[j] + tap * part[j])
            for j in range(columns):
                into[j] = min(max(total[j] >> 6, 0), 255)
        for a in range(4):
            for i in range(rows):
                target = out[4 * a + b, i]
                if a == 0:
                    part = across[i + 4]
                    for j in range(columns):
                        target[j] = np.uint8(part[j])
                    continue
                for j in range(columns):
                    total[j] = 32
                for t in range(8):
                    tap = taps[a, t]
                    part = across[i + 1 + t]
                    for j in range(columns):
                        total[j] = np.int16(total[j] + tap * part[j])
                for j in range(columns):
                    target[j] = np.uint8(min(max(total[j] >> 6, 0), 255))
    return out


@part
def _fetch(into, first, second, use, vectors, r, c, side, pad, shift, begin_row, end_row, begin, end):
    """Puts rows and columns of a cell (r, c) into `into`, by its vectors [2 R] or [4]; use 3 is the mean of two."""
    if use == 0:
        for y in range(begin_row, end_row):
            for x in range(begin, end):
                into[y, x] = 128
        return
    for n in range(2):
        if use >> n & 1:
            squares = second if n else first
            down, right = np.int64(vectors[2 * n]) >> shift, np.int64(vectors[2 * n + 1]) >> shift
            phase = (down & 3) * 4 + (right & 3)
            top = min(max(r * side + (down >> 2) + pad, 0), squares.shape[1] - side)
            left = min(max(c * side + (right >> 2) + pad, 0), squares.shape[2] - side)
            if n and use == 3:
                for y in range(begin_row, end_row):
                    line, target = squares[phase, top + y], into[y]
                    for x in range(begin, end):
                        target[x] = np.uint8((np.int16(target[x]) + np.int16(line[left + x]) + 1) >> 1)
            else:
                for y in range(begin_row, end_row):
                    line, target = squares[phase, top + y], into[y]
                    for x in range(begin, end):
                        target[x] = line[left + x]


@part
def _alike(a, b):
    return a[0] == b[0] and a[1] == b[1] and a[2] == b[2] and a[3] == b[3] and a[4] == b[4]


@compiled(
    "uint8[:, ::1](uint8[:, :, ::1], uint8[:, :, ::1], uint8[:, ::1], int16[:, :, :, ::1], int64, int64, int64, "
    "uint16[:, :, ::1], boolean)"
)
def compensate(first, second, uses, vectors, side, pad, shift, weights, overlapped):
    """One plane [rows * side, columns * side] as a field predicts it.

    Args:
        first, second: planes of the references, see `quarters`; of one alone twice the same.
        uses, vectors: of the field, as of `MotionField`.
        side: of a cell, at most 8.
        pad: of the references.
        shift: by how many bits vectors are shortened.
        weights: [3, side, side], of the own vector, of the one above or below, and of the one beside; in eighths.
        overlapped: whether the vectors of neighbouring cells are blended in.
    """
    rows, columns = uses.shape
    out = np.empty((rows * side, columns * side), np.uint8)
    cells = np.zeros((rows, columns, 5), np.int16)
    last = first.shape[0] == 16 and second.shape[0] == 16
    if not last or first.shape[1] < side or second.shape[1] < side or first.shape[2] < side or second.shape[2] < side:
        return out
    for r in range(rows):
        for c in range(columns):
            cells[r, c, 0] = uses[r, c] & (3 if len(vectors) == 2 else 1)
            if len(vectors) == 1 and uses[r, c]:
                cells[r, c, 0] = 1
            for n in range(len(vectors)):
                cells[r, c, 1 + 2 * n], cells[r, c, 2 + 2 * n] = vectors[n, r, c, 0], vectors[n, r, c, 1]
    own, other = np.empty((8, 8), np.uint8), np.empty((8, 8), np.uint8)
    total = np.empty((8, 8), np.uint16)
    half = side // 2
    for r in range(rows):
        for c in range(columns):
            cell = cells[r, c]
            use = cell[0]
            _fetch(own, first, second, use, cell[1:], r, c, side, pad, shift, 0, side, 0, side)
            lonely = True
            if overlapped and use:
                for n in range(4):
                    near = cells[min(max(r + (n == 1) - (n == 0), 0), rows - 1)][
                        min(max(c + (n == 3) - (n == 2), 0), columns - 1)
                    ]
                    lonely = lonely and _alike(cell, near)
            if lonely:  # all of the weights are for the same
                for y in range(side):
                    for x in range(side):
                        out[r * side + y, c * side + x] = own[y, x]
                continue
            for y in range(side):
                for x in range(side):
                    total[y, x] = own[y, x] * weights[0, y, x] + 4
            for n in range(4):
                near = cells[min(max(r + (n == 1) - (n == 0), 0), rows - 1)][
                    min(max(c + (n == 3) - (n == 2), 0), columns - 1)
                ]
                moved = near[0] if near[0] else use
                top, bottom = half * (n == 1), side - half * (n == 0)
                left, right = half * (n == 3), side - half * (n == 2)
                weight = weights[1 + n // 2]
                if _alike(cell, near):
                    for y in range(top, bottom):
                        for x in range(left, right):
                            total[y, x] += own[y, x] * weight[y, x]
                    continue
                _fetch(other, first, second, moved, near[1:], r, c, side, pad, shift, top, bottom, left, right)
                for y in range(top, bottom):
                    for x in range(left, right):
                        total[y, x] += other[y, x] * weight[y, x]
            for y in range(side):
                for x in range(side):
                    out[r * side + y, c * side + x] = total[y, x] >> 3
    return out

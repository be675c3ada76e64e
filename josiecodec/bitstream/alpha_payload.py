"""Payload of a block of alpha: how opaque each pixel of some rows is, without loss.

Most alpha is opaque, transparent, and a soft edge between, which maps of colour indexes code best of all that was tried
(`entropy/index_map.py`; smaller than lossless WebP on masks, text, shadows and hair). Values, or what they differ from
those predicted of their neighbours by, are its indexes. See docs/format.md.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..entropy.counted_bits import Coder, CountedContexts, CountedDecoder, CountedEncoder, number
from ..entropy.index_map import IndexMap, Wanted
from ..entropy.range_coder import check_end
from ..errors import FormatError

MAX_ALPHA = 1 << 21  # pixels of a block
BLOCK_ALPHA = 1 << 20  # what the writer puts into one, if a row is not longer
VALUES, DIFFERENCES, PLAIN = 0, 1, 2  # what a payload holds, its first byte
MAX_WIDTH = 1 << 17  # of rows as maps, whose runs have lengths
SMOOTH = 1 / 16  # bytes a pixel above which differences are tried, too
_BITS = 8
_NEVER = float("inf")


def alpha_parts(alpha: np.ndarray, most_rows: int, most_bytes: int) -> Iterator[tuple[int, bytes]]:
    """Rows of pixels as they are put into blocks: how many, and their payload.

    Args:
        alpha: uint8 [rows, width].
        most_rows, most_bytes: of a block; a single row may take more bytes.
    """
    rows = min(most_rows, max(1, BLOCK_ALPHA // alpha.shape[1]))
    waiting = [alpha[first : first + rows] for first in range(0, len(alpha), rows)][::-1]
    while waiting:
        part = waiting.pop()
        payload = pack_alpha(part)
        if len(payload) > most_bytes and len(part) > 1:
            waiting += [part[len(part) // 2 :], part[: len(part) // 2]]
        else:
            yield len(part), payload


def pack_alpha(alpha: np.ndarray) -> bytes:
    """Rows uint8 [rows, width] -> payload."""
    if alpha.shape[1] > MAX_WIDTH:
        return bytes([PLAIN]) + alpha.tobytes()
    payload = bytes([VALUES]) + _coded(alpha)
    if len(payload) > SMOOTH * alpha.size:
        different = bytes([DIFFERENCES]) + _coded(_differences(alpha))
        payload = min(payload, different, bytes([PLAIN]) + alpha.tobytes(), key=len)
    return payload


def unpack_alpha(data: bytes, rows: int, width: int) -> np.ndarray:
    """The inverse of `pack_alpha`.

    Raises:
        FormatError: if it is not in order. Nothing is allocated for more than `MAX_ALPHA` pixels.
    """
    if rows * width > MAX_ALPHA:
        raise FormatError("a block of alpha that is too large")
    kind = data[0] if data else PLAIN + 1
    if kind == PLAIN:
        if len(data) != 1 + rows * width:
            raise FormatError(f"{len(data)} bytes of alpha for {rows} rows of {width}")
        return np.frombuffer(data, np.uint8, offset=1).reshape(rows, width).copy()
    if kind not in (VALUES, DIFFERENCES) or width > MAX_WIDTH:
        raise FormatError("alpha in a coding that is not known")
    coder = CountedDecoder(data[1:])
    values = _code_values(coder, [0] * (1 + coder.raw(0, _BITS)))
    model = IndexMap(len(values), width)
    indexes = np.stack([model.row(coder, [(0, width)]) for _ in range(rows)])
    check_end(coder)
    found = np.array(values, np.uint8)[indexes]
    return _summed(found) if kind == DIFFERENCES else found


def _coded(values: np.ndarray) -> bytes:
    """Values and the map of their indexes."""
    coder = CountedEncoder()
    colors, indexes = np.unique(values, return_inverse=True)
    coder.raw(len(colors) - 1, _BITS)
    _code_values(coder, colors.tolist())
    exact = np.where(np.eye(len(colors), dtype=bool), 0.0, _NEVER)
    width = values.shape[1]
    model = IndexMap(len(colors), width)
    for row in indexes.reshape(values.shape):
        ends = np.append(np.flatnonzero(np.diff(row)) + 1, width)
        same = np.repeat(ends, np.diff(ends, prepend=0))
        model.row(coder, [(0, width)], Wanted(exact, row, row, same))
    return coder.finish()


def _code_values(coder: Coder, values: list[int]) -> list[int]:
    """Code which values there are, in rising order: how many are left out before each."""
    contexts = CountedContexts(_BITS)
    found: list[int] = []
    for value in values:
        least = found[-1] + 1 if found else 0
        found.append(least + number(coder, contexts, 0, _BITS, value - least))
        if found[-1] > 255:
            raise FormatError("a value of alpha that there cannot be")
    return found


def _differences(alpha: np.ndarray) -> np.ndarray:
    """What pixels differ from their prediction by, modulo 256: the median of the left, the upper, and their sum less
    the one between them (as in lossless JPEG's successor, JPEG-LS)."""
    x = alpha.astype(np.int16)
    left, upper, corner = np.zeros_like(x), np.zeros_like(x), np.zeros_like(x)
    left[:, 1:], upper[1:], corner[1:, 1:] = x[:, :-1], x[:-1], x[:-1, :-1]
    left[1:, 0] = corner[1:, 0] = x[:-1, 0]  # the first column is predicted by what is above, the first row by the left
    upper[0] = corner[0] = left[0]
    low, high = np.minimum(left, upper), np.maximum(left, upper)
    return ((x - np.clip(left + upper - corner, low, high)) & 255).astype(np.uint8)


def _summed(differences: np.ndarray) -> np.ndarray:
    """The inverse of `_differences`."""
    rows: list[list[int]] = []
    for line in differences.tolist():
        above = rows[-1] if rows else [0] * len(line)
        left = corner = above[0]
        row = []
        for step, up in zip(line, above):
            upper, between = (up, corner) if rows else (left, left)
            predicted = left + upper - between
            low, high = (left, upper) if left < upper else (upper, left)
            left = (step + (low if predicted < low else high if predicted > high else predicted)) & 255
            row.append(left)
            corner = up
        rows.append(row)
    return np.array(rows, np.uint8)

"""Payload of a visual block: for some rows of patches, how many levels each has, and their codes.

A patch has a *mode* and a *count*. Mode 0 codes the patch by itself, from the first level on. The others
code what is left of it after a prediction from the picture before, from a deeper level on (which one is the
model's business); with a count of 0 such a patch is skipped: it is the prediction. The map of modes and
counts is range coded, each patch in the context of its left and upper neighbours; the codes follow, packed
plainly or coded with the tables of the model. See docs/format.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..entropy.code_tables import EntropyTables, check_density, decode_patches, encode_patches, least_bytes, patch_bits
from ..entropy.range_coder import (
    HALF,
    BitDecoder,
    BitEncoder,
    check_end,
    decode_number,
    encode_number,
)
from ..errors import CodesError, FormatError
from .bitpacking import pack, packed_size, unpack
from .varint import get_varint, put_varint

MODES = 4
MAX_BLOCK_FRAMES = 1024
BLOCK_PATCHES = 4096  # what the writer puts into a block, if a row is not longer
_BUCKETS = (0, 1, 2, 3, 3, 4, 4, 5, 5, 5, 6, 6, 6, 6, 6) + (7,) * 50
_STEPS = 15  # probabilities of one number


@dataclass(frozen=True)
class PatchRows:
    """Rows of patches.

    Attributes:
        modes: uint8 [rows, columns], 0 .. MODES - 1.
        counts: uint8 [rows, columns], levels of each patch.
        codes: uint16 [counts.sum()], patch after patch, left to right, top to bottom.
    """

    modes: np.ndarray
    counts: np.ndarray
    codes: np.ndarray

    def split(self, rows: int) -> list[PatchRows]:
        """Pieces of so many rows (the last one maybe fewer)."""
        ends = np.cumsum(self.counts.sum(1, dtype=np.int64))
        pieces = []
        for first in range(0, len(self.counts), rows):
            last = min(first + rows, len(self.counts))
            begin = int(ends[first - 1]) if first else 0
            codes = self.codes[begin : int(ends[last - 1])]
            pieces.append(PatchRows(self.modes[first:last], self.counts[first:last], codes))
        return pieces

    def trimmed(self, levels: int) -> PatchRows:
        """The same with at most `levels` levels of each patch."""
        counts = self.counts.reshape(-1).astype(np.int64)
        place = np.arange(len(self.codes)) - np.repeat(np.cumsum(counts) - counts, counts)
        return PatchRows(self.modes, np.minimum(self.counts, levels).astype(np.uint8), self.codes[place < levels])

    @staticmethod
    def joined(pieces: list[PatchRows], columns: int) -> PatchRows:
        """Pieces one below the other."""
        empty = np.zeros((0, columns), np.uint8)
        return PatchRows(
            np.concatenate([empty, *(p.modes for p in pieces)]),
            np.concatenate([empty, *(p.counts for p in pieces)]),
            np.concatenate([np.zeros(0, np.uint16), *(p.codes for p in pieces)]),
        )


def pack_rows(
    rows: PatchRows, levels: int, codebook_size: int, tables: EntropyTables | None = None
) -> tuple[bytes, bool]:
    """Rows -> payload, and whether it is coded with `tables`, which it is if that makes it smaller.

    Raises:
        CodesError: if something is out of range.
    """
    map_ = _pack_map(rows, levels)
    codes, coded = pack(rows.codes, codebook_size), False
    if tables is not None:
        found = encode_patches(rows.modes, rows.counts, rows.codes, tables)
        if len(found) < len(codes):
            codes, coded = found, True
    return put_varint(len(map_)) + map_ + codes, coded


def estimated_size(
    rows: PatchRows, levels: int, codebook_size: int, tables: EntropyTables | None, exactly: bool = True
) -> int:
    """Bytes of the payload, to within one or two if it is coded; see `entropy.patch_bits` for `exactly`."""
    map_ = _pack_map(rows, levels)
    codes = packed_size(len(rows.codes), codebook_size)
    if tables is not None:
        coded = round(patch_bits(rows.modes, rows.counts, rows.codes, tables, exactly).sum() / 8 + 0.5)
        codes = min(codes, max(coded, least_bytes(len(rows.codes))))
    return len(put_varint(len(map_))) + len(map_) + codes


def visual_bytes(
    rows: PatchRows, levels: int, codebook_size: int, tables: EntropyTables | None = None, exactly: bool = True
) -> int:
    """Bytes that rows of patches take in a file, blocks and all (to within a few).

    If not `exactly`, as if there were no context network: too many by a share that is much the same for one picture.
    """
    return sum(14 + estimated_size(part, levels, codebook_size, tables, exactly) for part in block_parts(rows))


def block_parts(rows: PatchRows) -> list[PatchRows]:
    """Rows of patches as they are put into blocks."""
    return rows.split(min(MAX_BLOCK_FRAMES, max(1, BLOCK_PATCHES // max(rows.counts.shape[1], 1))))


def _pack_map(rows: PatchRows, levels: int) -> bytes:
    if rows.counts.shape != rows.modes.shape or int(rows.counts.sum()) != len(rows.codes):
        raise CodesError("maps and codes of patches do not fit each other")
    if int(rows.counts.max(initial=0)) > levels or int(rows.modes.max(initial=0)) >= MODES:
        raise CodesError(f"patches have at most {levels} levels and {MODES} modes")
    coder = BitEncoder()
    model = _Model(rows.counts.shape[1], levels)
    for modes, counts in zip(rows.modes.tolist(), rows.counts.tolist()):
        for column, (mode, count) in enumerate(zip(modes, counts)):
            model.encode(coder, column, mode, count)
    return coder.finish()


def unpack_rows(
    data: bytes,
    rows: int,
    columns: int,
    levels: int,
    codebook_size: int,
    coded: bool = False,
    tables: EntropyTables | None = None,
) -> PatchRows:
    """Payload -> rows. Coded ones for which there are no tables get zeros as codes.

    Raises:
        FormatError: if it is not in order. No more is allocated than the maps and a few times the payload itself.
    """
    size, position = get_varint(data, 0, len(data))
    if position + size > len(data):
        raise FormatError("the map of a block is cut off")
    coder = BitDecoder(data[position : position + size])
    model = _Model(columns, levels)
    found = [[model.decode(coder, column) for column in range(columns)] for _ in range(rows)]
    check_end(coder)
    maps = np.array(found, np.uint8).reshape(rows, columns, 2)
    modes, counts = maps[..., 0], maps[..., 1]
    total = int(counts.sum(dtype=np.int64))
    rest = data[position + size :]
    if coded:
        check_density(total, len(rest))
        codes = np.zeros(total, np.uint16) if tables is None else decode_patches(rest, modes, counts, tables)
        return PatchRows(modes, counts, codes)
    if len(rest) != packed_size(total, codebook_size):
        raise FormatError(f"{len(rest)} bytes of codes where the map asks for {total} codes")
    return PatchRows(modes, counts, unpack(rest, total, 1, codebook_size)[:, 0])


class _Model:
    """Adaptive probabilities of the map, and what was seen in the row above and to the left."""

    def __init__(self, columns: int, levels: int):
        self.levels = levels
        self.mode = [HALF] * (3 * 4)  # predicted or not, in 3 contexts; which prediction, in 2 bits
        self.same = [HALF] * (2 * 8 * 3)
        self.sign = [HALF] * 8
        self.size = [HALF] * (2 * 8 * _STEPS)
        self.modes_above = [0] * columns
        self.counts_above: list[int] = [-1] * columns

    def _before(self, column: int) -> tuple[int, int, int]:
        """Context of the mode, guess of the count, how much the neighbours differ (0..2)."""
        left = self.counts_above[column - 1] if column else -1  # already of this row
        above = self.counts_above[column]
        predicted = (column > 0 and self.modes_above[column - 1] > 0) + (self.modes_above[column] > 0)
        if left < 0 and above < 0:
            return predicted, min(4, self.levels), 2
        if left < 0 or above < 0:
            return predicted, max(left, above), 1
        return predicted, (left + above + 1) // 2, min(2, abs(left - above) // 2)

    def encode(self, coder: BitEncoder, column: int, mode: int, count: int) -> None:
        """Code one patch."""
        context, guess, spread = self._before(column)
        coder.encode(self.mode, context, mode > 0)
        if mode:
            coder.encode(self.mode, 3, mode > 1)
            if mode > 1:
                coder.encode(self.mode, 4, mode > 2)
        base = 8 * (mode > 0) + _BUCKETS[guess]
        coder.encode(self.same, base * 3 + spread, count != guess)
        if count != guess:
            up = count > guess
            if 0 < guess < self.levels:
                coder.encode(self.sign, _BUCKETS[guess], up)
            most = (self.levels - guess if up else guess) - 1
            encode_number(coder, self.size, (8 * up + _BUCKETS[guess]) * _STEPS, abs(count - guess) - 1, most)
        self.modes_above[column], self.counts_above[column] = mode, count

    def decode(self, coder: BitDecoder, column: int) -> tuple[int, int]:
        """The next patch: mode and count."""
        context, guess, spread = self._before(column)
        mode = coder.decode(self.mode, context)
        if mode:
            mode += coder.decode(self.mode, 3)
            if mode > 1:
                mode += coder.decode(self.mode, 4)
        base = 8 * (mode > 0) + _BUCKETS[guess]
        count = guess
        if coder.decode(self.same, base * 3 + spread):
            up = coder.decode(self.sign, _BUCKETS[guess]) if 0 < guess < self.levels else int(guess == 0)
            most = (self.levels - guess if up else guess) - 1
            step = 1 + decode_number(coder, self.size, (8 * up + _BUCKETS[guess]) * _STEPS, most)
            count = guess + step if up else guess - step
        self.modes_above[column], self.counts_above[column] = mode, count
        return mode, count

"""Payload of a vision block: for some rows of patches, how many levels each has, and their codes.

A patch has a *mode* and a *level count*. Mode 0 (intra) codes the patch by itself, from the first level on. The others
code the residual of a prediction from the frame group before, from a deeper level on (which one is the model's
business); with a count of 0 such a patch is skipped: it is the prediction. The map of modes and counts is range coded,
each patch in the context of its left and upper neighbours; the codes follow, in fixed-length code words or range coded
with the tables of the model. See docs/format.md.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

import numpy as np

from ..entropy.code_tables import EntropyTables, check_density, decode_patches, encode_patches, min_bytes, patch_bits
from ..entropy.range_coder import (
    HALF,
    UNARY_CONTEXTS,
    RangeDecoder,
    RangeEncoder,
    check_end,
    decode_unary,
    encode_unary,
)
from ..errors import CodesError, FormatError
from .bitpacking import pack, packed_size, unpack
from .varint import get_varint, put_varint

MODES = 4
MAX_BLOCK_UNITS = 1024  # rows of patches, or frames of audio
BLOCK_PATCHES = 4096  # what the writer puts into a block, if a row is not longer
_COUNT_CLASS = (0, 1, 2, 3, 3, 4, 4, 5, 5, 5, 6, 6, 6, 6, 6) + (7,) * 50


@dataclass(frozen=True)
class DetailPart:
    """What some rows of patches have beside their codes.

    Attributes:
        first, rows: which rows.
        data: coded coefficients of a detail layer, bytes that the model alone can read; may be none.
        screen: those of their patches that have few colours, see `screen_payload.py`; may be none.
    """

    first: int
    rows: int
    data: bytes
    screen: bytes = b""

    @property
    def last(self) -> int:
        """The row after its last."""
        return self.first + self.rows


@dataclass(frozen=True)
class PatchRows:
    """Rows of patches.

    Attributes:
        modes: uint8 [rows, columns], 0 .. MODES - 1.
        counts: uint8 [rows, columns], levels of each patch.
        codes: uint16 [counts.sum()], patch after patch, left to right, top to bottom.
        details: of a detail layer, in order of rows, which parts must not overlap; rows may have none.
    """

    modes: np.ndarray
    counts: np.ndarray
    codes: np.ndarray
    details: tuple[DetailPart, ...] = ()

    def split(self, rows: int) -> list[PatchRows]:
        """Pieces of so many rows (the last one maybe fewer)."""
        return self.cut(list(range(rows, len(self.counts), rows)))

    def cut(self, edges: list[int]) -> list[PatchRows]:
        """Pieces that end before the rows `edges`, which rise, and at the last row. A part of a detail layer that lies
        across an edge is left out."""
        ends = np.cumsum(self.counts.sum(1, dtype=np.int64))
        pieces = []
        for first, last in itertools.pairwise([0, *edges, len(self.counts)]):
            begin = int(ends[first - 1]) if first else 0
            codes = self.codes[begin : int(ends[last - 1]) if last else 0]
            inside = tuple(
                replace(part, first=part.first - first)
                for part in self.details
                if part.first >= first and part.last <= last
            )
            pieces.append(PatchRows(self.modes[first:last], self.counts[first:last], codes, inside))
        return pieces if len(self.counts) else []

    def trimmed(self, levels: int) -> PatchRows:
        """The same with at most `levels` levels of each patch; a detail layer goes with the levels it refers to,
        patches of few colours stay."""
        if not self.counts.size or int(self.counts.max()) <= levels:
            return self
        details = tuple(replace(part, data=b"") for part in self.details if part.screen)
        counts = self.counts.reshape(-1).astype(np.int64)
        level = np.arange(len(self.codes)) - np.repeat(np.cumsum(counts) - counts, counts)
        fewer = np.minimum(self.counts, levels).astype(np.uint8)
        return PatchRows(self.modes, fewer, self.codes[level < levels], details)

    @staticmethod
    def joined(pieces: list[PatchRows], columns: int) -> PatchRows:
        """Pieces one below the other."""
        empty = np.zeros((0, columns), np.uint8)
        starts = itertools.accumulate((len(p.counts) for p in pieces), initial=0)
        details = [replace(part, first=part.first + at) for p, at in zip(pieces, starts) for part in p.details]
        return PatchRows(
            np.concatenate([empty, *(p.modes for p in pieces)]),
            np.concatenate([empty, *(p.counts for p in pieces)]),
            np.concatenate([np.zeros(0, np.uint16), *(p.codes for p in pieces)]),
            tuple(details),
        )


def pack_rows(
    rows: PatchRows, levels: int, codebook_size: int, tables: EntropyTables | None = None
) -> tuple[bytes, bool]:
    """Rows -> payload without details, and whether its codes are range coded with `tables`, which they are if that is
    smaller.

    Raises:
        CodesError: if something is out of range.
    """
    map_ = _pack_map(rows, levels)
    codes, coded = pack(rows.codes, codebook_size), False
    if tables is not None:
        shorter = encode_patches(rows.modes, rows.counts, rows.codes, tables)
        if len(shorter) < len(codes):
            codes, coded = shorter, True
    return put_varint(len(map_)) + map_ + codes, coded


def estimated_size(
    rows: PatchRows, levels: int, codebook_size: int, tables: EntropyTables | None, exactly: bool = True
) -> int:
    """Bytes of the payload, to within one or two if its codes are range coded; see `patch_bits` for `exactly`."""
    map_ = _pack_map(rows, levels)
    codes = packed_size(len(rows.codes), codebook_size)
    if tables is not None:
        coded = round(patch_bits(rows.modes, rows.counts, rows.codes, tables, exactly).sum() / 8 + 0.5)
        codes = min(codes, max(coded, min_bytes(len(rows.codes))))
    return len(put_varint(len(map_))) + len(map_) + codes


def vision_bytes(
    rows: PatchRows, levels: int, codebook_size: int, tables: EntropyTables | None = None, exactly: bool = True
) -> int:
    """Bytes that rows of patches take in a file, blocks and all (to within a few).

    If not `exactly`, as if there were no context model: too many by a ratio that is about the same for one picture.
    """
    return sum(
        14
        + estimated_size(part, levels, codebook_size, tables, exactly)
        + sum(len(d.data) + len(d.screen) + 6 for d in part.details)
        for part in block_parts(rows)
    )


def block_parts(rows: PatchRows) -> list[PatchRows]:
    """Rows of patches as they are put into blocks: each with no part of a detail layer, or exactly one."""
    edges = {part.first for part in rows.details} | {part.last for part in rows.details}
    pieces = rows.cut(sorted(edges - {0, len(rows.counts)}))
    return [
        part
        for piece in pieces
        for part in ([piece] if piece.details else piece.split(block_rows(rows.counts.shape[1])))
    ]


def block_rows(columns: int) -> int:
    """Rows of so many patches that the writer puts into a block."""
    return min(MAX_BLOCK_UNITS, max(1, BLOCK_PATCHES // max(columns, 1)))


def in_front(extra: bytes, payload: bytes) -> bytes:
    """A payload with something in front of it."""
    return put_varint(len(extra)) + extra + payload


def taken_off(payload: bytes, what: str) -> tuple[bytes, bytes]:
    """The inverse of `in_front`.

    Raises:
        FormatError: if `what` stands in front is cut off.
    """
    size, position = get_varint(payload, 0, len(payload))
    if position + size > len(payload):
        raise FormatError(f"{what} of a block is cut off")
    return payload[position : position + size], payload[position + size :]


def _pack_map(rows: PatchRows, levels: int) -> bytes:
    if rows.counts.shape != rows.modes.shape or int(rows.counts.sum()) != len(rows.codes):
        raise CodesError("maps and codes of patches do not fit each other")
    if int(rows.counts.max(initial=0)) > levels or int(rows.modes.max(initial=0)) >= MODES:
        raise CodesError(f"patches have at most {levels} levels and {MODES} modes")
    encoder = RangeEncoder()
    model = _MapModel(rows.counts.shape[1], levels)
    for modes, counts in zip(rows.modes.tolist(), rows.counts.tolist()):
        for column, (mode, count) in enumerate(zip(modes, counts)):
            model.encode(encoder, column, mode, count)
    return encoder.finish()


def unpack_rows(
    data: bytes,
    rows: int,
    columns: int,
    levels: int,
    codebook_size: int,
    coded: bool = False,
    tables: EntropyTables | None = None,
) -> PatchRows:
    """Payload -> rows. Range-coded codes for which there are no tables come out as zeros.

    Raises:
        FormatError: if it is not in order. No more is allocated than the maps and a few times the payload itself.
    """
    size, position = get_varint(data, 0, len(data))
    if position + size > len(data):
        raise FormatError("the map of a block is cut off")
    decoder = RangeDecoder(data[position : position + size])
    model = _MapModel(columns, levels)
    pairs = [[model.decode(decoder, column) for column in range(columns)] for _ in range(rows)]
    check_end(decoder)
    maps = np.array(pairs, np.uint8).reshape(rows, columns, 2)
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


class _MapModel:
    """Adaptive probabilities of the map, and the modes and counts to the left and above.

    The count of a patch is predicted from those of its neighbours. Coded are whether it is the predicted one, if not,
    its sign, and the size of the difference in truncated unary.
    """

    def __init__(self, columns: int, levels: int):
        self.levels = levels
        self.mode = [HALF] * (3 * 4)  # predicted or not, in 3 contexts; which prediction, in 2 bits
        self.differs = [HALF] * (2 * 8 * 3)
        self.sign = [HALF] * 8
        self.size = [HALF] * (2 * 8 * UNARY_CONTEXTS)
        self.modes_above = [0] * columns
        self.counts_above: list[int] = [-1] * columns

    def _context(self, column: int) -> tuple[int, int, int]:
        """Context of the mode, predicted count, how much the neighbours differ (0..2)."""
        left = self.counts_above[column - 1] if column else -1  # already of this row
        above = self.counts_above[column]
        predicted = (column > 0 and self.modes_above[column - 1] > 0) + (self.modes_above[column] > 0)
        if left < 0 and above < 0:
            return predicted, min(4, self.levels), 2
        if left < 0 or above < 0:
            return predicted, max(left, above), 1
        return predicted, (left + above + 1) // 2, min(2, abs(left - above) // 2)

    def encode(self, encoder: RangeEncoder, column: int, mode: int, count: int) -> None:
        """Code one patch."""
        context, expected, difference = self._context(column)
        encoder.encode_bit(self.mode, context, mode > 0)
        if mode:
            encoder.encode_bit(self.mode, 3, mode > 1)
            if mode > 1:
                encoder.encode_bit(self.mode, 4, mode > 2)
        base = 8 * (mode > 0) + _COUNT_CLASS[expected]
        encoder.encode_bit(self.differs, base * 3 + difference, count != expected)
        if count != expected:
            up = count > expected
            if 0 < expected < self.levels:
                encoder.encode_bit(self.sign, _COUNT_CLASS[expected], up)
            maximum = (self.levels - expected if up else expected) - 1
            encode_unary(encoder, self.size, self._size_context(up, expected), abs(count - expected) - 1, maximum)
        self.modes_above[column], self.counts_above[column] = mode, count

    def decode(self, decoder: RangeDecoder, column: int) -> tuple[int, int]:
        """The next patch: mode and count."""
        context, expected, difference = self._context(column)
        mode = decoder.decode_bit(self.mode, context)
        if mode:
            mode += decoder.decode_bit(self.mode, 3)
            if mode > 1:
                mode += decoder.decode_bit(self.mode, 4)
        base = 8 * (mode > 0) + _COUNT_CLASS[expected]
        count = expected
        if decoder.decode_bit(self.differs, base * 3 + difference):
            if 0 < expected < self.levels:
                up = decoder.decode_bit(self.sign, _COUNT_CLASS[expected])
            else:
                up = int(expected == 0)
            maximum = (self.levels - expected if up else expected) - 1
            size = 1 + decode_unary(decoder, self.size, self._size_context(up, expected), maximum)
            count = expected + size if up else expected - size
        self.modes_above[column], self.counts_above[column] = mode, count
        return mode, count

    @staticmethod
    def _size_context(up: int, expected: int) -> int:
        return (8 * up + _COUNT_CLASS[expected]) * UNARY_CONTEXTS

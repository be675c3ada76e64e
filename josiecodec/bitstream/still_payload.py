"""Payload of a key picture that is coded as a still picture: the parts of its detail layer, and its base.

Each part has the rows that a block of a still picture would have; see docs/format.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..entropy.code_tables import EntropyTables
from ..errors import CodesError
from .patch_payload import DetailPart, PatchRows, block_rows, in_front, pack_rows, taken_off, unpack_rows


def still_parts(height: int, columns: int) -> list[tuple[int, int]]:
    """Rows of patches of each part, as first and behind the last."""
    rows = block_rows(columns)
    return [(first, min(first + rows, height)) for first in range(0, height, rows)]


def with_parts(rows: PatchRows, parts: Sequence[bytes]) -> PatchRows:
    """A base with the parts of its detail.

    Raises:
        CodesError: if these are too few or too many.
    """
    places = still_parts(*rows.counts.shape)
    if len(parts) != len(places):
        raise CodesError(f"{len(parts)} parts of the detail of a picture that has {len(places)}")
    return replace(rows, details=tuple(DetailPart(a, b - a, part) for (a, b), part in zip(places, parts)))


def pack_still(
    rows: PatchRows, levels: int, codebook_size: int, tables: EntropyTables | None = None
) -> tuple[bytes, bool]:
    """Rows with all parts of their detail -> payload, and whether codes are range coded with `tables`.

    Raises:
        CodesError: if parts are not those that there should be, or something is out of range.
    """
    parts = tuple((part.first, part.last) for part in rows.details)
    if parts != tuple(still_parts(*rows.counts.shape)) or any(part.screen for part in rows.details):
        raise CodesError("the detail of a key picture is not in the parts that it should have")
    payload, coded = pack_rows(rows, levels, codebook_size, tables)
    for part in reversed(rows.details):
        payload = in_front(part.data, payload)
    return payload, coded


def unpack_still(
    data: bytes,
    rows: int,
    columns: int,
    levels: int,
    codebook_size: int,
    coded: bool = False,
    tables: EntropyTables | None = None,
) -> PatchRows:
    """The inverse of `pack_still`, as `unpack_rows`.

    Raises:
        FormatError: if it is not in order.
    """
    parts = []
    for _ in still_parts(rows, columns):
        part, data = taken_off(data, "the detail layer")
        parts.append(part)
    return with_parts(unpack_rows(data, rows, columns, levels, codebook_size, coded, tables), parts)

"""The numbers of payload codings, and patches in each of theirs."""

from __future__ import annotations

from dataclasses import replace

from ..entropy.code_tables import EntropyTables
from .header import VisionInfo
from .patch_payload import DetailPart, PatchRows, pack_rows, unpack_rows, with_detail, without_detail

FIXED_LENGTH, FIXED_LENGTH_PATCHES, RANGE_CODED, RANGE_CODED_PATCHES = 0, 1, 2, 3
FIXED_LENGTH_DETAIL, RANGE_CODED_DETAIL = 4, 5  # the same of patches, with a part of a detail layer
CODINGS = {
    "audio": (FIXED_LENGTH, RANGE_CODED),
    "vision": (FIXED_LENGTH_PATCHES, RANGE_CODED_PATCHES, FIXED_LENGTH_DETAIL, RANGE_CODED_DETAIL),
}
WITH_TABLES = (RANGE_CODED, RANGE_CODED_PATCHES, RANGE_CODED_DETAIL)


def pack_patches(rows: PatchRows, info: VisionInfo, tables: EntropyTables | None) -> tuple[int, bytes]:
    """Rows of a block -> payload coding and payload."""
    payload, coded = pack_rows(rows, info.levels, info.codebook_size, tables)
    if not rows.details:
        return (RANGE_CODED_PATCHES if coded else FIXED_LENGTH_PATCHES), payload
    return (RANGE_CODED_DETAIL if coded else FIXED_LENGTH_DETAIL), with_detail(rows.details[0].data, payload)


def unpack_patches(
    coding: int, payload: bytes, units: int, info: VisionInfo, tables: EntropyTables | None
) -> PatchRows:
    """The inverse of `pack_patches`; range-coded codes for which there are no tables come out as zeros.

    Raises:
        FormatError: if it is not in order.
    """
    details: tuple[DetailPart, ...] = ()
    if coding in (FIXED_LENGTH_DETAIL, RANGE_CODED_DETAIL):
        detail, payload = without_detail(payload)
        details = (DetailPart(0, units, detail),)
    rows = unpack_rows(payload, units, info.columns, info.levels, info.codebook_size, coding in WITH_TABLES, tables)
    return replace(rows, details=details)

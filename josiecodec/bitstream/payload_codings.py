"""The numbers of payload codings, and patches in each of theirs."""

from __future__ import annotations

from dataclasses import replace

from ..entropy.code_tables import EntropyTables
from ..errors import FormatError
from .header import VisionInfo
from .patch_payload import DetailPart, PatchRows, in_front, pack_rows, taken_off, unpack_rows

FIXED_LENGTH, FIXED_LENGTH_PATCHES, RANGE_CODED, RANGE_CODED_PATCHES = 0, 1, 2, 3
FIXED_LENGTH_DETAIL, RANGE_CODED_DETAIL = 4, 5  # the same of patches, with a part of a detail layer
MOTION = 6  # pictures of a video with motion
FIXED_LENGTH_SCREEN, RANGE_CODED_SCREEN = 7, 8  # of patches, with a part of a detail layer and patches of few colours
FIXED_LENGTH_MARKED, RANGE_CODED_MARKED = 9, 10  # of audio, with the place of the decoder
TIMED_MOTION = 11  # pictures of a video with motion that come at no even rate, and their times
TOOLED_MOTION, TIMED_TOOLED_MOTION = 12, 13  # the same two, with what key pictures name (`motion_payload.Tools`)
MARKED = {FIXED_LENGTH: FIXED_LENGTH_MARKED, RANGE_CODED: RANGE_CODED_MARKED}
UNMARKED = {marked: coding for coding, marked in MARKED.items()}
CODINGS = {
    "audio": (FIXED_LENGTH, RANGE_CODED, FIXED_LENGTH_MARKED, RANGE_CODED_MARKED),
    "vision": (
        FIXED_LENGTH_PATCHES,
        RANGE_CODED_PATCHES,
        FIXED_LENGTH_DETAIL,
        RANGE_CODED_DETAIL,
        MOTION,
        TIMED_MOTION,
        TOOLED_MOTION,
        TIMED_TOOLED_MOTION,
        FIXED_LENGTH_SCREEN,
        RANGE_CODED_SCREEN,
    ),
    "alpha": (FIXED_LENGTH,),
}
MOVING = {  # by whether there are tools, and times
    MOTION: (False, False),
    TIMED_MOTION: (False, True),
    TOOLED_MOTION: (True, False),
    TIMED_TOOLED_MOTION: (True, True),
}
WITH_TABLES = (RANGE_CODED, RANGE_CODED_PATCHES, RANGE_CODED_DETAIL, RANGE_CODED_SCREEN)


def pack_patches(rows: PatchRows, info: VisionInfo, tables: EntropyTables | None) -> tuple[int, bytes]:
    """Rows of a block -> payload coding and payload."""
    payload, coded = pack_rows(rows, info.levels, info.codebook_size, tables)
    if not rows.details:
        return (RANGE_CODED_PATCHES if coded else FIXED_LENGTH_PATCHES), payload
    part = rows.details[0]
    payload = in_front(part.data, payload)
    if not part.screen:
        return (RANGE_CODED_DETAIL if coded else FIXED_LENGTH_DETAIL), payload
    return (RANGE_CODED_SCREEN if coded else FIXED_LENGTH_SCREEN), in_front(part.screen, payload)


def unpack_patches(
    coding: int, payload: bytes, units: int, info: VisionInfo, tables: EntropyTables | None
) -> PatchRows:
    """The inverse of `pack_patches`; range-coded codes for which there are no tables come out as zeros.

    Raises:
        FormatError: if it is not in order.
    """
    details: tuple[DetailPart, ...] = ()
    screen = b""
    if coding in (FIXED_LENGTH_SCREEN, RANGE_CODED_SCREEN):
        screen, payload = taken_off(payload, "what has few colours")
        if not screen:
            raise FormatError("a block without the patches of few colours that it should have")
    if screen or coding in (FIXED_LENGTH_DETAIL, RANGE_CODED_DETAIL):
        detail, payload = taken_off(payload, "the detail layer")
        details = (DetailPart(0, units, detail, screen),)
    rows = unpack_rows(payload, units, info.columns, info.levels, info.codebook_size, coding in WITH_TABLES, tables)
    return replace(rows, details=details)

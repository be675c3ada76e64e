"""MP4, M4A and MOV files without their index (`moov`): cut off in a download, or of a recorder that was switched off.

Nothing in them can be decoded without it, but what is wrong can be said (boxes: ISO/IEC 14496-12, 4.2).
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import IO, Any

MISSING = (
    "its index (moov) is missing: it was cut off, or its recording was never finished; fetch it again, or rebuild the "
    "index from a whole file of the same device with a tool for that, such as untrunc"
)
MAX_BOXES = 1000  # looked at


def without_index(source: str | Path | IO[bytes]) -> str:
    """What to do about an MP4 without a whole index; "" of a file that has one, or is no MP4."""
    with contextlib.suppress(OSError, ValueError):
        if isinstance(source, (str, Path)):
            with open(source, "rb") as file:
                return MISSING if _lacks_index(file) else ""
        place = source.tell()
        try:
            return MISSING if _lacks_index(source) else ""
        finally:
            source.seek(place)
    return ""


def _lacks_index(file: Any) -> bool:
    end = file.seek(0, os.SEEK_END)
    place = 0
    for number in range(MAX_BOXES):
        file.seek(place)
        head = file.read(16)
        size, kind = int.from_bytes(head[:4], "big"), head[4:8]
        if not number and kind != b"ftyp":
            return False
        size = int.from_bytes(head[8:16], "big") if size == 1 else size or end - place
        if kind == b"moov" and len(head) >= 8 and place + size <= end:
            return False
        if size < 8 or place + size >= end:
            return True
        place += size
    return False

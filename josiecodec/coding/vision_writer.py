"""What encoders of pictures give, on its way into a file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from ..bitstream.container import TokenWriter
from ..bitstream.motion_payload import MotionRows
from ..bitstream.patch_payload import PatchRows

END_BYTES = 24  # an end record, about


class PictureEncoder(Protocol):
    """What turns pictures into what a file holds: rows of patches, or pictures with motion.

    Attributes:
        overhead: bits that the rest of the file takes, out of the same budget.
        taken: pictures so far.
    """

    overhead: float
    taken: int

    def add(self, picture: Any) -> Sequence[PatchRows | MotionRows]: ...
    def finish(self) -> Sequence[PatchRows | MotionRows]: ...


def put(writer: TokenWriter, stream: int, parts: Sequence[PatchRows | MotionRows]) -> None:
    """Write what an encoder of pictures gave."""
    for part in parts:
        if isinstance(part, MotionRows):
            writer.add_pictures(stream, part)
        else:
            writer.add_rows(stream, part)


def write_pictures(
    writer: TokenWriter, encoder: PictureEncoder, pictures: Iterable[Any], overhead: float = float("inf")
) -> None:
    """Write pictures [3, H, W] as the first stream of a file, beside alpha at most, and close it. No more bits of
    `overhead` than given are taken from the budget of the pictures."""
    encoder.overhead = min(8.0 * (writer.size + END_BYTES), overhead)
    for picture in pictures:
        put(writer, 0, encoder.add(picture))
    put(writer, 0, encoder.finish())
    writer.close([encoder.taken] * len(writer.streams))

"""Which of the two codings of a video is used: groups of pictures without motion, or pictures with."""

from __future__ import annotations

from fractions import Fraction

from ..bitstream.header import MAX_PATCHES
from ..bitstream.patch_payload import MAX_BLOCK_UNITS
from ..errors import CodecError
from ..settings import EncoderSettings, Rate
from ..vision.motion_planes import PATCH
from .motion_encoder import KEY_SECONDS, MotionEncoder
from .quality import as_lambda
from .video_decoder import VideoDecoder
from .vision_door import VisionDoor
from .vision_encoder import GroupEncoder
from .vision_identity import MOTION_GROUP

__all__ = ["KEY_SECONDS", "MOTION_GROUP", "VideoDecoder", "video_encoder"]


def moves(codec: VisionDoor, rate: Rate, size: tuple[int, int]) -> bool:
    """Whether videos of a size are coded with motion at a rate."""
    h, w = codec.grid(*size)
    return rate.n_q is None and codec.patch == PATCH and h * w <= MAX_PATCHES and h <= MAX_BLOCK_UNITS


def video_encoder(
    codec: VisionDoor,
    rate: Rate,
    size: tuple[int, int],
    per_second: Fraction,
    *,
    settings: EncoderSettings | None = None,
    key_seconds: float = KEY_SECONDS,
) -> MotionEncoder | GroupEncoder:
    """What encodes the pictures of a video.

    Motion is for videos at a rate; the same number of levels in every patch, patches of another size than 16 and
    pictures of more patches, or rows of them, than a block holds are coded without.

    Raises:
        CodecError: if `key_seconds` is not a positive number.
    """
    if not key_seconds > 0:
        raise CodecError(f"key pictures come after a positive number of seconds, not {key_seconds}")
    rate = as_lambda(rate)
    if moves(codec, rate, size):
        return MotionEncoder(
            codec, rate, size, per_second, settings=settings, tables=codec.tables, key_seconds=key_seconds
        )
    return GroupEncoder(codec, rate, size, per_second, settings=settings, tables=codec.tables)

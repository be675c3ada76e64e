"""Which of the two codings of a video is used: groups of pictures without motion, or pictures with."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

from ..bitstream.header import MAX_PATCHES
from ..bitstream.patch_payload import MAX_BLOCK_UNITS
from ..errors import CodecError
from ..settings import EncoderSettings, Rate
from ..vision.motion_planes import PATCH
from .motion_encoder import KEY_SECONDS, MotionEncoder
from .motion_keys import VideoNetwork
from .quality import as_lambda
from .video_decoder import WITHOUT_MOTION, VideoDecoder
from .vision_identity import MOTION_GROUP

if TYPE_CHECKING:
    from .vision_encoder import GroupEncoder

__all__ = ["KEY_SECONDS", "MOTION_GROUP", "VideoDecoder", "video_encoder"]


def moves(codec: VideoNetwork, rate: Rate, size: tuple[int, int]) -> bool:
    """Whether videos of a size are coded with motion at a rate."""
    h, w = codec.grid(*size)
    return rate.n_q is None and codec.patch == PATCH and h * w <= MAX_PATCHES and h <= MAX_BLOCK_UNITS


def video_encoder(
    codec: VideoNetwork,
    rate: Rate,
    size: tuple[int, int],
    per_second: Fraction,
    *,
    settings: EncoderSettings | None = None,
    key_seconds: float = KEY_SECONDS,
    stills: bool = True,
) -> MotionEncoder | GroupEncoder:
    """What encodes the pictures of a video.

    Motion is for videos at a rate; the same number of levels in every patch, patches of another size than 16 and
    pictures of more patches, or rows of them, than a block holds are coded without. With `stills` models that have a
    detail layer code key pictures as still pictures; without, all of them is in tokens (`motion_sequence.py`).

    Raises:
        CodecError: if `key_seconds` is not a positive number, or of a video without motion, if no torch runs the model.
    """
    if not key_seconds > 0:
        raise CodecError(f"key pictures come after a positive number of seconds, not {key_seconds}")
    rate = as_lambda(rate)
    if moves(codec, rate, size):
        return MotionEncoder(
            codec,
            rate,
            size,
            per_second,
            settings=settings,
            tables=codec.tables,
            key_seconds=key_seconds,
            stills=stills,
        )
    if not hasattr(codec, "synthesize"):
        raise CodecError(WITHOUT_MOTION)
    from .vision_encoder import GroupEncoder

    network: Any = codec
    return GroupEncoder(network, rate, size, per_second, settings=settings, tables=codec.tables)

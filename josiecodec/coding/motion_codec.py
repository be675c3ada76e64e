"""Which of the two codings of a video is used: groups of pictures without motion, or pictures with."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from torch import Tensor

from ..bitstream.container import Block
from ..bitstream.header import MAX_PATCHES, VisionInfo
from ..bitstream.motion_payload import MotionRows
from ..bitstream.patch_payload import MAX_BLOCK_UNITS
from ..errors import CodecError, FormatError
from ..settings import EncoderSettings, Rate
from ..vision.motion_planes import PATCH
from .motion_decoder import MotionDecoder, no_levels_left_out
from .motion_encoder import KEY_SECONDS, MotionEncoder
from .quality import as_lambda
from .vision_decoder import GroupDecoder
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


class VideoDecoder:
    """Turns the blocks of a vision stream, one after the other, into pictures [3, H, W]; its first says which coding.

    Args:
        codec: the model that made them.
        info: header of the stream.
        n_q: use at most so many levels, of a stream without motion.
        salvage: make do with what is there.
        start: of a stream with motion, the first picture wanted.
        as_bytes: whether large still pictures may come out as bytes, in less memory.
    """

    def __init__(
        self,
        codec: VisionDoor,
        info: VisionInfo,
        n_q: int | None = None,
        salvage: bool = False,
        start: int = 0,
        as_bytes: bool = False,
    ):
        self.codec, self.info, self.n_q, self.salvage, self.start = codec, info, n_q, salvage, start
        self.as_bytes = as_bytes
        self._decoder: GroupDecoder | MotionDecoder | None = None
        if info.group == codec.config.group != MOTION_GROUP:
            self._decoder = self._groups()

    def _groups(self) -> GroupDecoder:
        decoder = GroupDecoder(self.codec, self.info, self.n_q, self.salvage)
        decoder.as_bytes = self.as_bytes
        return decoder

    @property
    def shown(self) -> int:
        """Pictures so far."""
        return 0 if self._decoder is None else self._decoder.shown

    @property
    def lost(self) -> int:
        """Pictures with motion that could not be decoded."""
        return self._decoder.lost if isinstance(self._decoder, MotionDecoder) else 0

    def push(self, block: Block) -> Iterator[Tensor]:
        """The pictures that a block completes.

        Raises:
            FormatError: if it does not follow on the last one, or is not in order.
            CodesError: if levels are to be left out that are needed.
        """
        if self._decoder is None:
            if isinstance(block.codes, MotionRows):
                if self.codec.patch != PATCH:
                    raise FormatError(f"motion of patches of {self.codec.patch} pixels")
                no_levels_left_out(self.n_q, self.info.levels)
                self._decoder = MotionDecoder(self.codec, self.info, self.codec.tables, self.salvage, self.start)
            else:
                self._decoder = self._groups()
        yield from self._decoder.push(block)

    def finish(self) -> Iterator[Tensor]:
        """What is left when there are no more blocks.

        Raises:
            FormatError: if pictures are missing.
        """
        if self._decoder is None:
            self._decoder = MotionDecoder(self.codec, self.info, self.codec.tables, self.salvage)
        yield from self._decoder.finish()

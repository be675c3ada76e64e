"""Pictures of a video from the blocks of a file, whichever of the two codings it has (`motion_codec.py`)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Protocol

import numpy as np

from ..bitstream.container import Block, TokenReader
from ..bitstream.header import VisionInfo, find_stream
from ..bitstream.motion_payload import MotionRows
from ..entropy.code_tables import EntropyTables
from ..errors import CodecError, FormatError
from ..vision.motion_planes import PATCH
from .motion_base import KeyNetwork
from .motion_decoder import MotionDecoder, no_levels_left_out
from .vision_identity import MOTION_GROUP

if TYPE_CHECKING:
    from .vision_decoder import GroupDecoder

WITHOUT_MOTION = "a video without motion needs torch"


class VideoCodec(KeyNetwork, Protocol):
    """A codec of vision as files of videos meet it, whatever runs its networks: see `Jovio`."""

    config: Any

    @property
    def tables(self) -> EntropyTables | None: ...
    @property
    def patch(self) -> int: ...
    @property
    def known_tables(self) -> Any: ...
    def check_stream(self, info: Any) -> VisionInfo: ...


class VideoDecoder:
    """Turns the blocks of a vision stream, one after the other, into pictures [3, H, W], arrays; its
    first block says which coding.

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
        codec: VideoCodec,
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
        if not hasattr(self.codec, "synthesize"):
            raise CodecError(WITHOUT_MOTION)
        from .vision_decoder import GroupDecoder

        codec: Any = self.codec
        decoder = GroupDecoder(codec, self.info, self.n_q, self.salvage)
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

    def push(self, block: Block) -> Iterator[np.ndarray]:
        """The pictures that a block completes.

        Raises:
            FormatError: if it does not follow on the last one, or is not in order.
            CodesError: if levels are to be left out that are needed.
            CodecError: of a video without motion, if no torch runs the model.
        """
        if self._decoder is None:
            if isinstance(block.codes, MotionRows):
                if self.codec.patch != PATCH:
                    raise FormatError(f"motion of patches of {self.codec.patch} pixels")
                no_levels_left_out(self.n_q, self.info.levels)
                self._decoder = MotionDecoder(self.codec, self.info, self.codec.tables, self.salvage, self.start)
            else:
                self._decoder = self._groups()
        yield from map(_array, self._decoder.push(block))

    def finish(self) -> Iterator[np.ndarray]:
        """What is left when there are no more blocks.

        Raises:
            FormatError: if pictures are missing.
        """
        if self._decoder is None:
            self._decoder = MotionDecoder(self.codec, self.info, self.codec.tables, self.salvage)
        yield from map(_array, self._decoder.finish())


def _array(picture: Any) -> np.ndarray:
    return picture if isinstance(picture, np.ndarray) else picture.cpu().numpy()


def has_motion(source: str | Path | bytes | IO[bytes]) -> bool:
    """Whether the pictures of a file with a video are coded with motion; a damaged one may be.

    Raises:
        FormatError: if it is no `.josie` file, or has no pictures.
    """
    with TokenReader(source) as reader:
        index = find_stream(reader.streams, "vision")
        for block in reader.blocks(salvage=True):
            if block.stream == index:
                return isinstance(block.codes, MotionRows)
    return True

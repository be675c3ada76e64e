"""The first picture of a video."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..bitstream.container import Block
from ..bitstream.header import VisionInfo
from ..errors import FormatError
from .video_decoder import VideoDecoder


class FirstPicture:
    """Puts the blocks of a video together until its first picture is there.

    Args:
        codec: the model.
        info, n_q, salvage: as of `VideoDecoder`.
    """

    def __init__(self, codec: Any, info: VisionInfo, n_q: int | None, salvage: bool):
        self._decoder = VideoDecoder(codec, info, n_q, salvage)
        self._picture: np.ndarray | None = None

    @property
    def whole(self) -> bool:
        """Whether it is there."""
        return self._picture is not None

    def push(self, block: Block) -> None:
        """Take a block; raises FormatError as `VideoDecoder.push`."""
        for picture in self._decoder.push(block):
            self._picture = picture
            return

    def finish(self) -> np.ndarray:
        """The picture [3, H, W] in [0, 1].

        Raises:
            FormatError: if there is none.
        """
        if self._picture is None:
            picture = next(iter(self._decoder.finish()), None)
            if picture is None:
                raise FormatError("no whole picture in this file")
            self._picture = picture
        return self._picture

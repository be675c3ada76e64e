"""What a codec of vision is and makes, as headers of files say it, whatever runs its networks."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from ..bitstream.header import StreamInfo, VisionInfo
from ..errors import FormatError
from ..vision.config import JovioConfig
from .audio_identity import check_maker

MOTION_GROUP = 1  # pictures in a group of a video with motion, as the header says


class VisionStreams:
    """Headers of the streams of a codec of vision; a part of `Jovio`."""

    config: JovioConfig

    if TYPE_CHECKING:  # of the codec

        @property
        def fingerprint(self) -> str: ...

    def stream_info(
        self,
        size: tuple[int, int],
        levels: int,
        pictures: int | None,
        rate: Fraction = Fraction(0),
        group: int = 0,
        grey: bool = False,
    ) -> VisionInfo:
        """The header of a stream of pictures of a height and width that this model makes; `group` 0 for its own."""
        return VisionInfo(
            model=self.config.name,
            fingerprint=self.fingerprint,
            levels=levels,
            codebook_size=self.config.quantizer.codebook_size,
            length=pictures,
            width=size[1],
            height=size[0],
            rate=rate,
            patch=self.config.patch,
            group=group or self.config.group,
            grey=grey,
        )

    def check_stream(self, info: StreamInfo) -> VisionInfo:
        """Make sure that this is the model that made a stream, and return its header.

        Raises:
            ModelError: if it is not.
            FormatError: if the stream contradicts the model.
        """
        check_maker(info, self.config.name, self.fingerprint)
        if not isinstance(info, VisionInfo):
            raise FormatError(f"a stream of kind {info.kind!r} is not vision")
        settings, fits = (info.codebook_size, info.patch), info.group in (self.config.group, MOTION_GROUP)
        if (
            settings != (self.config.quantizer.codebook_size, self.config.patch)
            or not fits
            or info.levels > self.config.n_q
        ):
            raise FormatError("the stream's settings contradict its model's")
        return info

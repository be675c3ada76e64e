"""The codec of vision and the headers of its streams."""

from __future__ import annotations

from fractions import Fraction

from ..bitstream.header import StreamInfo, VisionInfo
from ..errors import FormatError
from .codec import TokenCodec
from .motion_codec import MOTION_GROUP
from .tensor_pictures import TensorPictures
from .vision_door import VisionDoor


class VisionFiles(VisionDoor, TokenCodec):
    """What `Jovio` is to files: who makes and reads their streams."""

    kind = "vision"

    def picture_network(self) -> TensorPictures:
        """Its networks for still pictures, on arrays."""
        return TensorPictures(self)

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
            codebook_size=self.codebook_size,
            length=pictures,
            width=size[1],
            height=size[0],
            rate=rate,
            patch=self.patch,
            group=group or self.config.group,
            grey=grey,
        )

    def check_stream(self, info: StreamInfo) -> VisionInfo:
        """Make sure that this is the model that made a stream, and return its header.

        Raises:
            ModelError: if it is not.
            FormatError: if the stream contradicts the model.
        """
        self.check_maker(info)
        if not isinstance(info, VisionInfo):
            raise FormatError(f"a stream of kind {info.kind!r} is not vision")
        settings, fits = (info.codebook_size, info.patch), info.group in (self.config.group, MOTION_GROUP)
        if settings != (self.codebook_size, self.patch) or not fits or info.levels > self.n_q:
            raise FormatError("the stream's settings contradict its model's")
        return info

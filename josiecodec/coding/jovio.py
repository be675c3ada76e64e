"""JOVIO as users have it: the network, and the bytes of files."""

from __future__ import annotations

from fractions import Fraction

from torch import Tensor

from ..bitstream.header import StreamInfo, VisionInfo
from ..errors import CodesError, FormatError
from ..settings import Rate
from ..vision.network import JovioNetwork
from .codec import TokenCodec
from .groups import compress, decompress


class Jovio(JovioNetwork, TokenCodec):
    """A neural codec of pictures and video. See `JovioConfig` for its parts and `josiecodec.load` for trained ones."""

    def compress(self, x: Tensor, rate: Rate | None = None, pictures_per_second: Fraction | int = 25) -> bytes:
        """Encode a picture [3, H, W] or a video [3, T, H, W], RGB in [0, 1], to the bytes of a `.josie` file.

        Args:
            x: the picture or video.
            rate: what it may take; None for the quality that the model's configuration names.
            pictures_per_second: of a video.

        Raises:
            CodesError: on a wrong shape or type.
        """
        video, still = self.pictures(x.unsqueeze(0))
        if not still and not (video.shape[2] and pictures_per_second > 0):
            raise CodesError("a video has at least one picture, and so many per second")
        return compress(self, video, rate or Rate(), Fraction(0 if still else pictures_per_second))

    def decompress(self, data: bytes, n_q: int | None = None) -> Tensor:
        """Decode the bytes of a `.josie` file: [3, H, W] or [3, T, H, W], with at most `n_q` levels.

        Raises:
            FormatError: on damaged data.
            ModelError: if another model made it.
        """
        return decompress(self, data, n_q)

    def stream_info(
        self, size: tuple[int, int], levels: int, pictures: int | None, rate: Fraction = Fraction(0)
    ) -> VisionInfo:
        """The header of a stream of pictures of a height and width that this model makes."""
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
            group=self.config.group,
        )

    def check_stream(self, info: StreamInfo) -> VisionInfo:
        """Make sure that this is the model that made a stream, and return its header.

        Raises:
            ModelError: if it is not.
            FormatError: if the stream contradicts the model.
        """
        self.check_maker(info)
        if not isinstance(info, VisionInfo):
            raise FormatError(f"a stream of kind {info.kind!r} is no pictures")
        settings = (info.codebook_size, info.patch, info.group)
        if settings != (self.codebook_size, self.patch, self.config.group) or info.levels > self.n_q:
            raise FormatError("the stream's settings contradict its model's")
        return info

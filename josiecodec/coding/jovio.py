"""JOVIO as users have it: the network, and the bytes of files."""

from __future__ import annotations

import io
from fractions import Fraction

import numpy as np
import torch
from torch import Tensor

from ..bitstream.container import Block, TokenWriter
from ..bitstream.header import StreamInfo, VisionInfo, find_stream
from ..bitstream.josie_file import TokenFile
from ..bitstream.patch_payload import PatchRows
from ..errors import CodesError, FormatError
from ..settings import EncoderSettings, Rate, fitting_rate
from .codec import TokenCodec
from .door import as_tensor, asked_rate
from .picture_encoder import DetailEncoder, still_encoder
from .vision_decoder import GroupDecoder
from .vision_door import VisionDoor
from .vision_encoder import GroupEncoder, write_pictures


class Jovio(VisionDoor, TokenCodec):
    """A neural codec of images and video. See `JovioConfig` for its parts and `josiecodec.load` for trained ones."""

    kind = "vision"

    def compress(
        self,
        x: Tensor | np.ndarray,
        n_q: int | None = None,
        *,
        rate: Rate | None = None,
        settings: EncoderSettings | None = None,
        pictures_per_second: Fraction | int = 25,
        bpp: float | None = None,
        kbps: float | None = None,
    ) -> bytes:
        """Encode one image or video to the bytes of a `.josie` file.

        Args:
            x: an image [3, H, W] or [1, 3, H, W], or a video [3, T, H, W] or [1, 3, T, H, W], RGB in [0, 1].
            n_q: levels of every patch; None for as many as each is worth, by `rate` or by lambda of the settings.
            rate: what the file may take, in place of `n_q`.
            settings: of the encoder; None for `self.settings`.
            pictures_per_second: of a video.
            bpp, kbps: the same as `rate=Rate(bpp=...)` and `rate=Rate(kbps=...)`.

        Raises:
            CodesError: on a wrong shape or type, or `n_q` out of range.
            CodecError: if both `n_q` and `rate` are given, or a rate that an image cannot have.
        """
        x = as_tensor(x, "pictures")
        video, still = self.pictures(x if _has_batch_axis(x) else x.unsqueeze(0))
        rate = fitting_rate("image" if still else "video", n_q, asked_rate(rate, kbps, bpp))
        if len(video) != 1:
            raise CodesError(f"compress takes one image or video at a time, not {len(video)}")
        if not still and not (video.shape[2] and pictures_per_second > 0):
            raise CodesError("a video has at least one picture, and so many per second")
        size, per_second = (video.shape[-2], video.shape[-1]), Fraction(0 if still else pictures_per_second)
        encoder: GroupEncoder | DetailEncoder
        if still:
            encoder = still_encoder(self, rate, size, settings, self.tables)
        else:
            encoder = GroupEncoder(self, rate, size, per_second, settings=settings, tables=self.tables)
        info = self.stream_info(size, encoder.levels, video.shape[2], per_second)
        out = io.BytesIO()
        write_pictures(TokenWriter(out, [info], self.known_tables), encoder, video[0].unbind(1))
        return out.getvalue()

    def decompress(self, data: bytes, n_q: int | None = None) -> Tensor:
        """Decode the bytes of a `.josie` file: an image [3, H, W] or a video [3, T, H, W] in [0, 1].

        Args:
            data: the file.
            n_q: use at most so many levels of each patch.

        Raises:
            CodesError: if `n_q` is less than 1.
            FormatError: on damaged data.
            ModelError: if another model made it.
        """
        file = TokenFile.from_bytes(data, tables=self.known_tables)
        stream = file.streams[find_stream([s.info for s in file.streams], "vision")]
        info, rows = self.check_stream(stream.info), stream.codes
        assert isinstance(rows, PatchRows)
        decoder = GroupDecoder(self, info, n_q)
        pictures = [*decoder.push(Block(0, 0, stream.units, rows)), *decoder.finish()]
        if not pictures:
            return torch.zeros(3, 0, info.height, info.width)
        return torch.stack(pictures, 1) if info.rate else pictures[0]

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
            raise FormatError(f"a stream of kind {info.kind!r} is not vision")
        settings = (info.codebook_size, info.patch, info.group)
        if settings != (self.codebook_size, self.patch, self.config.group) or info.levels > self.n_q:
            raise FormatError("the stream's settings contradict its model's")
        return info


def _has_batch_axis(x: Tensor) -> bool:
    """Whether [1, 3, H, W] or [B, 3, T, H, W]; of four axes the first is one, or three, the colours of a video."""
    return x.dim() == 5 or (x.dim() == 4 and x.shape[0] == 1)

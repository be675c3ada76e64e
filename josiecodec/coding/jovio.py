"""JOVIO as users have it: the network, and the bytes of files."""

from __future__ import annotations

import io
from collections.abc import Iterator
from fractions import Fraction

import numpy as np
import torch
from torch import Tensor

from ..bitstream.container import Block, TokenReader, TokenWriter
from ..bitstream.header import AlphaInfo, find_stream
from ..bitstream.josie_file import TokenFile
from ..bitstream.motion_payload import MotionRows
from ..errors import CodecError, CodesError
from ..media.images import Picture
from ..settings import EncoderSettings, Rate, asked_rate, fitting_rate
from .alpha import OPAQUE
from .checks import warn
from .door import as_tensor
from .motion_codec import KEY_SECONDS, MOTION_GROUP, VideoDecoder, moves, video_encoder
from .motion_tokens import VideoTokens, from_motion_tokens, tokens_of
from .picture_file import read_picture, write_picture
from .preview import PreviewSize
from .vision_encoder import write_pictures
from .vision_files import VisionFiles


class Jovio(VisionFiles):
    """A neural codec of images and video. See `JovioConfig` for its parts and `josiecodec.load` for trained ones."""

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
        alpha: Tensor | np.ndarray | None = None,
    ) -> bytes:
        """Encode one image or video to the bytes of a `.josie` file. An image of greys alone stays one.

        Args:
            x: an image [3, H, W] or [1, 3, H, W], or a video [3, T, H, W] or [1, 3, T, H, W], RGB in [0, 1].
            n_q: levels of every patch; None for as many as each is worth, by `rate` or by lambda of the settings.
            rate: what the file may take, in place of `n_q`.
            settings: of the encoder; None for `self.settings`.
            pictures_per_second: of a video.
            bpp, kbps: the same as `rate=Rate(bpp=...)` and `rate=Rate(kbps=...)`.
            alpha: of an image, uint8 [H, W], 255 where it is opaque; kept without loss.

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
        out = io.BytesIO()
        if still:
            write_picture(self, _picture_of(video[0, :, 0], alpha).pixels(), out, rate, settings)
            return out.getvalue()
        if alpha is not None:
            raise CodesError("alpha is for images")
        moving = video_encoder(self, rate, size, per_second, settings=settings)
        info = self.stream_info(size, moving.levels, video.shape[2], per_second, moving.group)
        write_pictures(TokenWriter(out, [info], self.known_tables), moving, _arrays(video))
        return out.getvalue()

    def decompress(self, data: bytes, n_q: int | None = None) -> Tensor:
        """Decode the bytes of a `.josie` file: an image [3, H, W] or a video [3, T, H, W] in [0, 1].

        An image with alpha is put on white, with a warning; `decompress_picture` keeps it.

        Args:
            data: the file.
            n_q: use at most so many levels of each patch.

        Raises:
            CodesError: if `n_q` is less than 1.
            FormatError: on damaged data.
            ModelError: if another model made it.
        """
        file = TokenFile.from_bytes(data, tables=self.known_tables)
        if any(isinstance(s.info, AlphaInfo) for s in file.streams):
            warn("transparency is put on white; decompress_picture keeps it")
            return self.decompress_picture(data, n_q).on_white()
        stream = file.streams[find_stream([s.info for s in file.streams], "vision")]
        info, rows = self.check_stream(stream.info), stream.codes
        assert not isinstance(rows, np.ndarray)
        decoder = VideoDecoder(self, info, n_q)
        arrays = [*decoder.push(Block(0, 0, stream.units, rows)), *decoder.finish()]
        pictures = [torch.from_numpy(picture).to(self.device) for picture in arrays]
        if not pictures:
            return torch.zeros(3, 0, info.height, info.width)
        return torch.stack(pictures, 1) if info.rate else pictures[0]

    def decompress_picture(
        self, data: bytes, n_q: int | None = None, *, size: int | tuple[int, int] | None = None
    ) -> Picture:
        """Decode the bytes of a `.josie` file of an image: its colours, its alpha, and whether it is grey.

        Args:
            data: the file; of a video the first picture is decoded.
            n_q: use at most so many levels of each patch.
            size: of a preview, see `decode_image`; None for the whole picture.

        Raises:
            CodecError: if `size` is not positive.
            CodesError, FormatError, ModelError: as `decompress`.
        """
        with TokenReader(data, self.known_tables) as reader:
            found = Picture.of(read_picture(self, reader, n_q, size=None if size is None else PreviewSize.of(size)))
        alpha = None if found.alpha is None else found.alpha.to(self.device)
        return Picture(found.rgb.to(self.device), alpha, found.grey)

    def encode_motion(
        self,
        x: Tensor | np.ndarray,
        *,
        kbps: float | None = None,
        bpp: float | None = None,
        rate: Rate | None = None,
        settings: EncoderSettings | None = None,
        pictures_per_second: Fraction | int = 25,
        key_seconds: float = KEY_SECONDS,
    ) -> VideoTokens:
        """Turn a video into tokens with motion: modes, vectors and codes of every picture, as `compress` writes them.

        Args:
            x: a video [3, T, H, W] or [1, 3, T, H, W], RGB in [0, 1].
            kbps, bpp, rate: what the pictures may take; what else a file has is not counted. None of them for lambda of
                the settings.
            settings: of the encoder; None for `self.settings`.
            pictures_per_second: of the video.
            key_seconds: after which a key picture comes at the latest.

        Raises:
            CodesError: on a wrong shape or type, or pictures that are too large for motion.
            CodecError: on more than one rate, or one of levels.
        """
        x = as_tensor(x, "pictures")
        video, still = self.pictures(x if _has_batch_axis(x) else x.unsqueeze(0))
        rate, per_second = fitting_rate("video", None, asked_rate(rate, kbps, bpp)), Fraction(pictures_per_second)
        size = (video.shape[-2], video.shape[-1])
        if rate.n_q is not None:
            raise CodecError("n_q codes videos without motion: encode gives those codes")
        if still or len(video) != 1 or not video.shape[2] or not per_second > 0 or not moves(self, rate, size):
            raise CodesError(f"not one video that can be coded with motion: {list(x.shape)}")
        encoder = video_encoder(self, rate, size, per_second, settings=settings, key_seconds=key_seconds)
        parts = [part for picture in _arrays(video) for part in encoder.add(picture)] + [*encoder.finish()]
        info = self.stream_info(size, self.n_q, video.shape[2], per_second, MOTION_GROUP)
        payloads = [p for part in parts if isinstance(part, MotionRows) for p in part.pictures]
        return VideoTokens(size, per_second, tuple(tokens_of(self, info, payloads)))

    def decode_motion(self, tokens: VideoTokens) -> Tensor:
        """Turn the tokens of a video with motion into its pictures [3, T, H, W] in [0, 1].

        Raises:
            CodesError: if they do not fit each other.
            FormatError: if pictures are missing, or are predicted from such.
        """
        info = self.stream_info(tokens.size, self.n_q, len(tokens.pictures), tokens.pictures_per_second, MOTION_GROUP)
        rows = from_motion_tokens(self, tokens.pictures)
        if rows.rows != info.rows or tokens.pictures[0].codes.shape[2] != info.columns:
            raise CodesError(f"the patches of the pictures do not make {tokens.size[1]} x {tokens.size[0]} pixels")
        decoder = VideoDecoder(self, info)
        arrays = [*decoder.push(Block(0, 0, rows.units, rows)), *decoder.finish()]
        return torch.from_numpy(np.stack(arrays, 1)).to(self.device)


def _arrays(video: Tensor) -> Iterator[np.ndarray]:
    """The pictures [3, H, W] of a video [1, 3, T, H, W]."""
    return (picture.cpu().numpy() for picture in video[0].unbind(1))


def _has_batch_axis(x: Tensor) -> bool:
    """Whether [1, 3, H, W] or [B, 3, T, H, W]; of four axes the first is one, or three, the colours of a video."""
    return x.dim() == 5 or (x.dim() == 4 and x.shape[0] == 1)


def _picture_of(rgb: Tensor, alpha: Tensor | np.ndarray | None) -> Picture:
    """A picture [3, H, W] in [0, 1] with its alpha, uint8 [H, W], as callers give them.

    Raises:
        CodesError: if alpha does not fit.
    """
    grey = bool((rgb[:1] == rgb).all())
    if alpha is None:
        return Picture(rgb, None, grey)
    values = torch.as_tensor(alpha)
    if values.dtype != torch.uint8 or values.shape != rgb.shape[1:]:
        raise CodesError(f"alpha must be uint8 {list(rgb.shape[1:])}, not {values.dtype} {list(values.shape)}")
    return Picture(rgb, None if bool((values == OPAQUE).all()) else values, grey)

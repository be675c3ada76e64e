"""Pictures with all that belongs to them, to and from the streams of a `.josie` file: colours, alpha, whether grey."""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import IO

import numpy as np
import torch
from torch import Tensor

from ..atomic import write_bytes
from ..bitstream.container import TokenReader, TokenWriter
from ..bitstream.header import AlphaInfo, alpha_of, find_stream
from ..errors import CodesError, FormatError
from ..media.images import Picture
from ..settings import EncoderSettings, Rate
from ..vision.grouping import as_floats
from .alpha import OPAQUE, AlphaDecoder, with_smooth_colors
from .heap import keep_small
from .motion_codec import VideoDecoder
from .picture_encoder import DetailEncoder, still_encoder
from .preview import PreviewDecoder, PreviewSize, resized
from .quality import with_psnr
from .vision_encoder import write_pictures
from .vision_files import VisionFiles

EXACT = 100.0  # dB that an exact picture counts as
COLORS_SHARE = 0.25  # of a budget, that colours get at least, however much alpha takes


def picture_of(rgb: Tensor, alpha: Tensor | np.ndarray | None) -> Picture:
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


def write_picture(
    codec: VisionFiles,
    picture: Picture,
    target: str | Path | IO[bytes],
    rate: Rate,
    settings: EncoderSettings | None,
) -> int:
    """Encode a picture to a `.josie` file, see `encode_image`; gives how many bytes that is."""
    return write_quality(codec, picture, target, rate, settings)[0]


def write_quality(
    codec: VisionFiles,
    picture: Picture,
    target: str | Path | IO[bytes],
    rate: Rate,
    settings: EncoderSettings | None,
) -> tuple[int, float | None]:
    """`write_picture`, and its PSNR in dB on white if it was asked for."""
    if rate.psnr is None:
        return _write(codec, picture, target, rate, settings), None
    seen = _as_bytes(picture.on_white())

    def encode(bpp: float) -> bytes:
        out = io.BytesIO()
        _write(codec, picture, out, Rate(bpp=bpp), settings)
        return out.getvalue()

    def measure(data: bytes) -> float:
        with TokenReader(data, codec.known_tables) as reader:
            error = float((_as_bytes(read_picture(codec, reader).on_white()) - seen).square().mean())
        return 20 * math.log10(255) - 10 * math.log10(error) if error else math.inf

    best = with_psnr(encode, measure, rate.psnr, seen.shape[1] * seen.shape[2])
    if isinstance(target, (str, Path)):
        write_bytes(target, best.data)
    else:
        target.write(best.data)
    return len(best.data), min(best.psnr, EXACT)


def _as_bytes(picture: Tensor) -> Tensor:
    return (as_floats(picture.cpu()) * 255).round()


def _write(
    codec: VisionFiles,
    picture: Picture,
    target: str | Path | IO[bytes],
    rate: Rate,
    settings: EncoderSettings | None,
) -> int:
    """A picture at a rate that is no PSNR."""
    rgb, alpha = picture.rgb, picture.alpha
    size = (rgb.shape[-2], rgb.shape[-1])
    keep_small(size[0] * size[1])
    encoder = still_encoder(codec, rate, size, settings, codec.tables, picture.grey)
    rgb = rgb if isinstance(encoder, DetailEncoder) else as_floats(rgb)
    info = codec.stream_info(size, encoder.levels, 1, grey=picture.grey)
    streams = [info] if alpha is None else [info, AlphaInfo.of(info)]
    with TokenWriter(target, list(streams), codec.known_tables) as writer:
        if alpha is not None:
            writer.add_alpha(1, alpha.cpu().numpy())
            rgb = with_smooth_colors(as_floats(rgb), alpha)
        bits = rate.bits(size[0] * size[1], 1, 0.0)
        write_pictures(writer, encoder, [rgb], float("inf") if bits is None else (1 - COLORS_SHARE) * bits)
    return writer.size


def read_picture(
    codec: VisionFiles,
    reader: TokenReader,
    n_q: int | None = None,
    salvage: bool = False,
    size: PreviewSize | None = None,
    as_bytes: bool = False,
) -> Picture:
    """The (first) picture of a file with its alpha, see `decode_image`; with `as_bytes` a large one may be of bytes."""
    index = find_stream(reader.streams, "vision")
    beside = alpha_of(reader.streams, index)
    info = codec.check_stream(reader.streams[index])
    keep_small(info.height * info.width)
    fitting = (info.height, info.width) if size is None else size.fitting(info.height, info.width)
    decoder: VideoDecoder | PreviewDecoder = VideoDecoder(codec, info, n_q, salvage, as_bytes=as_bytes)
    if not info.rate and info.group == codec.config.group and fitting != (info.height, info.width):
        decoder = PreviewDecoder(codec, info, n_q, salvage, fitting)
    alpha = None if beside is None else AlphaDecoder(_alpha(reader, beside), salvage)
    rgb: Tensor | None = None
    for block in reader.blocks(salvage):
        if block.stream == beside and alpha is not None:
            alpha.push(block)
        elif block.stream == index and block.first < decoder.info.rows and rgb is None:
            rgb = next(iter(decoder.push(block)), None)
        if rgb is not None and (alpha is None or alpha.whole):
            break
    if rgb is None:
        rgb = next(iter(decoder.finish()), None)
    if rgb is None:
        raise FormatError("no whole picture in this file")
    opacity: Tensor | None = None
    if alpha is not None:
        opacity = alpha.finish().to(rgb.device)
        reader.problems += alpha.problems
        if fitting != opacity.shape:
            opacity = (resized(opacity[None].float() / 255, fitting)[0] * 255).round().to(torch.uint8)
    return Picture(rgb if rgb.shape[-2:] == fitting else resized(as_floats(rgb), fitting), opacity, info.grey)


def _alpha(reader: TokenReader, index: int) -> AlphaInfo:
    info = reader.streams[index]
    assert isinstance(info, AlphaInfo)
    return info

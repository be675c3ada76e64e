"""Pictures with all that belongs to them, to and from the streams of a `.josie` file: colours, alpha, whether grey."""

from __future__ import annotations

import io
import itertools
import math
from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np

from ..atomic import write_bytes
from ..bitstream.container import TokenReader, TokenWriter
from ..bitstream.header import AlphaInfo, alpha_of, find_stream
from ..media.pixels import Pixels, as_floats
from ..settings import EncoderSettings, Rate
from .alpha import AlphaDecoder, with_smooth_colors
from .heap import keep_small
from .picture_encoder import DetailEncoder, OnePicture, still_encoder
from .picture_network import NetworkOwner
from .preview import PreviewDecoder, PreviewSize, resized
from .quality import with_psnr
from .result import Progress, no_progress, rising
from .still_decoder import StillDecoder
from .vision_writer import write_pictures

if TYPE_CHECKING:
    from .first_picture import FirstPicture

EXACT = 100.0  # dB that an exact picture counts as
COLORS_SHARE = 0.25  # of a budget, that colours get at least, however much alpha takes


def write_picture(
    codec: NetworkOwner,
    picture: Pixels,
    target: str | Path | IO[bytes],
    rate: Rate,
    settings: EncoderSettings | None,
) -> int:
    """Encode a picture to a `.josie` file, see `encode_image`; gives how many bytes that is."""
    return write_quality(codec, picture, target, rate, settings)[0]


def write_quality(
    codec: NetworkOwner,
    picture: Pixels,
    target: str | Path | IO[bytes],
    rate: Rate,
    settings: EncoderSettings | None,
    progress: Progress = no_progress,
) -> tuple[int, float | None]:
    """`write_picture`, and its PSNR in dB on white if it was asked for; `progress` is told the share that is done."""
    if rate.psnr is None:
        return _write(codec, picture, target, rate, settings, progress), None
    seen, tries, told = _as_bytes(picture.on_white()), itertools.count(), rising(progress)
    known: list[OnePicture] = []

    def encode(bpp: float) -> bytes:
        out, number = io.BytesIO(), next(tries)

        def here(share: float) -> None:
            told((number + share) / (number + 3))

        _write(codec, picture, out, Rate(bpp=bpp), settings, here, known)
        return out.getvalue()

    def measure(data: bytes) -> float:
        with TokenReader(data, codec.known_tables) as reader:
            error = float(np.square(_as_bytes(read_picture(codec, reader).on_white()) - seen).mean(dtype=np.float64))
        return 20 * math.log10(255) - 10 * math.log10(error) if error else math.inf

    best = with_psnr(encode, measure, rate.psnr, seen.shape[1] * seen.shape[2])
    if isinstance(target, (str, Path)):
        write_bytes(target, best.data)
    else:
        target.write(best.data)
    return len(best.data), min(best.psnr, EXACT)


def _as_bytes(picture: np.ndarray) -> np.ndarray:
    return np.rint(as_floats(picture) * np.float32(255))


def _write(
    codec: NetworkOwner,
    picture: Pixels,
    target: str | Path | IO[bytes],
    rate: Rate,
    settings: EncoderSettings | None,
    progress: Progress = no_progress,
    known: list[OnePicture] | None = None,
) -> int:
    """A picture at a rate that is no PSNR; `known` as of `DetailEncoder`."""
    rgb, alpha = picture.rgb, picture.alpha
    size = (rgb.shape[-2], rgb.shape[-1])
    keep_small(size[0] * size[1])
    encoder = still_encoder(codec.picture_network(), rate, size, settings, codec.tables, picture.grey)
    encoder.progress = rising(progress)
    if isinstance(encoder, DetailEncoder) and known is not None:
        encoder.known = known
    rgb = rgb if isinstance(encoder, DetailEncoder) else as_floats(rgb)
    info = codec.stream_info(size, encoder.levels, 1, grey=picture.grey)
    streams = [info] if alpha is None else [info, AlphaInfo.of(info)]
    with TokenWriter(target, list(streams), codec.known_tables) as writer:
        if alpha is not None:
            writer.add_alpha(1, alpha)
            rgb = with_smooth_colors(as_floats(rgb), alpha)
        bits = rate.bits(size[0] * size[1], 1, 0.0)
        write_pictures(writer, encoder, [rgb], float("inf") if bits is None else (1 - COLORS_SHARE) * bits)
    return writer.size


def read_picture(
    codec: NetworkOwner,
    reader: TokenReader,
    n_q: int | None = None,
    salvage: bool = False,
    size: PreviewSize | None = None,
    as_bytes: bool = False,
    progress: Progress = no_progress,
) -> Pixels:
    """The (first) picture of a file with its alpha, see `decode_image`. With `as_bytes` a large one may be of bytes, of
    which `progress` is told the share that is done."""
    index = find_stream(reader.streams, "vision")
    beside = alpha_of(reader.streams, index)
    info = codec.check_stream(reader.streams[index])
    keep_small(info.height * info.width)
    fitting = (info.height, info.width) if size is None else size.fitting(info.height, info.width)
    decoder: StillDecoder | FirstPicture
    if info.rate or info.group != codec.config.group:
        from .first_picture import FirstPicture

        decoder = FirstPicture(codec, info, n_q, salvage)
    elif fitting != (info.height, info.width):
        decoder = PreviewDecoder(codec.picture_network(), info, n_q, salvage, fitting)
    else:
        decoder = StillDecoder(codec.picture_network(), info, n_q, salvage, as_bytes)
        decoder.progress = progress
    alpha = None if beside is None else AlphaDecoder(_alpha(reader, beside), salvage)
    for block in reader.blocks(salvage):
        if block.stream == beside and alpha is not None:
            alpha.push(block)
        elif block.stream == index and block.first < info.rows and not decoder.whole:
            decoder.push(block)
        if decoder.whole and (alpha is None or alpha.whole):
            break
    rgb, opacity = decoder.finish(), None
    if alpha is not None:
        opacity = alpha.finish()
        reader.problems += alpha.problems
        if fitting != opacity.shape:
            small = resized(opacity[None].astype(np.float32) / np.float32(255), fitting)[0]
            opacity = np.rint(small * np.float32(255)).astype(np.uint8)
    return Pixels(rgb if rgb.shape[-2:] == fitting else resized(as_floats(rgb), fitting), opacity, info.grey)


def _alpha(reader: TokenReader, index: int) -> AlphaInfo:
    info = reader.streams[index]
    assert isinstance(info, AlphaInfo)
    return info

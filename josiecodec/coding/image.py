"""From image files to `.josie` files and back."""

from __future__ import annotations

from pathlib import Path
from typing import IO

from torch import Tensor

from ..bitstream.container import TokenReader, TokenWriter
from ..bitstream.header import find_stream
from ..errors import FormatError
from ..media.images import load_image, save_image
from ..settings import EncoderSettings, Rate, fitting_rate
from .jovio import Jovio
from .motion_codec import VideoDecoder
from .picture_encoder import still_encoder
from .result import Result
from .vision_encoder import write_pictures


def encode_image(
    codec: Jovio,
    source: str | Path | IO[bytes],
    target: str | Path | IO[bytes],
    n_q: int | None = None,
    *,
    rate: Rate | None = None,
    settings: EncoderSettings | None = None,
) -> Result:
    """Encode an image file to a `.josie` file.

    Args:
        codec: the model.
        source: path of the image, or a binary file.
        target: path of the `.josie` file, or a seekable binary file.
        n_q: levels of every patch; None for as many as each is worth, by `rate` or by lambda of the settings.
        rate: what the file may take, in place of `n_q`.
        settings: of the encoder; None for those of the model.

    Raises:
        CodecError: if both `n_q` and `rate` are given, or a rate that an image cannot have.
        MediaError: if the image cannot be read. Nothing is left at `target` then.
        FormatError: if `target` cannot be written.
    """
    rate = fitting_rate("image", n_q, rate)
    picture = load_image(source)
    size = (picture.shape[-2], picture.shape[-1])
    encoder = still_encoder(codec, rate, size, settings, codec.tables)
    info = codec.stream_info(size, encoder.levels, 1)
    with TokenWriter(target, [info], codec.known_tables) as writer:
        write_pictures(writer, encoder, [picture])
    return Result(0.0, writer.size, pixels=size[0] * size[1], n_q=rate.n_q)


def decode_image(
    codec: Jovio,
    source: str | Path | bytes | IO[bytes],
    target: str | Path,
    n_q: int | None = None,
    salvage: bool = False,
) -> Result:
    """Decode the (first) picture of a `.josie` file to an image file, whose suffix says the format.

    Args:
        codec: the model that made it.
        source: the file.
        target: path of the image.
        n_q: use at most so many levels of each patch.
        salvage: make do with what is whole in a damaged file.

    Raises:
        FormatError: if the file is damaged (and not to be salvaged).
        ModelError: if another model made it.
        MediaError: if the image cannot be written.
    """
    with TokenReader(source, codec.known_tables) as reader:
        picture = _first_picture(codec, reader, n_q, salvage)
        save_image(picture, target)
        return Result(0.0, Path(target).stat().st_size, tuple(reader.problems))


def _first_picture(codec: Jovio, reader: TokenReader, n_q: int | None, salvage: bool) -> Tensor:
    index = find_stream(reader.streams, "vision")
    decoder = VideoDecoder(codec, codec.check_stream(reader.streams[index]), n_q, salvage)
    for block in reader.blocks(salvage):
        if block.stream == index and block.first < decoder.info.rows:
            for picture in decoder.push(block):
                return picture
    for picture in decoder.finish():
        return picture
    raise FormatError("no whole picture in this file")

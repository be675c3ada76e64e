"""From picture files to `.josie` files and back."""

from __future__ import annotations

from pathlib import Path
from typing import IO

from torch import Tensor

from ..bitstream.container import TokenReader, TokenWriter
from ..bitstream.header import find_stream
from ..errors import FormatError
from ..media.images import load_image, save_image
from ..settings import Rate
from .codec import Result
from .groups import END_BYTES, GroupDecoder, GroupWriter
from .jovio import Jovio


def encode_picture(
    codec: Jovio, source: str | Path | IO[bytes], target: str | Path | IO[bytes], rate: Rate | None = None
) -> Result:
    """Encode a picture file to a `.josie` file.

    Args:
        codec: the model.
        source: path of the picture, or a binary file.
        target: path of the `.josie` file, or a seekable binary file.
        rate: what it may take; None for the quality that the model's configuration names.

    Raises:
        MediaError: if the picture cannot be read. Nothing is left at `target` then.
        FormatError: if `target` cannot be written.
    """
    picture = load_image(source)
    size = (picture.shape[-2], picture.shape[-1])
    coder = GroupWriter(codec, rate or Rate(), size, codec.stream_info(size, 1, 1).rate)
    info = codec.stream_info(size, coder.levels, 1)
    with TokenWriter(target, [info], codec.known_tables) as writer:
        coder.overhead = 8 * (writer.size + END_BYTES)
        for rows in [*coder.add(picture), *coder.finish()]:
            writer.add_rows(0, rows)
        writer.close([1])
        return Result(0.0, writer.size, pixels=size[0] * size[1])


def decode_picture(
    codec: Jovio,
    source: str | Path | bytes | IO[bytes],
    target: str | Path,
    n_q: int | None = None,
    salvage: bool = False,
) -> Result:
    """Decode the (first) picture of a `.josie` file to a picture file, whose suffix says the format.

    Args:
        codec: the model that made it.
        source: the file.
        target: path of the picture.
        n_q: use at most so many levels of each patch.
        salvage: make do with what is whole in a damaged file.

    Raises:
        FormatError: if the file is damaged (and not to be salvaged).
        ModelError: if another model made it.
        MediaError: if the picture cannot be written.
    """
    with TokenReader(source, codec.known_tables) as reader:
        picture = _first_picture(codec, reader, n_q, salvage)
        save_image(picture, target)
        return Result(0.0, Path(target).stat().st_size, tuple(reader.problems))


def _first_picture(codec: Jovio, reader: TokenReader, n_q: int | None, salvage: bool) -> Tensor:
    index = find_stream(reader.streams, "vision")
    decoder = GroupDecoder(codec, codec.check_stream(reader.streams[index]), n_q, salvage)
    for block in reader.blocks(salvage):
        if block.stream == index and block.first < decoder.info.rows:
            for picture in decoder.push(block):
                return picture
    for picture in decoder.finish():
        return picture
    raise FormatError("no whole picture in this file")

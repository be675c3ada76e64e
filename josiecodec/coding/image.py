"""From image files to `.josie` files and back."""

from __future__ import annotations

from pathlib import Path
from typing import IO, cast

from ..bitstream.container import TokenReader
from ..bitstream.header import find_stream
from ..errors import FormatError
from ..media.pixels import Pixels, load_pixels, save_pixels
from ..settings import EncoderSettings, Rate, fitting_rate
from .picture_file import read_picture, write_quality
from .picture_network import NetworkOwner
from .preview import PreviewSize, resized
from .result import Progress, Result, no_progress
from .stretch import Stretch, seekable
from .video_decoder import VideoCodec
from .video_piece import VideoPiece


def encode_image(
    codec: NetworkOwner,
    source: str | Path | IO[bytes],
    target: str | Path | IO[bytes],
    n_q: int | None = None,
    *,
    rate: Rate | None = None,
    settings: EncoderSettings | None = None,
    progress: Progress | None = None,
) -> Result:
    """Encode an image file to a `.josie` file. Its alpha is kept without loss, and counts with `rate`.

    Args:
        codec: the model.
        source: path of the image, or a binary file.
        target: path of the `.josie` file, or a seekable binary file.
        n_q: levels of every patch; None for as many as each is worth, by `rate` or by lambda of the settings.
        rate: what the file may take, in place of `n_q`.
        settings: of the encoder; None for those of the model.
        progress: is told the share that is done, now and then.

    Raises:
        CodecError: if both `n_q` and `rate` are given, or a rate that an image cannot have.
        MediaError: if the image cannot be read. Nothing is left at `target` then.
        FormatError: if `target` cannot be written.
    """
    rate = fitting_rate("image", n_q, rate)
    picture = load_pixels(source, as_bytes=True)
    size = (picture.rgb.shape[-2], picture.rgb.shape[-1])
    written, psnr = write_quality(codec, picture, target, rate, settings, progress or no_progress)
    return Result(0.0, written, pixels=size[0] * size[1], n_q=rate.n_q, psnr=psnr)


def decode_image(
    codec: NetworkOwner,
    source: str | Path | bytes | IO[bytes],
    target: str | Path,
    n_q: int | None = None,
    salvage: bool = False,
    size: int | tuple[int, int] | PreviewSize | None = None,
    stretch: Stretch | None = None,
    progress: Progress | None = None,
) -> Result:
    """Decode the (first) picture of a `.josie` file to an image file, whose suffix says the format.

    Args:
        codec: the model that made it.
        source: the file.
        target: path of the image.
        n_q: use at most so many levels of each patch.
        salvage: make do with what is whole in a damaged file.
        size: longest side of a preview in pixels, or width and height of the box that it has to fit in; None for the
            whole picture. Up to half the size of an image the detail layer is left out, which is quick.
        stretch: of a video, when the picture is shown.
        progress: is told the share that is done of a large picture, now and then.

    Raises:
        CodecError: if `size` is not positive, or the stretch begins behind the end.
        FormatError: if the file is damaged (and not to be salvaged).
        ModelError: if another model made it.
        MediaError: if the image cannot be written.
    """
    piece = stretch is not None and not stretch.whole
    with TokenReader(seekable(source) if piece else source, codec.known_tables) as reader:
        if stretch is not None and piece:
            index = find_stream(reader.streams, "vision")
            shown = next(VideoPiece(cast(VideoCodec, codec), reader, index, stretch, n_q, salvage).pictures(), None)
            if shown is None:
                raise FormatError("no whole picture in this piece")
            rgb = shown
            fitting = rgb.shape[1:] if size is None else PreviewSize.of(size).fitting(*rgb.shape[1:])
            picture = Pixels(resized(rgb, fitting))
        else:
            fitting_size = None if size is None else PreviewSize.of(size)
            picture = read_picture(codec, reader, n_q, salvage, fitting_size, True, progress or no_progress)
        save_pixels(picture, target)
        return Result(0.0, Path(target).stat().st_size, tuple(dict.fromkeys(reader.problems)))

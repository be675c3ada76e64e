"""Images and videos -> codes, one row per patch: frame group by frame group, row by row, left to right."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..bitstream.header import check_limits
from ..bitstream.patch_payload import PatchRows
from ..coding.jovio import Jovio
from ..coding.vision_encoder import GroupEncoder
from ..errors import CodecError, MediaError
from ..media.apart import ApartPool, shared_pool
from ..settings import Rate
from .audio import Encoded, read_ahead
from .manifest import Item
from .plan import Settings
from .vision_reading import read_image, read_video

IMAGES_AHEAD = 1  # per worker thread; one can be large
LoadedItem = tuple[Item, Tensor | CodecError | None]


def encode_vision(
    codec: Jovio, items: Iterable[Item], settings: Settings
) -> Iterator[tuple[Item, Encoded | CodecError]]:
    """Codes int32 [patches, n_q], -1 for no level, and size of each clip, in order; or the error."""
    readers = shared_pool()
    loaded = read_ahead(lambda item: load_picture(readers, item), items, settings.workers, IMAGES_AHEAD)
    return encode_loaded_vision(codec, loaded, settings)


def load_picture(readers: ApartPool, item: Item) -> LoadedItem:
    """The image of an item; None of a video, which is read while it is encoded; or the error."""
    try:
        image = readers.call(read_image, item.path)
    except (CodecError, OSError) as error:
        return item, MediaError(str(error))
    return item, None if image is None else torch.from_numpy(image)


def encode_loaded_vision(
    codec: Jovio, loaded: Iterable[LoadedItem], settings: Settings
) -> Iterator[tuple[Item, Encoded | CodecError]]:
    """The same of images that were read already, somewhere else; videos are read here."""
    readers = shared_pool()
    for item, image in loaded:
        if isinstance(image, CodecError):
            yield item, image
        elif image is not None:
            yield item, _encode_image(codec, image, settings)
        else:
            yield item, _encode_video(readers, codec, item, settings)


def _encode_image(codec: Jovio, image: Tensor, settings: Settings) -> Encoded | CodecError:
    try:
        return encode_clip(codec, iter([image]), Fraction(0), settings)
    except CodecError as error:
        return error


def _encode_video(readers: ApartPool, codec: Jovio, item: Item, settings: Settings) -> Encoded | CodecError:
    read = readers.stream(read_video, item.path, item.start, item.duration)
    try:
        rate = next(read)
        pictures = (torch.from_numpy(picture).permute(2, 0, 1).float() / 255 for picture in read)
        return encode_clip(codec, pictures, rate, settings)
    except (CodecError, OSError) as error:
        return MediaError(str(error))
    finally:
        read.close()


def encode_clip(codec: Jovio, pictures: Iterator[Tensor], rate: Fraction, settings: Settings) -> Encoded:
    """Codes int32 [patches, n_q] of an image or video, and their metadata.

    All patches are intra coded: every row of codes stands for itself. The codes are a memory map of a temporary
    file, for those of a video need not fit into memory.

    Args:
        codec: the model.
        pictures: [3, H, W] each, in [0, 1].
        rate: pictures per second; 0 of an image.
        settings: levels, and how they are chosen.

    Raises:
        MediaError: if there is no picture.
        FormatError: if the pictures are larger than the format allows, so that they could not be decoded.
    """
    first = next(pictures, None)
    if first is None:
        raise MediaError("no picture in this part of the file")
    size = first.shape[-2], first.shape[-1]
    check_limits(codec.stream_info(size, settings.n_q, None, rate))
    target = Rate(rd_lambda=codec.settings.rd_lambda) if settings.adaptive else Rate(n_q=settings.n_q)
    writer = GroupEncoder(codec, target, size, rate, tables=codec.tables, max_levels=settings.n_q, predict=False)
    rows = 0
    with tempfile.TemporaryFile() as file:
        for picture in itertools.chain([first], pictures):
            for group in writer.add(picture):
                rows += file.write(_signed(group, settings.n_q).tobytes())
        for group in writer.finish():
            rows += file.write(_signed(group, settings.n_q).tobytes())
        file.flush()
        codes = np.memmap(file, np.int32, "r", shape=(rows // (4 * settings.n_q), settings.n_q))
    height, width = codec.grid(*size)
    return codes, {
        "duration": round(float(writer.taken / rate), 6) if rate else 0.0,
        "size": list(size),
        "pictures": writer.taken,
        "rate": [rate.numerator, rate.denominator],
        "grid": [len(codes) // (height * width), height, width],
    }


def _signed(rows: PatchRows, n_q: int) -> np.ndarray:
    """Rows of patches -> codes int32 [patches, n_q], -1 where a patch has no further level."""
    present = np.arange(n_q) < rows.counts.reshape(-1, 1)
    codes = np.full(present.shape, -1, np.int32)
    codes[present] = rows.codes
    return codes


def picture_info(meta: dict[str, Any]) -> tuple[tuple[int, int], int, Fraction]:
    """Height and width, number of pictures, and pictures per second of a clip, from its metadata.

    Raises:
        MediaError: if they are missing.
    """
    try:
        height, width = (int(n) for n in meta["size"])
        return (height, width), int(meta["pictures"]), Fraction(*map(int, meta["rate"]))
    except (KeyError, TypeError, ValueError, ArithmeticError):
        raise MediaError(f"clip {meta.get('id')!r}: its size and number of pictures are not known") from None

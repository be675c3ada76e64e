"""Pictures and films -> codes, a row for each patch: group after group, row after row, left to right."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from ..bitstream.header import check_limits
from ..bitstream.patch_payload import PatchRows
from ..coding.jovio import Jovio
from ..coding.vision_encoder import GroupEncoder
from ..errors import CodecError, MediaError
from ..media.images import IMAGE_SUFFIXES, load_image
from ..media.video_reader import VideoReader
from ..settings import Rate
from .audio import Encoded, read_ahead
from .manifest import Item
from .plan import Settings

AHEAD = 1  # pictures that are read ahead for each worker; one can be large
Seen = tuple[Item, Tensor | CodecError | None]


def encode_pictures(
    codec: Jovio, items: Iterable[Item], settings: Settings
) -> Iterator[tuple[Item, Encoded | CodecError]]:
    """Codes int32 [patches, n_q], -1 for no level, and size of each clip, in their order; or what is wrong with it."""
    for item, seen in read_ahead(_read, items, settings.workers, AHEAD):
        if isinstance(seen, CodecError):
            yield item, seen
        elif seen is not None:
            yield item, _encode_picture(codec, seen, settings)
        else:
            yield item, _encode_film(codec, item, settings)


def _read(item: Item) -> Seen:
    """The picture of an item; None of a film."""
    if Path(item.path).suffix.lower() not in IMAGE_SUFFIXES:
        return item, None
    try:
        return item, load_image(item.path)
    except (CodecError, OSError) as error:
        return item, MediaError(str(error))


def _encode_picture(codec: Jovio, picture: Tensor, settings: Settings) -> Encoded | CodecError:
    try:
        return encode_clip(codec, iter([picture]), Fraction(0), settings)
    except CodecError as error:
        return error


def _encode_film(codec: Jovio, item: Item, settings: Settings) -> Encoded | CodecError:
    try:
        with VideoReader(item.path) as reader:
            first = round(item.start * reader.rate)
            last = None if item.duration is None else first + max(round(item.duration * reader.rate), 1)
            return encode_clip(codec, itertools.islice(reader.pictures(), first, last), reader.rate, settings)
    except (CodecError, OSError) as error:
        return MediaError(str(error))


def encode_clip(codec: Jovio, pictures: Iterator[Tensor], rate: Fraction, settings: Settings) -> Encoded:
    """Codes of pictures [3, H, W], so many a second (0 for a still one), and what is to be known of them.

    No patch is predicted from another: every row of codes stands for itself. The codes are a memory map of a
    temporary file, for those of a film need not fit into memory.

    Raises:
        MediaError: if there is no picture.
        FormatError: if the pictures are larger than the format allows, so that they could not be decoded.
    """
    first = next(pictures, None)
    if first is None:
        raise MediaError("no picture in this part")
    size = first.shape[-2], first.shape[-1]
    check_limits(codec.stream_info(size, settings.n_q, None, rate))
    wanted = Rate(rd_lambda=codec.settings.rd_lambda) if settings.adaptive else Rate(n_q=settings.n_q)
    writer = GroupEncoder(codec, wanted, size, rate, tables=codec.tables, max_levels=settings.n_q, predict=False)
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
    there = np.arange(n_q) < rows.counts.reshape(-1, 1)
    codes = np.full(there.shape, -1, np.int32)
    codes[there] = rows.codes
    return codes


def picture_info(meta: dict[str, Any]) -> tuple[tuple[int, int], int, Fraction]:
    """Height and width, number of pictures, and pictures a second of a clip, from its line of the dataset.

    Raises:
        MediaError: if they are not there.
    """
    try:
        height, width = (int(n) for n in meta["size"])
        return (height, width), int(meta["pictures"]), Fraction(*map(int, meta["rate"]))
    except (KeyError, TypeError, ValueError, ArithmeticError):
        raise MediaError(f"clip {meta.get('id')!r}: its size and number of pictures are not known") from None

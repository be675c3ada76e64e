"""Videos with motion -> one sequence of tokens each, and back; see `coding/motion_sequence.py`."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..bitstream.container import Block
from ..bitstream.header import VisionInfo, check_limits
from ..bitstream.motion_payload import MotionPayload, MotionRows
from ..coding.jovio import Jovio
from ..coding.motion_codec import MOTION_GROUP, VideoDecoder, moves, video_encoder
from ..coding.motion_sequence import Vocabulary, from_sequence, to_sequence
from ..coding.motion_tokens import PictureTokens, payloads_of, tokens_of
from ..datasets.clips import Clip
from ..errors import CodesError, FormatError, MediaError
from ..settings import Rate
from .vision_info import picture_info

Encoded = tuple[np.ndarray, dict[str, Any]]


def encode_motion(codec: Jovio, pictures: Iterator[Tensor], per_second: Fraction, rate: Rate) -> Encoded:
    """Tokens int32 [n, 1] of a video, and their metadata. The tokens are a memory map of a temporary file.

    Args:
        codec: the model.
        pictures: [3, H, W] each, in [0, 1].
        per_second: pictures per second.
        rate: what they may take as coded in a file, whose header is not counted.

    Raises:
        MediaError: if there is no picture, or only a still one.
        FormatError: if the pictures are larger than the format allows.
        CodesError: if pictures of this size cannot be coded with motion.
    """
    first = next(pictures, None)
    if first is None:
        raise MediaError("no picture in this part of the file")
    if not per_second:
        raise MediaError("a still picture has no motion; datasets without --motion hold pictures")
    size = first.shape[-2], first.shape[-1]
    info = codec.stream_info(size, codec.n_q, None, per_second, MOTION_GROUP)
    check_limits(info)
    if not moves(codec, rate, size):
        raise CodesError(f"pictures of {size[1]} x {size[0]} cannot be coded with motion")
    encoder = video_encoder(codec, rate, size, per_second, stills=False)  # the detail of still pictures is no tokens

    def payloads() -> Iterator[MotionPayload]:
        for picture in itertools.chain([first], pictures):
            yield from _payloads(encoder.add(picture.cpu().numpy()))
        yield from _payloads(encoder.finish())

    vocabulary, parities = Vocabulary(codec.codebook_size), []
    written = 0
    with tempfile.TemporaryFile() as file:
        for number, picture in enumerate(tokens_of(codec, info, payloads())):
            written += file.write(to_sequence(picture, number, vocabulary).astype(np.int32).tobytes())
            if picture.base is not None:
                parities.append(picture.parities.hex())
        file.flush()
        tokens = np.memmap(file, np.int32, "r", shape=(written // 4, 1))
    return tokens, {
        "duration": round(float(encoder.taken / per_second), 6),
        "size": list(size),
        "pictures": encoder.taken,
        "rate": [per_second.numerator, per_second.denominator],
        "grid": [encoder.taken, info.rows, info.columns],
        "parities": parities,
    }


def _payloads(parts: Iterable[object]) -> Iterator[MotionPayload]:
    for part in parts:
        assert isinstance(part, MotionRows)
        yield from part.pictures


def clip_pictures(codec: Jovio, clip: Clip) -> Iterator[PictureTokens]:
    """The pictures of a clip of a dataset of videos with motion as arrays, in the order of decoding.

    Raises:
        CodesError: if the tokens are in no order that means something.
        FormatError: if the metadata name a size that no clip has.
        MediaError: if they name none.
    """
    info = motion_info(codec, clip)
    try:
        parities = [bytes.fromhex(text) for text in clip.meta.get("parities", [])]
    except (TypeError, ValueError):
        raise FormatError(f"clip {clip.meta.get('id')!r}: its parities are not numbers in hexadecimal") from None
    tokens = (int(t) for t in clip.codes[:, 0])
    return from_sequence(tokens, info.rows, info.columns, Vocabulary(codec.codebook_size), parities)


def motion_info(codec: Jovio, clip: Clip) -> VisionInfo:
    """The header of the stream of a clip.

    Raises:
        FormatError, MediaError: as `clip_pictures`.
    """
    size, pictures, rate = picture_info(clip.meta)
    info = codec.check_stream(codec.stream_info(size, codec.n_q, pictures, rate, MOTION_GROUP))
    check_limits(info)
    if not rate or not moves(codec, Rate(), size):
        raise FormatError(f"clip {clip.meta.get('id')!r}: no video that could be coded with motion")
    return info


def decode_motion(codec: Jovio, clip: Clip) -> Iterator[Tensor]:
    """The pictures [3, H, W] of a clip of a dataset of videos with motion, in [0, 1].

    Raises:
        CodesError: if the tokens are in no order that means something.
        FormatError: if the metadata name a size that no clip has, or another number of pictures.
        MediaError: if they name none.
    """
    info = motion_info(codec, clip)
    decoder = VideoDecoder(codec, info)
    for number, payload in enumerate(payloads_of(codec, clip_pictures(codec, clip))):
        block = Block(0, number * info.rows, info.rows, MotionRows([payload], info.rows))
        yield from map(torch.from_numpy, decoder.push(block))
    yield from map(torch.from_numpy, decoder.finish())


def motion_rows(codec: Jovio, clip: Clip) -> MotionRows:
    """What a `.josie` file of a clip holds.

    Raises:
        CodesError, FormatError, MediaError: as `decode_motion`.
    """
    return MotionRows([*payloads_of(codec, clip_pictures(codec, clip))], motion_info(codec, clip).rows)

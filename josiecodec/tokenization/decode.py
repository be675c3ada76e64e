"""Clips of a dataset of tokens back to media files: from their codes straight to the codec's decoder."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from torch import Tensor

from ..atomic import write_bytes
from ..bitstream.container import Block, TokenWriter
from ..bitstream.header import AudioInfo, VisionInfo, check_limits
from ..bitstream.patch_payload import PatchRows
from ..coding.audio_decoder import BlockDecoder
from ..coding.jodio import Jodio
from ..coding.jovio import Jovio
from ..coding.result import Result
from ..coding.vision_decoder import GroupDecoder
from ..datasets.dataset import Clip, DatasetInfo
from ..datasets.verify import clip_gain, clip_seconds
from ..errors import CodesError, MediaError, ModelError
from ..media.audio_writer import AudioWriter
from ..media.images import IMAGE_SUFFIXES, save_image
from ..media.video_writer import VideoWriter
from .motion import decode_motion, motion_info, motion_rows
from .vision_info import picture_info

FRAMES_AT_ONCE = 250  # of audio that go through the decoder together


def decode_clip(codec: Jodio | Jovio, info: DatasetInfo, clip: Clip, target: str | Path) -> Result:
    """Decode a clip to an audio, image, video or `.josie` file; by the suffix of `target`.

    Args:
        codec: the model that made it.
        info: of the dataset.
        clip: with as many levels as are to be used.
        target: path of the file.

    Raises:
        ModelError: if another model made it.
        CodesError: if the codes are none of the model's.
        FormatError: if its metadata name a duration, gain or size that no clip has.
        MediaError: if the file cannot be written.
    """
    if info.fingerprint != codec.fingerprint:
        raise ModelError(
            f"the dataset was made by {info.codec} ({info.fingerprint[:12]}), "
            f"not by this {codec.config.name} ({codec.fingerprint[:12]})"
        )
    suffix = Path(target).suffix.lower()
    if isinstance(codec, Jovio) and info.kind == "motion":
        return _decode_motion(codec, clip, target)
    if suffix == ".josie":
        data = clip_to_josie(codec, clip)
        write_bytes(target, data)
        return Result(0.0, len(data))
    if isinstance(codec, Jodio):
        seconds = _write_audio(codec, clip, target)
    elif suffix in IMAGE_SUFFIXES:
        seconds = _write_image(codec, clip, target)
    else:
        seconds = _write_video(clip, decode_pictures(codec, clip), target)
    return Result(seconds, Path(target).stat().st_size)


def decode_audio(codec: Jodio, clip: Clip) -> Iterator[Tensor]:
    """The waveform of an audio clip, in pieces [n] of bounded length.

    Raises:
        CodesError: if the codes are none of the model's.
        FormatError: if the metadata name a duration or gain that no clip has.
    """
    decoder = BlockDecoder(codec, _audio_info(codec, clip))
    for first in range(0, len(clip.codes), FRAMES_AT_ONCE):
        codes = clip.codes[first : first + FRAMES_AT_ONCE]
        yield from decoder.push(Block(0, first, len(codes), codes))
    yield from decoder.finish()


def decode_pictures(codec: Jovio, clip: Clip) -> Iterator[Tensor]:
    """The pictures [3, H, W] of an image or video clip, in [0, 1], one frame group after the other.

    Raises:
        CodesError: if the codes are none of the model's, or do not fit the size of the pictures.
        FormatError: if the metadata name a size that no clip has.
        MediaError: if they name none.
    """
    info, rows = _vision_info(codec, clip)
    if int(rows.codes.max(initial=0)) >= codec.codebook_size:
        raise CodesError(f"codes must be in 0..{codec.codebook_size - 1}")
    decoder = GroupDecoder(codec, info)
    for group, part in enumerate(rows.split(info.rows)):
        yield from decoder.push(Block(0, group * info.rows, info.rows, part))
    yield from decoder.finish()


def clip_to_josie(codec: Jodio | Jovio, clip: Clip) -> bytes:
    """A clip as the bytes of a `.josie` file.

    Raises:
        CodesError, FormatError, MediaError: as `decode_audio` and `decode_pictures`.
    """
    out = io.BytesIO()
    if isinstance(codec, Jodio):
        audio = _audio_info(codec, clip)
        with TokenWriter(out, [audio], codec.known_tables) as writer:
            writer.add(0, clip.codes)
        return out.getvalue()
    vision, rows = _vision_info(codec, clip)
    with TokenWriter(out, [vision], codec.known_tables) as writer:
        for part in rows.split(vision.rows):
            writer.add_rows(0, part)
    return out.getvalue()


def _write_audio(codec: Jodio, clip: Clip, target: str | Path) -> float:
    """Write an audio file; returns its duration in seconds."""
    samples = 0
    with AudioWriter(target, codec.sample_rate) as writer:
        for part in decode_audio(codec, clip):
            samples += len(part)
            writer.write(part)
    return samples / codec.sample_rate


def _write_image(codec: Jovio, clip: Clip, target: str | Path) -> float:
    """Write the first picture of a clip to an image file; its duration is 0."""
    picture = next(decode_pictures(codec, clip), None)
    if picture is None:
        raise MediaError(f"{target}: a clip without a picture cannot be written")
    save_image(picture, target)
    return 0.0


def _decode_motion(codec: Jovio, clip: Clip, target: str | Path) -> Result:
    """`decode_clip` of a video with motion."""
    suffix, seconds = Path(target).suffix.lower(), 0.0
    if suffix == ".josie":
        out = io.BytesIO()
        with TokenWriter(out, [motion_info(codec, clip)], codec.known_tables) as writer:
            writer.add_pictures(0, motion_rows(codec, clip))
        write_bytes(target, out.getvalue())
    elif suffix in IMAGE_SUFFIXES:
        picture = next(decode_motion(codec, clip), None)
        if picture is None:
            raise MediaError(f"{target}: a clip without a picture cannot be written")
        save_image(picture, target)
    else:
        seconds = _write_video(clip, decode_motion(codec, clip), target)
    return Result(seconds, Path(target).stat().st_size)


def _write_video(clip: Clip, pictures: Iterator[Tensor], target: str | Path) -> float:
    """Write a video file; returns its duration in seconds."""
    size, _, rate = picture_info(clip.meta)
    shown = 0
    with VideoWriter(target, size, rate) as writer:
        for picture in pictures:
            writer.write(picture)
            shown += 1
    return float(shown / rate) if rate else 0.0


def _audio_info(codec: Jodio, clip: Clip) -> AudioInfo:
    """The stream header of an audio clip with its gain, and with the exact length if the metadata have a duration."""
    duration = clip_seconds(clip.meta)
    samples = len(clip.codes) * codec.frame_size
    if duration is not None and codec.frames(round(duration * codec.sample_rate)) == len(clip.codes):
        samples = round(duration * codec.sample_rate)
    info = replace(codec.stream_info(clip.codes.shape[1], samples), gain=clip_gain(clip.meta))
    return codec.check_stream(info)


def _vision_info(codec: Jovio, clip: Clip) -> tuple[VisionInfo, PatchRows]:
    """The stream header of an image or video clip and its rows of patches, none of them predicted."""
    size, pictures, rate = picture_info(clip.meta)
    info = codec.check_stream(codec.stream_info(size, clip.codes.shape[1], pictures, rate))
    check_limits(info)
    if clip.levels is None or len(clip.levels) != (info.total_rows or 0) * info.columns:
        raise CodesError(f"clip {clip.meta.get('id')!r}: {len(clip.codes)} patches do not make its pictures")
    if int(clip.levels.max(initial=0)) > info.levels:
        raise CodesError(f"clip {clip.meta.get('id')!r}: patches of more than {info.levels} levels")
    counts = clip.levels.reshape(-1, info.columns)
    codes = clip.codes[np.arange(clip.codes.shape[1]) < clip.levels[:, None]]
    return info, PatchRows(np.zeros_like(counts), counts, codes)

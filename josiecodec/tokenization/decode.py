"""Clips of a dataset of tokens back to media files, by way of the `.josie` format."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from ..atomic import write_bytes
from ..bitstream.container import TokenWriter
from ..bitstream.patch_payload import PatchRows
from ..coding.audio import decode_file
from ..coding.codec import Result
from ..coding.image import decode_picture
from ..coding.jodio import Jodio
from ..coding.jovio import Jovio
from ..coding.video import decode_video
from ..datasets.dataset import Clip, DatasetInfo
from ..datasets.verify import clip_seconds
from ..errors import CodesError, ModelError
from ..media.images import IMAGE_SUFFIXES
from .vision import picture_info


def decode_clip(codec: Jodio | Jovio, info: DatasetInfo, clip: Clip, target: str | Path) -> Result:
    """Decode a clip to a sound, picture, video or `.josie` file; the suffix says which.

    Args:
        codec: the model that made it.
        info: of the dataset.
        clip: with as many levels as are to be used.
        target: path of the file.

    Raises:
        ModelError: if another model made it.
        CodesError: if the codes are none of the model's.
        FormatError: if its line tells a length or size that no clip has.
        MediaError: if the file cannot be written.
    """
    if info.fingerprint != codec.fingerprint:
        raise ModelError(
            f"the dataset was made by {info.codec} ({info.fingerprint[:12]}), "
            f"not by this {codec.config.name} ({codec.fingerprint[:12]})"
        )
    data = sound_file(codec, clip) if isinstance(codec, Jodio) else picture_file(codec, clip)
    suffix = Path(target).suffix.lower()
    if suffix == ".josie":
        write_bytes(target, data)
        return Result(0.0, len(data))
    if isinstance(codec, Jodio):
        return decode_file(codec, data, target)
    if suffix in IMAGE_SUFFIXES:
        return decode_picture(codec, data, target)
    return decode_video(codec, None, data, target)


def sound_file(codec: Jodio, clip: Clip) -> bytes:
    """A clip of sound as the bytes of a `.josie` file."""
    duration = clip_seconds(clip.meta)
    samples = len(clip.codes) * codec.frame_size
    if duration is not None and codec.frames(round(duration * codec.sample_rate)) == len(clip.codes):
        samples = round(duration * codec.sample_rate)
    out = io.BytesIO()
    info = codec.stream_info(clip.codes.shape[1], samples)
    with TokenWriter(out, [info], codec.known_tables) as writer:
        writer.add(0, clip.codes)
        writer.close([samples])
    return out.getvalue()


def picture_file(codec: Jovio, clip: Clip) -> bytes:
    """A picture or film as the bytes of a `.josie` file."""
    size, pictures, rate = picture_info(clip.meta)
    info = codec.stream_info(size, clip.codes.shape[1], pictures, rate)
    if clip.levels is None or len(clip.levels) != (info.total_rows or 0) * info.columns:
        raise CodesError(f"clip {clip.meta.get('id')!r}: {len(clip.codes)} patches do not make its pictures")
    counts = clip.levels.reshape(-1, info.columns)
    codes = clip.codes[np.arange(clip.codes.shape[1]) < clip.levels[:, None]]
    rows = PatchRows(np.zeros_like(counts), counts, codes)
    out = io.BytesIO()
    with TokenWriter(out, [info], codec.known_tables) as writer:
        for part in rows.split(info.rows):
            writer.add_rows(0, part)
        writer.close([pictures])
    return out.getvalue()

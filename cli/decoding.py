"""Decoding one `.josie` file: which model made it, and what kind of media it becomes."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from .models import Models, check_used

Work = dict[str, Any]
Progress = Callable[[float], None]


def check_file(path: Path, given: dict[str, str], names: tuple[str, ...] = ()) -> None:
    """Refuse a file that is none, or whose model is not known, before torch is imported.

    Args:
        path: of the file.
        given: models that were named, by kind.
        names: all that were named.

    Raises:
        FormatError, ModelError: if it cannot be decoded.
    """
    from josiecodec.bitstream.container import TokenReader
    from josiecodec.bitstream.header import by_model
    from josiecodec.errors import FormatError
    from josiecodec.shipped import find_fingerprint

    try:
        with TokenReader(path, codes=False) as reader:
            streams = reader.streams
    except FormatError as error:
        raise FormatError(str(error) if str(path) in str(error) else f"{path}: {error}") from None
    check_used(given, {s.kind for s in streams}, str(path))
    if any(name.startswith("hf:") for name in names):
        return  # of which kind these are is seen when they are loaded
    for stream in streams:
        if stream.kind not in given and by_model(stream):
            find_fingerprint(stream.fingerprint, stream.model)


def default_suffix(path: Path) -> str:
    """The format a .josie file is decoded to if none is given; a damaged one is refused when its turn comes."""
    from josiecodec.bitstream.container import TokenReader
    from josiecodec.bitstream.header import VisionInfo
    from josiecodec.errors import FormatError

    if not path.is_file():
        return ".wav"
    try:
        with TokenReader(path) as reader:
            pictures = next((s for s in reader.streams if isinstance(s, VisionInfo)), None)
    except FormatError:
        return ".wav"
    return ".wav" if pictures is None else ".mp4" if pictures.rate else ".png"


def decode_one(
    models: Models,
    start: Path,
    end: Path,
    n_q: int | None,
    sample_rate: int | None,
    salvage: bool,
    progress: Progress,
    stretch: tuple[float, float | None] = (0.0, None),
    mono: bool = False,
    size: tuple[int, int] | None = None,
) -> Work:
    """Decode `start` to `end`; of sound or a video a stretch from so many seconds on, so many long."""
    from josiecodec.bitstream.container import TokenReader
    from josiecodec.bitstream.header import is_image
    from josiecodec.errors import FormatError

    data: Any = sys.stdin.buffer.read() if str(start) == "-" else str(start)
    with TokenReader(data) as reader:
        streams = {s.kind: s for s in reversed(reader.streams)}
        mono = mono or not any(map(is_image, reader.streams))
    try:
        kind, done = _decoded(
            models, streams, data, start, end, n_q, sample_rate, salvage, progress, stretch, mono, size
        )
    except FormatError as error:
        hint = "" if salvage else "; --salvage decodes what is intact"
        raise FormatError(f"{error}{hint}") from None
    return {
        "kind": kind,
        "seconds": round(done.seconds, 3),
        "bytes": done.size,
        "problems": list(done.problems),
        "shown": f"{done.seconds:.1f} s" if done.seconds else f"{done.size} bytes",
    }


def _decoded(
    models: Models,
    streams: dict[str, Any],
    data: Any,
    start: Path,
    end: Path,
    n_q: int | None,
    sample_rate: int | None,
    salvage: bool,
    progress: Progress,
    stretch: tuple[float, float | None],
    mono: bool,
    size: tuple[int, int] | None,
) -> tuple[str, Any]:
    """What kind of media was made, and the result."""
    from josiecodec.coding.stretch import Stretch
    from josiecodec.media.kinds import IMAGE_SUFFIXES, VIDEO_SUFFIXES, WRITABLE_VIDEO

    suffix, vision, audio = end.suffix.lower(), streams.get("vision"), streams.get("audio")
    piece = Stretch(*stretch)
    if not piece.whole and audio is None and vision is not None and not vision.rate:
        raise click.UsageError("--start and --seconds are for sound and videos, not for images")
    if vision is not None and suffix in IMAGE_SUFFIXES:
        from josiecodec.coding.image import decode_image

        if piece.seconds is not None:
            raise click.UsageError("--seconds: an image is one picture of a video, the one at --start")
        codec = models.to_decode_video(vision, data) if vision.rate else models.to_decode_picture(vision)
        return "image", decode_image(codec, data, end, n_q, salvage, size, piece, progress)
    if size is not None:
        raise click.UsageError("--size is for image files")
    if vision is not None and suffix in WRITABLE_VIDEO:
        from josiecodec.coding.video_decoding import decode_video

        track = None if audio is None else models.to_decode_audio(audio, None, salvage, data)
        return "video", decode_video(
            models.to_decode_video(vision, data), track, data, end, n_q, salvage, progress, piece
        )
    if vision is not None and suffix in VIDEO_SUFFIXES:
        raise click.UsageError(f"{end.name}: video can be written as {', '.join(sorted(WRITABLE_VIDEO))}")
    if audio is not None:
        from josiecodec.coding.audio import decode_file

        codec = models.to_decode_audio(audio, n_q, salvage, data)
        return "audio", decode_file(codec, data, end, n_q, sample_rate, salvage, progress, mono, piece)
    raise click.UsageError(f"{start} has no audio, and {end.name} is no image or video file")

"""What is in a media file, and what will be done with it: for `josiecodec info`."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np

from .audio_container import is_default
from .audio_layout import layout_of
from .audio_open import Reading, SampleReader
from .describe_picture import describe_picture, picture_lines
from .kinds import kind_of

TOLERATED = 0.05  # seconds between claimed and decoded length that nobody needs to know of


def describe_media(path: str | Path, track: int | None = None) -> dict[str, Any]:
    """What was found in a media file, as JSON has it; it is decoded as a whole.

    Args:
        path: of the file.
        track: number of the track of sound to look at, from 1 on; None for the one that is read by default.

    Returns:
        `kind`, `container`, `start` (of its clock, in seconds), `sound` (see `describe_sound`) where there is any,
        `vision` (see `describe_vision`) of pictures and video, `chapters`, and `notes`, all warnings as lines.

    Raises:
        MediaError: if it cannot be read.
    """
    kind = kind_of(path)
    found: dict[str, Any] = {"kind": kind, **_container(path), "notes": []}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        if kind != "audio":
            found["vision"], heard = _seen(path, kind)
        if kind == "audio" or heard:
            found["sound"] = describe_sound(path, track)
    prefix = f"{path}: "
    found["notes"] += dict.fromkeys(str(warning.message).removeprefix(prefix) for warning in caught)
    return found


def _seen(path: str | Path, kind: str) -> tuple[dict[str, Any], bool]:
    """What `describe_picture.py` or `describe_vision.py` says, and whether there is a track of sound."""
    if kind == "image":
        return describe_picture(path), False
    from .describe_vision import describe_film  # with torch
    from .video_reader import has_sound

    return describe_film(path), has_sound(path)


def describe_sound(path: str | Path, track: int | None = None) -> dict[str, Any]:
    """The sound of a file: `tracks`, and of the one that is read codec, rate, layout, lengths in seconds, and peak."""
    with SampleReader(path, Reading(track)) as reader:
        claimed = None if reader.length is None else reader.length / reader.sample_rate
        count, peak = 0, 0.0
        for block in reader.mono_samples(reader.sample_rate):
            count += len(block)
            peak = max(peak, float(np.abs(block).max(initial=0.0)))
        decoded = count / reader.sample_rate
        return {
            "tracks": _tracks(path) or [{"number": 1, "codec": reader.codec, "rate": reader.sample_rate}],
            "track": reader.track,
            "codec": reader.codec,
            "sample_rate": reader.sample_rate,
            "channels": reader.channels,
            "layout": reader.layout,
            "begin": round(reader.begin, 6),
            "claimed_seconds": None if claimed is None else round(claimed, 6),
            "decoded_seconds": round(decoded, 6),
            "samples": count,
            "peak": round(peak, 6),
        }


def media_lines(found: dict[str, Any]) -> list[str]:
    """The same for people to read."""
    lines = []
    if found.get("container"):
        lines.append(f"  {found['kind']}, {found['container']}")
    if found.get("vision") and "pictures_per_second" in found["vision"]:
        from .describe_vision import vision_lines

        lines += vision_lines(found["vision"])
    elif found.get("vision"):
        lines += picture_lines(found["vision"])
    if found.get("sound"):
        lines += _sound_lines(found["sound"], found["start"])
    for chapter in found.get("chapters", []):
        lines.append(f"    chapter {chapter['start']:.2f} to {chapter['end']:.2f} s: {chapter['title']}")
    return lines


def _sound_lines(sound: dict[str, Any], start: float) -> list[str]:
    lines = []
    for track in sound["tracks"]:
        about = [str(track[key]) for key in ("codec", "layout", "language", "title") if track.get(key)]
        about.insert(1, f"{track['rate']} Hz")
        flags = ", default" * bool(track.get("default")) + ", read" * (track["number"] == sound["track"])
        lines.append(f"  audio track {track['number']}: {', '.join(about)}{flags}")
    claimed, decoded = sound["claimed_seconds"], sound["decoded_seconds"]
    length = f"{decoded:.3f} s decoded"
    if claimed is None:
        length += ", the file names no length"
    elif abs(claimed - decoded) > TOLERATED:
        length += f", the file claims {claimed:.3f} s"
    peak = 20 * np.log10(sound["peak"]) if sound["peak"] else -np.inf
    lines.append(f"    {length}, {sound['samples']} samples at {sound['sample_rate']} Hz, peak {peak:+.1f} dB")
    if sound["begin"] - start > TOLERATED:
        lines.append(f"    begins {sound['begin'] - start:.3f} s after the start of the file")
    mixed = f"{sound['channels']} channels ({sound['layout']}) are mixed to mono" if sound["channels"] > 1 else "mono"
    lines.append(f"    as it is read: {mixed}, resampled to the rate of the model")
    return lines


def _container(path: str | Path) -> dict[str, Any]:
    import av

    try:
        with av.open(str(path)) as container:
            base = [(float(c["time_base"] or 0), c) for c in container.chapters()]
            chapters = [
                {
                    "start": round(c["start"] * unit, 3),
                    "end": round(c["end"] * unit, 3),
                    "title": c["metadata"].get("title", ""),
                }
                for unit, c in base
            ]
            start = (container.start_time or 0) / 1e6
            return {"container": container.format.long_name, "start": start, "chapters": chapters}
    except (av.FFmpegError, ValueError, OSError):
        return {"container": None, "start": 0.0, "chapters": []}


def _tracks(path: str | Path) -> list[dict[str, Any]]:
    import av

    try:
        with av.open(str(path)) as container:
            return [
                {
                    "number": number,
                    "codec": stream.codec_context.name,
                    "rate": stream.rate,
                    "channels": layout_of(stream)[1],
                    "layout": layout_of(stream)[0],
                    "language": stream.metadata.get("language"),
                    "title": stream.metadata.get("title"),
                    "default": is_default(stream),
                }
                for number, stream in enumerate(container.streams.audio, 1)
                if stream.codec_context is not None
            ]
    except (av.FFmpegError, ValueError, OSError):
        return []

"""What is in a video, and what will be done with it."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

from .video_color import described
from .video_crop import Crop
from .video_reader import VideoReader
from .video_source import Film

TOLERATED = 0.05  # seconds between claimed and decoded length that nobody needs to know of


def describe_film(path: str | Path) -> dict[str, Any]:
    """The pictures of a film or animation; they are decoded, all of them.

    Raises:
        MediaError: if it cannot be read.
    """
    with VideoReader(path) as reader:
        count = sum(1 for _ in reader.bytes())
        source = reader.source
        height, width = source.coded_size
        found: dict[str, Any] = {
            "codec": "animation",
            "width": width,
            "height": height,
            "decoded": count,
            "read_width": reader.size[1],
            "read_height": reader.size[0],
            "pictures": count,
            "pictures_per_second": [reader.rate.numerator, reader.rate.denominator],
            "decoded_seconds": round(count / float(reader.rate), 6),
            "repeated_before": reader.lead,
            "sound_offset": None if reader.audio_offset is None else round(reader.audio_offset, 6),
            "damaged": source.damaged,
        }
        if isinstance(source, Film):
            found |= _film(source)
        return found


def _film(film: Film) -> dict[str, Any]:
    stream, aspect = film.stream, film.aspect()
    claimed = float(stream.duration * stream.time_base) if stream.duration and stream.time_base else None
    if claimed is None and film.container.duration:
        claimed = film.container.duration / 1e6
    return {
        "tracks": len(film.container.streams.video),
        "codec": stream.codec_context.name,
        "pixel_format": film.form,
        "decoded": film.decoded,
        "claimed_seconds": claimed,
        "average_rate": None if not stream.average_rate else round(float(stream.average_rate), 4),
        "named_rate": None if not stream.guessed_rate else round(float(stream.guessed_rate), 4),
        "colors": None if film.colors is None else described(film.colors),
        "pixel_aspect": None if not aspect else [aspect.numerator, aspect.denominator],
        "crop": None if film.crop == Crop() else vars(film.crop),
        "orientation": _turn_name(film.orientation),
        "interlaced": film.interlaced,
    }


def vision_lines(found: dict[str, Any]) -> list[str]:
    """A video for people to read."""
    stored = [found["codec"], f"{found['width']} x {found['height']}"]
    stored += [str(found[key]) for key in ("pixel_format", "colors") if found.get(key)]
    if found.get("average_rate"):
        stored.append(f"{found['average_rate']:g} pictures/s on average")
    treated = [f"{found['read_width']} x {found['read_height']}"]
    aspect = found.get("pixel_aspect")
    if aspect and aspect[0] != aspect[1]:
        treated.append(f"pixels of {aspect[0]}:{aspect[1]} made square")
    treated += ["cropped as it is marked"] if found.get("crop") else []
    treated += [str(found["orientation"])] if found.get("orientation") else []
    treated += ["deinterlaced"] if found.get("interlaced") else []
    rate = Fraction(*found["pictures_per_second"])
    treated.append(f"{found['pictures']} pictures at {float(rate):g}/s of {found['decoded']} decoded")
    if found["repeated_before"]:
        treated.append(f"the first one {found['repeated_before']} times more, as sound comes before it")
    length, claimed = f"{found['decoded_seconds']:.3f} s", found.get("claimed_seconds")
    if claimed is not None and abs(claimed - found["decoded_seconds"]) > TOLERATED:
        length += f", the file claims {claimed:.3f} s"
    lines = [f"  video: {', '.join(stored)}", f"    as it is read: {', '.join(treated)}; {length}"]
    if found["sound_offset"] is not None:
        lines.append(f"    sound begins {found['sound_offset']:+.3f} s after the pictures")
    return lines


def _turn_name(how: tuple[bool, bool, bool]) -> str | None:
    names = {
        (False, False, False): None,
        (False, True, False): "mirrored",
        (False, False, True): "flipped",
        (False, True, True): "turned by 180 degrees",
        (True, False, False): "transposed",
        (True, True, False): "turned by 90 degrees",
        (True, False, True): "turned by 270 degrees",
        (True, True, True): "transposed across the other diagonal",
    }
    return names[how]

"""`encode` and `decode`: one file, a stream, or a whole folder, of audio, images or video."""

from __future__ import annotations

import dataclasses
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .jobs import Models, Output, check_source, plan, run
from .options import Path_, common, use_device

if TYPE_CHECKING:
    from josiecodec import EncoderSettings, Rate

Work = dict[str, Any]
Progress = Callable[[float], None]


@click.command()
@click.argument("source", type=Path_)
@click.argument("target", type=Path_, required=False)
@click.option("--model", "models", multiple=True, help="Name of a model, or its folder; one for each kind of stream.")
@click.option("--n-q", type=click.IntRange(1), help="Levels to keep: more of them, better quality.")
@click.option(
    "--kbps",
    type=click.FloatRange(0, min_open=True),
    help="Bitrate of audio or video instead, in kbit/s of the whole file. Audio never takes more.",
)
@click.option(
    "--bpp",
    type=click.FloatRange(0, min_open=True),
    help="Rate of images or video instead, in bits per pixel of the whole file.",
)
@click.option("--beams", type=click.IntRange(1), help="Effort: hypotheses of the search for codes.  [default: model's]")
@click.option("--no-audio", is_flag=True, help="Leave out the audio of videos.")
@click.option("--overwrite", is_flag=True, help="Replace files that are there.")
@common
def encode(
    source: Path,
    target: Path | None,
    models: tuple[str, ...],
    n_q: int | None,
    kbps: float | None,
    bpp: float | None,
    beams: int | None,
    no_audio: bool,
    overwrite: bool,
    device: str,
    threads: int | None,
    as_json: bool,
) -> int:
    """Encode SOURCE, an audio, image or video file of any format, to TARGET, a .josie file.

    SOURCE may be a folder: every media file below it is encoded to the same place below TARGET.
    "-" is standard input (audio) or output. Without TARGET the file goes beside SOURCE.
    """
    check_source(source)
    if target is None and str(source) == "-":
        raise click.UsageError("standard input needs a TARGET")
    if sum(v is not None for v in (n_q, kbps, bpp)) > 1:
        raise click.UsageError("give only one of --n-q, --kbps and --bpp")
    from josiecodec import Rate
    from josiecodec.media.images import IMAGE_SUFFIXES
    from josiecodec.media.kinds import MEDIA_SUFFIXES, kind_of

    rate = Rate(n_q, bpp, kbps)
    known = Models(models, use_device(device, threads))
    has_vision = known.has("vision")
    jobs = plan(
        source,
        target,
        lambda _: ".josie",
        MEDIA_SUFFIXES if has_vision else MEDIA_SUFFIXES - IMAGE_SUFFIXES,
        overwrite,
    )

    def work(start: Path, end: Path, progress: Progress) -> Work:
        kind = "audio" if str(start) == "-" else kind_of(start)
        if kind == "video" and not has_vision:
            warnings.warn(f"{start}: audio alone, there is no model of vision", stacklevel=1)
            kind = "audio"
        with Output(end) as out:
            if kind == "audio":
                return _encode_audio(known, start, out, rate, beams, progress)
            if kind == "image":
                return _encode_image(known, start, out, rate, beams)
            return _encode_video(known, start, out, rate, beams, no_audio, progress)

    return run(jobs, work, as_json)


def _settings(codec: Any, beams: int | None) -> EncoderSettings | None:
    """Encoder settings of a model with another effort; None if it stays."""
    return None if beams is None else dataclasses.replace(codec.settings, beams=beams)


def _encode_audio(models: Models, start: Path, out: Any, rate: Rate, beams: int | None, progress: Progress) -> Work:
    from josiecodec.coding.audio import encode_file

    codec = models.to_encode("audio")
    done = encode_file(codec, str(start), out, rate=rate, settings=_settings(codec, beams), progress=progress)
    kbps = 8 * done.size / done.seconds / 1000 if done.seconds else 0.0
    return {
        "kind": "audio",
        "seconds": round(done.seconds, 3),
        "bytes": done.size,
        "kbps": round(kbps, 3),
        "codes_kbps": round(codec.bitrate(done.n_q) / 1000, 4),
        "n_q": done.n_q,
        "shown": f"{done.seconds:.1f} s -> {done.size} bytes, {kbps:.2f} kbit/s, {done.n_q} levels",
    }


def _encode_image(models: Models, start: Path, out: Any, rate: Rate, beams: int | None) -> Work:
    from josiecodec.coding.image import encode_image

    codec = models.to_encode("vision")
    done = encode_image(codec, str(start), out, rate=rate, settings=_settings(codec, beams))
    bpp = 8 * done.size / done.pixels
    return {
        "kind": "image",
        "bytes": done.size,
        "bpp": round(bpp, 4),
        "n_q": done.n_q,
        "problems": _missed(bpp, rate.bpp, "bits per pixel"),
        "shown": f"{done.size} bytes, {bpp:.3f} bits per pixel",
    }


def _encode_video(
    models: Models, start: Path, out: Any, rate: Rate, beams: int | None, no_audio: bool, progress: Progress
) -> Work:
    from josiecodec.coding.video import encode_video
    from josiecodec.media.video_reader import VideoReader

    with VideoReader(start) as reader:
        silent = no_audio or reader.audio_offset is None
    vision, audio = models.to_encode("vision"), None if silent else models.to_encode("audio")
    done = encode_video(
        vision,
        audio,
        str(start),
        out,
        rate=rate,
        settings=_settings(vision, beams),
        audio_settings=None if audio is None else _settings(audio, beams),
        progress=progress,
    )
    kbps = 8 * done.size / done.seconds / 1000 if done.seconds else 0.0
    bpp = 8 * done.size / max(done.pixels, 1)
    return {
        "kind": "video",
        "seconds": round(done.seconds, 3),
        "bytes": done.size,
        "kbps": round(kbps, 3),
        "bpp": round(bpp, 5),
        "n_q": done.n_q,
        "problems": _missed(kbps, rate.kbps, "kbit/s") + _missed(bpp, rate.bpp, "bits per pixel"),
        "shown": f"{done.seconds:.1f} s -> {done.size} bytes, {kbps:.2f} kbit/s",
    }


def _missed(got: float, wanted: float | None, unit: str) -> list[str]:
    """A warning where a rate could not be reached."""
    if wanted is None or abs(got / wanted - 1) <= 0.05:
        return []
    return [f"{wanted:g} {unit} cannot be reached, it is {got:.3g}"]


@click.command()
@click.argument("source", type=Path_)
@click.argument("target", type=Path_, required=False)
@click.option("--model", "models", multiple=True, help="Folder of a model that did not come with the package.")
@click.option("--n-q", type=click.IntRange(1), help="Use at most so many levels.")
@click.option("--sample-rate", type=click.IntRange(1000, 768000), help="Of an audio file; else the model's.")
@click.option("--format", "suffix", help="Format where TARGET does not say.  [default: wav, png, mp4]")
@click.option("--salvage", is_flag=True, help="Decode what is whole in a damaged file.")
@click.option("--overwrite", is_flag=True, help="Replace files that are there.")
@common
def decode(
    source: Path,
    target: Path | None,
    models: tuple[str, ...],
    n_q: int | None,
    sample_rate: int | None,
    suffix: str | None,
    salvage: bool,
    overwrite: bool,
    device: str,
    threads: int | None,
    as_json: bool,
) -> int:
    """Decode SOURCE, a .josie file, to TARGET, an audio, image or video file whose suffix says the format.

    Audio: WAV, FLAC, OGG, Opus, MP3, M4A ...; images: PNG, JPEG, WebP ...; video: MP4, MOV, and MKV without loss.
    SOURCE may be a folder. "-" is standard input or output. Without TARGET the file goes beside SOURCE.
    """
    if target is None and str(source) == "-":
        raise click.UsageError("standard input needs a TARGET")
    if suffix is not None and not suffix.strip(".").isalnum():
        raise click.BadParameter(f"--format takes a suffix like flac, not {suffix!r}")
    given = None if suffix is None else f".{suffix.strip('.')}"
    jobs = plan(source, target, lambda path: given or _default_suffix(path), frozenset({".josie"}), overwrite)
    known = Models(models, use_device(device, threads))

    def work(start: Path, end: Path, progress: Progress) -> Work:
        return _decode(known, start, end, n_q, sample_rate, salvage, progress)

    return run(jobs, work, as_json)


def _default_suffix(path: Path) -> str:
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


def _decode(
    models: Models,
    start: Path,
    end: Path,
    n_q: int | None,
    sample_rate: int | None,
    salvage: bool,
    progress: Progress,
) -> Work:
    from josiecodec.bitstream.container import TokenReader
    from josiecodec.coding.audio import decode_file
    from josiecodec.coding.image import decode_image
    from josiecodec.coding.video import decode_video
    from josiecodec.media.images import IMAGE_SUFFIXES
    from josiecodec.media.video_reader import VIDEO_SUFFIXES
    from josiecodec.media.video_writer import WRITABLE_VIDEO

    data: Any = sys.stdin.buffer.read() if str(start) == "-" else str(start)
    with TokenReader(data) as reader:
        streams = {s.kind: s for s in reversed(reader.streams)}
    suffix, vision, audio = end.suffix.lower(), streams.get("vision"), streams.get("audio")
    if vision is not None and suffix in IMAGE_SUFFIXES:
        kind, done = "image", decode_image(models.to_decode(vision), data, end, n_q, salvage)
    elif vision is not None and suffix in WRITABLE_VIDEO:
        track = None if audio is None else models.to_decode(audio)
        kind, done = "video", decode_video(models.to_decode(vision), track, data, end, n_q, salvage, progress)
    elif vision is not None and suffix in VIDEO_SUFFIXES:
        raise click.UsageError(f"{end.name}: video can be written as {', '.join(sorted(WRITABLE_VIDEO))}")
    elif audio is not None:
        kind, done = "audio", decode_file(models.to_decode(audio), data, end, n_q, sample_rate, salvage, progress)
    else:
        raise click.UsageError(f"{start} has no audio, and {end.name} is no image or video file")
    return {
        "kind": kind,
        "seconds": round(done.seconds, 3),
        "bytes": done.size,
        "problems": list(done.problems),
        "shown": f"{done.seconds:.1f} s" if done.seconds else f"{done.size} bytes",
    }

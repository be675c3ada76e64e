"""`encode` and `decode`: one file, a stream, or a whole folder, of audio, images or video."""

from __future__ import annotations

import dataclasses
import functools
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .jobs import Models, Output, check_source, plan, run
from .options import Path_, common, reading_options, use_device

if TYPE_CHECKING:
    from josiecodec import EncoderSettings, Rate
    from josiecodec.media.audio_reader import Reading

Work = dict[str, Any]
Progress = Callable[[float], None]


@click.command()
@click.argument("source", type=Path_)
@click.argument("target", type=Path_, required=False)
@click.option(
    "--model", "models", multiple=True, help="Name of a model, or its folder; one for audio and one for vision."
)
@click.option("--n-q", type=click.IntRange(1), help="Number of levels, in all frames or patches.")
@click.option(
    "--kbps",
    type=click.FloatRange(0, min_open=True),
    help="Bitrate of audio or video, in kbit/s of the whole file. Audio never exceeds it.",
)
@click.option(
    "--bpp",
    type=click.FloatRange(0, min_open=True),
    help="Rate of images or video, in bits per pixel of the whole file.",
)
@click.option(
    "--beams", type=click.IntRange(1), help="Hypotheses of the beam search: quality for time.  [default: model's]"
)
@click.option("--no-audio", is_flag=True, help="Leave out the audio of videos.")
@reading_options
@click.option("--overwrite", is_flag=True, help="Replace existing files.")
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
    audio_track: int | None,
    normalize: bool,
    salvage: bool,
    overwrite: bool,
    device: str,
    threads: int | None,
    as_json: bool,
) -> int:
    """Encode SOURCE, an audio, image or video file of any format, to TARGET, a .josie file.

    SOURCE may be a folder: every media file in it is encoded to the same relative path in TARGET.
    "-" is standard input (audio) or output. Without TARGET the file is written beside SOURCE.
    Give at most one of --n-q, --kbps and --bpp; without any the model's default holds.
    """
    check_source(source)
    if target is None and str(source) == "-":
        raise click.UsageError("standard input needs a TARGET")
    if sum(v is not None for v in (n_q, kbps, bpp)) > 1:
        raise click.UsageError("give only one of --n-q, --kbps and --bpp")
    from josiecodec import Rate
    from josiecodec.media.audio_reader import Reading
    from josiecodec.media.images import IMAGE_SUFFIXES
    from josiecodec.media.kinds import MEDIA_SUFFIXES

    rate = Rate(n_q, bpp, kbps)
    has_vision = Models(models, use_device(device, threads)).has("vision")
    jobs = plan(
        source,
        target,
        lambda _: ".josie",
        MEDIA_SUFFIXES if has_vision else MEDIA_SUFFIXES - IMAGE_SUFFIXES,
        overwrite,
    )
    reading = Reading(audio_track, salvage, normalize)
    return run(jobs, Encoding(models, device, threads, rate, beams, no_audio, reading), as_json, isolated=True)


@dataclasses.dataclass(frozen=True)
class Encoding:
    """What `encode` does with each file: called with source, target and whom to tell the progress."""

    models: tuple[str, ...]
    device: str
    threads: int | None
    rate: Rate
    beams: int | None
    no_audio: bool
    reading: Reading

    def __call__(self, start: Path, end: Path, progress: Progress) -> Work:
        from josiecodec.media.kinds import kind_of

        known = _models(self.models, self.device, self.threads)
        kind = "audio" if str(start) == "-" else kind_of(start)
        if kind == "video" and not known.has("vision"):
            warnings.warn(f"{start}: audio only, there is no vision model", stacklevel=1)
            kind = "audio"
        with Output(end) as out:
            if kind == "audio":
                return _encode_audio(known, start, out, self, progress)
            if kind == "image":
                return _encode_image(known, start, out, self.rate, self.beams)
            return _encode_video(known, start, out, self, progress)


@functools.cache
def _models(names: tuple[str, ...], device: str, threads: int | None) -> Models:
    """The models of this process."""
    return Models(names, use_device(device, threads))


def _settings(codec: Any, beams: int | None) -> EncoderSettings | None:
    """Encoder settings of a model with another effort; None if it stays."""
    return None if beams is None else dataclasses.replace(codec.settings, beams=beams)


def _encode_audio(models: Models, start: Path, out: Any, how: Encoding, progress: Progress) -> Work:
    from josiecodec.coding.audio import encode_file

    codec = models.to_encode("audio")
    settings = _settings(codec, how.beams)
    done = encode_file(codec, str(start), out, rate=how.rate, settings=settings, reading=how.reading, progress=progress)
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


def _encode_video(models: Models, start: Path, out: Any, how: Encoding, progress: Progress) -> Work:
    from josiecodec.coding.video import encode_video
    from josiecodec.media.video_reader import has_sound

    silent = how.no_audio or not has_sound(start)
    vision, audio = models.to_encode("vision"), None if silent else models.to_encode("audio")
    done = encode_video(
        vision,
        audio,
        str(start),
        out,
        rate=how.rate,
        settings=_settings(vision, how.beams),
        audio_settings=None if audio is None else _settings(audio, how.beams),
        reading=how.reading,
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
        "problems": _missed(kbps, how.rate.kbps, "kbit/s") + _missed(bpp, how.rate.bpp, "bits per pixel"),
        "shown": f"{done.seconds:.1f} s -> {done.size} bytes, {kbps:.2f} kbit/s",
    }


def _missed(got: float, wanted: float | None, unit: str) -> list[str]:
    """A warning where a rate could not be reached."""
    if wanted is None or abs(got / wanted - 1) <= 0.05:
        return []
    return [f"{wanted:g} {unit} not reached: {got:.3g}"]


@click.command()
@click.argument("source", type=Path_)
@click.argument("target", type=Path_, required=False)
@click.option("--model", "models", multiple=True, help="Folder of the model, if it does not ship with the package.")
@click.option("--n-q", type=click.IntRange(1), help="Use at most this many levels.")
@click.option(
    "--sample-rate", type=click.IntRange(1000, 768000), help="Of an audio file, in Hz.  [default: the model's]"
)
@click.option("--format", "suffix", help="File format if TARGET has no suffix.  [default: wav, png, mp4]")
@click.option("--salvage", is_flag=True, help="Decode the intact blocks of a damaged file.")
@click.option("--overwrite", is_flag=True, help="Replace existing files.")
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
    """Decode SOURCE, a .josie file, to TARGET, an audio, image or video file; the suffix is the format.

    Audio: WAV, FLAC, OGG, Opus, MP3, M4A ...; images: PNG, JPEG, WebP ...; video: MP4, MOV, and MKV without loss.
    SOURCE may be a folder. "-" is standard input or output. Without TARGET the file is written beside SOURCE.
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

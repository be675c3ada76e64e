"""`encode` and `decode`: one file, a stream, or a whole folder, of sound, pictures or video."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .jobs import Models, Output, check_source, plan, run
from .options import Path_, chosen_levels, common, use_device

if TYPE_CHECKING:
    from josiecodec import Rate

Work = dict[str, Any]


@click.command()
@click.argument("source", type=Path_)
@click.argument("target", type=Path_, required=False)
@click.option("--model", "models", multiple=True, help="Name of a model, or its folder; one for each kind of stream.")
@click.option("--n-q", type=click.IntRange(1), help="Levels to keep: more of them, better quality.")
@click.option("--kbps", type=click.FloatRange(0, min_open=True), help="Bitrate of sound or video instead.")
@click.option("--bpp", type=click.FloatRange(0, min_open=True), help="Bits per pixel of pictures or video instead.")
@click.option("--no-sound", is_flag=True, help="Leave out the sound of videos.")
@click.option("--overwrite", is_flag=True, help="Replace files that are there.")
@common
def encode(
    source: Path,
    target: Path | None,
    models: tuple[str, ...],
    n_q: int | None,
    kbps: float | None,
    bpp: float | None,
    no_sound: bool,
    overwrite: bool,
    device: str,
    threads: int | None,
    as_json: bool,
) -> int:
    """Encode SOURCE, a recording, picture or video of any kind, to TARGET, a .josie file.

    SOURCE may be a folder: every media file below it is encoded to the same place below TARGET.
    "-" is standard input or output (of sound). Without TARGET the file goes beside SOURCE.
    """
    check_source(source)
    from josiecodec.coding.video import MEDIA_SUFFIXES, kind_of
    from josiecodec.media.images import IMAGE_SUFFIXES

    if target is None and str(source) == "-":
        raise click.UsageError("standard input needs a TARGET")
    if sum(v is not None for v in (n_q, kbps, bpp)) > 1:
        raise click.UsageError("give only one of --n-q, --kbps and --bpp")
    known = Models(models, use_device(device, threads))
    sighted = known.at_hand("jovio")
    wanted = MEDIA_SUFFIXES if sighted else MEDIA_SUFFIXES - IMAGE_SUFFIXES
    jobs = plan(source, target, lambda _: ".josie", wanted, overwrite)

    def work(start: Path, end: Path, progress: Callable[[float], None]) -> Work:
        kind = "sound" if str(start) == "-" else kind_of(start)
        if kind == "video" and not sighted:
            warnings.warn(f"{start}: its sound alone, there is no model for pictures", stacklevel=1)
            kind = "sound"
        if bpp is not None and kind == "sound":
            raise click.UsageError("--bpp is for pictures and video")
        with Output(end) as out:
            if kind == "sound":
                return _encode_sound(known, start, out, n_q, kbps, progress)
            if kbps is not None and kind == "picture":
                raise click.UsageError("--kbps is for sound and video; pictures take --bpp")
            from josiecodec import Rate

            rate = Rate(n_q, bpp, kbps)
            if kind == "picture":
                return _encode_picture(known, start, out, rate)
            return _encode_video(known, start, out, rate, no_sound, progress)

    return run(jobs, work, as_json)


def _encode_sound(
    models: Models, start: Path, out: Any, n_q: int | None, kbps: float | None, progress: Callable[[float], None]
) -> Work:
    from josiecodec.coding.audio import encode_file

    codec = models.to_encode("jodio")
    levels = chosen_levels(codec, n_q, kbps)
    done = encode_file(codec, start if str(start) == "-" else str(start), out, levels, progress)
    rate = 8 * done.size / done.seconds / 1000 if done.seconds else 0.0
    return {
        "kind": "sound",
        "seconds": round(done.seconds, 3),
        "bytes": done.size,
        "kbps": round(rate, 3),
        "codes_kbps": round(codec.bitrate(levels) / 1000, 4),
        "n_q": levels,
        "shown": f"{done.seconds:.1f} s -> {done.size} bytes, {rate:.2f} kbit/s",
    }


def _encode_picture(models: Models, start: Path, out: Any, rate: Rate) -> Work:
    from josiecodec.coding.image import encode_picture

    done = encode_picture(models.to_encode("jovio"), str(start), out, rate)
    bpp = 8 * done.size / done.pixels
    missed = () if rate.bpp is None else _missed(bpp, rate.bpp, "bits per pixel")
    shown = f"{done.size} bytes, {bpp:.3f} bits per pixel"
    return {"kind": "picture", "bytes": done.size, "bpp": round(bpp, 4), "problems": list(missed), "shown": shown}


def _encode_video(
    models: Models, start: Path, out: Any, rate: Rate, no_sound: bool, progress: Callable[[float], None]
) -> Work:
    from josiecodec.coding.video import encode_video
    from josiecodec.media.video_reader import VideoReader

    with VideoReader(start) as reader:
        silent = no_sound or reader.audio_offset is None
    audio = None if silent else models.to_encode("jodio")
    done = encode_video(models.to_encode("jovio"), audio, str(start), out, rate, None, progress)
    kbps = 8 * done.size / done.seconds / 1000 if done.seconds else 0.0
    bpp = 8 * done.size / max(done.pixels, 1)
    missed: tuple[str, ...] = ()
    if rate.kbps is not None:
        missed = _missed(kbps, rate.kbps, "kbit/s")
    elif rate.bpp is not None:
        missed = _missed(bpp, rate.bpp, "bits per pixel")
    return {
        "kind": "video",
        "seconds": round(done.seconds, 3),
        "bytes": done.size,
        "kbps": round(kbps, 3),
        "bpp": round(bpp, 5),
        "problems": list(missed),
        "shown": f"{done.seconds:.1f} s -> {done.size} bytes, {kbps:.2f} kbit/s",
    }


def _missed(got: float, wanted: float, unit: str) -> tuple[str, ...]:
    """A warning where a rate could not be reached."""
    if abs(got / wanted - 1) <= 0.05:
        return ()
    return (f"{wanted:g} {unit} cannot be reached, it is {got:.3g}",)


@click.command()
@click.argument("source", type=Path_)
@click.argument("target", type=Path_, required=False)
@click.option("--model", "models", multiple=True, help="Folder of a model that did not come with the package.")
@click.option("--n-q", type=click.IntRange(1), help="Use at most so many levels.")
@click.option("--sample-rate", type=click.IntRange(1000, 768000), help="Of a sound file; else the model's.")
@click.option("--format", "suffix", help="Kind of files where TARGET does not say.  [default: wav, png, mp4]")
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
    """Decode SOURCE, a .josie file, to TARGET, a sound, picture or video file whose suffix says the format.

    Sound: WAV, FLAC, OGG, Opus, MP3, M4A ...; pictures: PNG, JPEG, WebP ...; video: MP4, MOV, and MKV without loss.
    SOURCE may be a folder. "-" is standard input or output. Without TARGET the file goes beside SOURCE.
    """
    if target is None and str(source) == "-":
        raise click.UsageError("standard input needs a TARGET")
    if suffix is not None and not suffix.strip(".").isalnum():
        raise click.BadParameter(f"--format takes a kind of file like flac, not {suffix!r}")
    given = None if suffix is None else f".{suffix.strip('.')}"
    jobs = plan(source, target, lambda path: given or _usual_suffix(path), frozenset({".josie"}), overwrite)
    known = Models(models, use_device(device, threads))

    def work(start: Path, end: Path, progress: Callable[[float], None]) -> Work:
        return _decode(known, start, end, n_q, sample_rate, salvage, progress)

    return run(jobs, work, as_json)


def _usual_suffix(path: Path) -> str:
    """What a .josie file is decoded to if nobody says; a damaged one will be refused when its turn comes."""
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
    progress: Callable[[float], None],
) -> Work:
    from josiecodec.bitstream.container import TokenReader
    from josiecodec.coding.audio import decode_file
    from josiecodec.coding.image import decode_picture
    from josiecodec.coding.video import decode_video
    from josiecodec.media.images import IMAGE_SUFFIXES
    from josiecodec.media.video_reader import VIDEO_SUFFIXES
    from josiecodec.media.video_writer import WRITABLE_VIDEO

    data: Any = sys.stdin.buffer.read() if str(start) == "-" else str(start)
    with TokenReader(data) as reader:
        streams = {s.kind: s for s in reversed(reader.streams)}
    kind, sound = end.suffix.lower(), streams.get("audio")
    if "vision" in streams and kind in IMAGE_SUFFIXES:
        done = decode_picture(models.to_decode(streams["vision"]), data, end, n_q, salvage)
    elif "vision" in streams and kind in WRITABLE_VIDEO:
        audio = None if sound is None else models.to_decode(sound)
        done = decode_video(models.to_decode(streams["vision"]), audio, data, end, n_q, salvage, progress)
    elif "vision" in streams and kind in VIDEO_SUFFIXES:
        raise click.UsageError(f"{end.name}: video can be written as {', '.join(sorted(WRITABLE_VIDEO))}")
    elif sound is not None:
        done = decode_file(models.to_decode(sound), data, end, n_q, sample_rate, salvage, progress)
    else:
        raise click.UsageError(f"{start} holds pictures, which {end.name} cannot")
    shown = f"{done.seconds:.1f} s" if done.seconds else f"{done.size} bytes"
    return {"seconds": round(done.seconds, 3), "bytes": done.size, "problems": list(done.problems), "shown": shown}

"""`encode` and `decode`: one file, a stream, or a whole folder, of audio, images or video."""

from __future__ import annotations

import dataclasses
import functools
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .decoding import check_file, decode_one, default_suffix
from .jobs import Manner, Output, announce, run
from .models import Models, check_used, given_kinds
from .options import (
    at_once_option,
    common,
    effort_option,
    manner_options,
    mono_option,
    preview_option,
    quality_option,
    reading_options,
    runtime_option,
    sources_options,
    stereo_option,
    stretch_options,
    threads_of_each,
    tune_option,
    video_options,
)
from .targets import Rules, make_plan

if TYPE_CHECKING:
    from josiecodec import EncoderSettings, Rate
    from josiecodec.media.audio_open import Reading
    from josiecodec.runtime.choose import Runtime
    from josiecodec.settings import Effort, Tune

Work = dict[str, Any]
Progress = Callable[[float], None]


@click.command()
@sources_options
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
@quality_option
@click.option(
    "--beams", type=click.IntRange(1), help="Hypotheses of the beam search: quality for time.  [default: model's]"
)
@click.option("--no-audio", is_flag=True, help="Leave out the audio of videos.")
@stereo_option
@tune_option
@effort_option
@video_options
@reading_options
@manner_options
@runtime_option
@at_once_option
@common
def encode(
    paths: tuple[str, ...],
    output: str | None,
    models: tuple[str, ...],
    n_q: int | None,
    kbps: float | None,
    bpp: float | None,
    psnr: float | None,
    beams: int | None,
    no_audio: bool,
    stereo: bool,
    tune: Tune | None,
    effort: Effort | None,
    key_seconds: float,
    audio_track: int | None,
    normalize: bool,
    salvage: bool,
    overwrite: bool,
    skip_existing: bool,
    dry: bool,
    quiet: bool,
    verbose: bool,
    runtime: Runtime,
    at_once: int,
    device: str,
    threads: int | None,
    as_json: bool,
) -> int:
    """Encode SOURCE, an audio, image or video file of any format, to TARGET, a .josie file.

    SOURCE may be a folder: every media file in it is encoded to the same relative path in TARGET, a folder.
    Several SOURCES need a folder as TARGET, the last argument or -o. "-" is standard input (audio) or output.
    Without TARGET the file is written beside SOURCE.
    Give at most one of --n-q, --kbps, --bpp and --psnr; without any the model's default holds.
    """
    if sum(v is not None for v in (n_q, kbps, bpp, psnr)) > 1:
        raise click.UsageError("give only one of --n-q, --kbps, --bpp and --psnr")
    given = given_kinds(models)
    has_vision = "vision" in given or Models((), device).has("vision")
    what = 'encode makes a .josie file, "-" or a folder of .josie files'

    def wanted() -> frozenset[str]:
        from josiecodec.media.kinds import IMAGE_SUFFIXES, MEDIA_SUFFIXES

        return MEDIA_SUFFIXES if has_vision else MEDIA_SUFFIXES - IMAGE_SUFFIXES

    rules = Rules(lambda _: ".josie", wanted, lambda suffix: suffix == ".josie", what, overwrite, skip_existing)
    planned = make_plan(paths, output, rules)
    for start, _ in planned.jobs:
        if start.suffix.lower() == ".josie":
            raise click.UsageError(f"{start} is a .josie file already; trim makes it smaller")
    manner = Manner(as_json, quiet, verbose, dry)
    if announce(planned, manner):
        return 0
    _check_models(given, [start for start, _ in planned.jobs], paths[0])
    from josiecodec import Rate
    from josiecodec.media.audio_open import Reading

    rate = Rate(n_q, bpp, kbps, psnr=psnr)
    if at_once > 1 and threads is None:
        threads = threads_of_each(at_once)
    _models(models, device, threads, runtime)
    reading = Reading(audio_track, salvage, normalize)
    how = Encoding(models, device, threads, rate, beams, no_audio, reading, key_seconds, stereo, tune, effort, runtime)
    return run(planned, how, manner, isolated=True, at_once=at_once)


def _check_models(given: dict[str, str], starts: list[Path], what: str) -> None:
    """Refuse a model that no file needs, which would leave them all to the default one without a word."""
    if not given:
        return
    from josiecodec.errors import MediaError
    from josiecodec.media.kinds import kind_of

    needed: set[str] = set()
    for start in starts:
        try:
            kind = "audio" if str(start) == "-" else kind_of(start)
        except MediaError:  # told when its turn comes
            return
        needed |= {"audio": {"audio"}, "image": {"vision"}, "video": {"audio", "vision"}}[kind]
        if set(given) <= needed:
            return
    check_used(given, needed, what)


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
    key_seconds: float
    stereo: bool = False
    tune: Tune | None = None
    effort: Effort | None = None
    runtime: Runtime = "auto"

    def __call__(self, start: Path, end: Path, progress: Progress) -> Work:
        from josiecodec.media.kinds import kind_of

        known = _models(self.models, self.device, self.threads, self.runtime)
        kind = "audio" if str(start) == "-" else kind_of(start)
        if kind == "video" and not known.has("vision"):
            warnings.warn(f"{start}: audio only, there is no vision model", stacklevel=1)
            kind = "audio"
        if self.tune is not None and kind == "audio":
            warnings.warn(f"{start}: --tune is for images and videos", stacklevel=1)
        if self.effort is not None and kind != "image":
            warnings.warn(f"{start}: --effort is for images", stacklevel=1)
        with Output(end) as out:
            if kind == "audio":
                return _encode_audio(known, start, out, self, progress)
            if self.stereo:
                what = "; the sound of videos stays mono" if kind == "video" else ""
                warnings.warn(f"{start}: --stereo is for audio files{what}", stacklevel=1)
            if kind == "image":
                return _encode_image(known, start, out, self, progress)
            return _encode_video(known, start, out, self, progress)


@functools.cache
def _models(names: tuple[str, ...], device: str, threads: int | None, runtime: Runtime) -> Models:
    """The models of this process."""
    return Models(names, device, threads, runtime)


def _settings(codec: Any, how: Encoding) -> EncoderSettings | None:
    """Encoder settings of a model with what was asked for; None if they stay."""
    given = {"beams": how.beams, "tune": how.tune, "effort": how.effort}
    asked: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    return dataclasses.replace(codec.settings, **asked) if asked else None


def _encode_audio(models: Models, start: Path, out: Any, how: Encoding, progress: Progress) -> Work:
    from josiecodec.coding.audio import encode_file

    codec = models.to_encode_audio(how.rate)
    settings = _settings(codec, how)
    encode: Any = encode_file
    if how.stereo:
        from josiecodec.coding.audio_stereo import encode_stereo as encode
    done = encode(codec, str(start), out, rate=how.rate, settings=settings, reading=how.reading, progress=progress)
    rate_kbps = how.rate.kbps
    kbps = 8 * done.size / done.seconds / 1000 if done.seconds else 0.0
    by_frame = "up to " if rate_kbps is not None and codec.by_frame and done.n_q == codec.n_q else ""
    problems = []
    if done.full and rate_kbps is not None and kbps <= 0.95 * rate_kbps:
        problems.append(f"{rate_kbps:g} kbit/s not reached: all {done.n_q} levels of the model take {kbps:.3g}")
    return {
        "kind": "audio",
        "seconds": round(done.seconds, 3),
        "bytes": done.size,
        "kbps": round(kbps, 3),
        "problems": problems + _unused(how.rate.n_q, done.n_q) + _mixed(out, stereo=how.stereo),
        "codes_kbps": round(codec.bitrate(done.n_q) / 1000, 4),
        "n_q": done.n_q,
        "shown": f"{done.seconds:.1f} s -> {done.size} bytes, {kbps:.2f} kbit/s, {by_frame}{done.n_q} levels",
    }


def _encode_image(models: Models, start: Path, out: Any, how: Encoding, progress: Progress) -> Work:
    from josiecodec.coding.image import encode_image

    codec = models.to_encode_picture()
    settings = _settings(codec, how)
    done = encode_image(codec, str(start), out, rate=how.rate, settings=settings, progress=progress)
    bpp = 8 * done.size / done.pixels
    return {
        "kind": "image",
        "bytes": done.size,
        "bpp": round(bpp, 4),
        "n_q": done.n_q,
        "problems": _missed(bpp, how.rate.bpp, "bits per pixel") + _other_quality(done.psnr, how.rate.psnr),
        **({} if done.psnr is None else {"psnr": round(done.psnr, 3)}),
        "shown": f"{done.size} bytes, {bpp:.3f} bits per pixel" + (f", {done.psnr:.2f} dB" if done.psnr else ""),
    }


def _encode_video(models: Models, start: Path, out: Any, how: Encoding, progress: Progress) -> Work:
    from josiecodec.coding.video import encode_video
    from josiecodec.media.video_reader import has_sound

    silent = how.no_audio or not has_sound(start)
    vision, audio = models.to_encode_video(how.rate, start), None if silent else models.to_encode_sound()
    done = encode_video(
        vision,
        audio,
        str(start),
        out,
        rate=how.rate,
        settings=_settings(vision, how),
        audio_settings=None if audio is None else _settings(audio, how),
        reading=how.reading,
        key_seconds=how.key_seconds,
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
        "problems": _missed(kbps, how.rate.kbps, "kbit/s")
        + _missed(bpp, how.rate.bpp, "bits per pixel")
        + _mixed(out, video=True),
        "shown": f"{done.seconds:.1f} s -> {done.size} bytes, {kbps:.2f} kbit/s",
    }


def _mixed(out: Any, video: bool = False, stereo: bool = False) -> list[str]:
    """A warning where channels of the original are not kept."""
    from josiecodec.bitstream.container import TokenReader
    from josiecodec.bitstream.header import AudioInfo, is_image

    with TokenReader(out.getvalue() if hasattr(out, "getvalue") else out, codes=False) as reader:
        channels = max((s.original_channels for s in reader.streams if isinstance(s, AudioInfo)), default=1)
        if channels == 1 or any(map(is_image, reader.streams)):
            return []
    if stereo:
        return ["its two channels are equally loud in all bands, and kept as one"] if channels == 2 else []
    hint = "the sound of videos is mono" if video else "--stereo keeps two" if channels == 2 else "the codec is mono"
    return [f"its {channels} channels are mixed to one; {hint}"]


def _unused(asked: int | None, got: int | None) -> list[str]:
    """A warning where levels were asked for that no decoder would use."""
    return [f"{got} levels, not {asked}: so few of the waveform are not used"] if asked not in (None, got) else []


def _missed(got: float, wanted: float | None, unit: str) -> list[str]:
    """A warning where a rate could not be reached."""
    if wanted is None or abs(got / wanted - 1) <= 0.05:
        return []
    return [f"{wanted:g} {unit} not reached: {got:.3g}"]


def _other_quality(got: float | None, wanted: float | None) -> list[str]:
    """A warning where a PSNR could not be reached."""
    if got is None or wanted is None or abs(got - wanted) <= 0.2:
        return []
    return [f"{wanted:g} dB not to be had: {got:.2f} is the nearest"]


@click.command()
@sources_options
@click.option("--model", "models", multiple=True, help="Folder of the model, if it does not ship with the package.")
@click.option("--n-q", type=click.IntRange(1), help="Use at most this many levels.")
@click.option(
    "--sample-rate", type=click.IntRange(1000, 768000), help="Of an audio file, in Hz.  [default: the model's]"
)
@click.option("--format", "suffix", help="File format if TARGET has no suffix.  [default: wav, png, mp4]")
@click.option("--salvage", is_flag=True, help="Decode the intact blocks of a damaged file.")
@mono_option
@preview_option
@stretch_options
@manner_options
@runtime_option
@common
def decode(
    paths: tuple[str, ...],
    output: str | None,
    models: tuple[str, ...],
    n_q: int | None,
    sample_rate: int | None,
    suffix: str | None,
    salvage: bool,
    mono: bool,
    size: tuple[int, int] | None,
    begin: float,
    seconds: float | None,
    overwrite: bool,
    skip_existing: bool,
    dry: bool,
    quiet: bool,
    verbose: bool,
    runtime: Runtime,
    device: str,
    threads: int | None,
    as_json: bool,
) -> int:
    """Decode SOURCE, a .josie file, to TARGET, an audio, image or video file; the suffix is the format.

    Audio: WAV, FLAC, OGG, Opus, MP3, M4A ...; images: PNG, JPEG, WebP ...; video: MP4, MOV, and MKV without loss.
    SOURCE may be a folder, or several files with a folder as TARGET, the last argument or -o. "-" is standard input
    or output. Without TARGET the file is written beside SOURCE.
    """
    if suffix is not None and not suffix.strip(".").isalnum():
        raise click.BadParameter(f"--format takes a suffix like flac, not {suffix!r}")
    ending = None if suffix is None else f".{suffix.strip('.')}"
    given = given_kinds(models)
    rules = Rules(
        lambda path: ending or default_suffix(path),
        lambda: frozenset({".josie"}),
        lambda suffix: suffix not in ("", ".josie"),
        'decode makes a media file, whose suffix is its format, "-" or a folder of such files',
        overwrite,
        skip_existing,
        media=True,
    )
    planned = make_plan(paths, output, rules)
    manner = Manner(as_json, quiet, verbose, dry)
    if announce(planned, manner):
        return 0
    if len(planned.jobs) == 1 and str(planned.jobs[0][0]) != "-":
        check_file(planned.jobs[0][0], given, models)
    known = Models(models, device, threads, runtime)

    def work(start: Path, end: Path, progress: Progress) -> Work:
        return decode_one(known, start, end, n_q, sample_rate, salvage, progress, (begin, seconds), mono, size)

    return run(planned, work, manner)

"""From file to file: any audio, image or video to a `.josie` file, and back.

import josiecodec

josiecodec.encode_file("talk.wav", "talk.josie", kbps=2.5)
josiecodec.decode_file("talk.josie", "back.wav")

Where torch is not installed, the models of the package run on onnxruntime.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from .bitstream.container import TokenReader
from .bitstream.header import StreamInfo, VisionInfo, find_stream
from .coding import audio, audio_stereo, image
from .coding.audio_piece import AudioPiece
from .coding.result import Progress, Result
from .coding.stretch import Stretch, seekable
from .errors import CodecError, MediaError, ModelError
from .media.kinds import IMAGE_SUFFIXES, VIDEO_SUFFIXES, kind_of
from .runtime.choose import has_torch
from .settings import EncoderSettings, Rate, asked_rate
from .shipped import find_fingerprint

if TYPE_CHECKING:
    from torch import Tensor

    from .coding.codec import TokenCodec
    from .coding.jodio import Jodio

SUFFIX = ".josie"
MONO_VIDEO = "; the sound of videos stays mono"
DEFAULTS = {"audio": "jodio-24k-v4", "vision": "jovio-16-v7"}


def encode_file(
    source: str | Path,
    target: str | Path | None = None,
    *,
    n_q: int | None = None,
    kbps: float | None = None,
    bpp: float | None = None,
    rate: Rate | None = None,
    settings: EncoderSettings | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
    codecs: Sequence[TokenCodec] = (),
    stereo: bool = False,
) -> Result:
    """Encode an audio, image or video file to a `.josie` file, in bounded memory.

    Args:
        source: the media file; what is in it decides what it is.
        target: the `.josie` file, or a folder for it; None for the name of `source` with the suffix `.josie`.
        n_q: number of levels, the same in all frames or patches.
        kbps: of audio and video, thousands of bits per second of the whole file.
        bpp: of images and video, bits per pixel (and picture) of the whole file.
        rate: any of these as a `Rate`; without one the model's default holds.
        settings: of the encoder; None for those of the model.
        overwrite: replace `target` if it exists.
        progress: is told the share that is done, now and then.
        codecs: models to use, at most one for audio and one for vision; else those of the package. With a model for
            audio alone a video gives its audio.
        stereo: keep where sounds are in an audio file of two channels; `n_q` is of their mix, `kbps` of the whole file.
            Sound of videos stays mono, with a warning.

    Returns:
        what became of it; `target` has its name only when it is complete.

    Raises:
        CodecError: if `target` exists, is no `.josie` file or lies in no folder, or if the rate cannot be kept.
        MediaError: if `source` cannot be read.
        ModelError: if the models given cannot encode it.
    """
    source = Path(source)
    if not source.is_file():
        raise MediaError(f"{source}: {'a folder, not a file' if source.is_dir() else 'no such file'}")
    target = _target(source, target, SUFFIX, overwrite)
    if target.suffix.lower() != SUFFIX:
        raise CodecError(f"{target}: encoded files are called {target.with_suffix(SUFFIX).name}")
    rate = asked_rate(rate, kbps, bpp)
    given = _by_kind(codecs)
    kind = kind_of(source)
    if kind == "video" and given and "vision" not in given:
        kind = "audio"
    if kind == "audio":
        encode = audio_stereo.encode_stereo if stereo else audio.encode_file
        done = encode(_audio_model(given, source), source, target, n_q, rate=rate, settings=settings, progress=progress)
        wanted = rate.kbps if rate is not None else None
        got = 8 * done.size / done.seconds / 1000 if done.seconds else 0.0
        if wanted is not None and got < wanted / 1.2 and done.full:
            warnings.warn(f"{source}: {got:.2f} kbit/s is all that the model can use, not {wanted:g}", stacklevel=2)
        return done
    vision = given.get("vision", None) or (_default("vision") if not given else None)
    if vision is None:
        raise ModelError(f"{source}: {kind} needs a model of vision, not {next(iter(given.values()))!r}")
    if stereo:
        warnings.warn(f"{source}: stereo is for audio files{MONO_VIDEO if kind == 'video' else ''}", stacklevel=2)
    if kind == "image":
        return image.encode_image(vision, source, target, n_q, rate=rate, settings=settings, progress=progress)
    from .coding import video
    from .media.video_reader import VideoReader

    with VideoReader(source) as reader:
        silent = reader.audio_offset is None
    track = None if silent else given.get("audio") or _default("audio")
    return video.encode_video(vision, track, source, target, n_q, rate=rate, settings=settings, progress=progress)


def decode_file(
    source: str | Path,
    target: str | Path | None = None,
    *,
    n_q: int | None = None,
    sample_rate: int | None = None,
    salvage: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
    codecs: Sequence[TokenCodec] = (),
    mono: bool = False,
    start: float = 0.0,
    seconds: float | None = None,
    size: int | tuple[int, int] | None = None,
) -> Result:
    """Decode a `.josie` file to an audio, image or video file.

    Args:
        source: the `.josie` file.
        target: the media file, whose suffix says the format, or a folder for it; None for the name of `source` with
            the suffix .wav, .png or .mp4.
        n_q: use at most so many levels.
        sample_rate: of an audio file, in Hz; None for the model's.
        salvage: make do with what is whole in a damaged file, see `Result.problems`.
        overwrite: replace `target` if it exists.
        progress: is told the share that is done, now and then.
        codecs: models that made the file; else those of the package.
        mono: of a stereo recording, decode the mix of both channels.
        start, seconds: the piece of sound or video that is wanted, in seconds; None for all from `start` on. An image
            is the picture of a video at `start`. No more of the file is read than that takes, see `docs/cli.md`.
        size: of an image file, a preview: its longest side in pixels, or width and height of the box that it has to fit
            in; of a video its first picture.

    Returns:
        what became of it; `target` has its name only when it is complete.

    Raises:
        CodecError: if `target` exists or lies in no folder, or if the piece begins behind the end.
        FormatError: if the file is damaged (and not to be salvaged), or no `.josie` file.
        ModelError: if its model is not at hand.
        MediaError: if `target` cannot be written.
    """
    source, stretch = Path(source), Stretch(start, seconds)
    if not source.is_file():
        raise MediaError(f"{source}: {'a folder, not a file' if source.is_dir() else 'no such file'}")
    with TokenReader(source) as reader:
        streams = {s.kind: s for s in reversed(reader.streams)}
    pictures, sound = streams.get("vision"), streams.get("audio")
    suffix = ".wav" if not isinstance(pictures, VisionInfo) else ".mp4" if pictures.rate else ".png"
    target = _target(source, target, suffix, overwrite)
    suffix, given = target.suffix.lower(), _by_kind(codecs)
    if pictures is not None and suffix in IMAGE_SUFFIXES:
        return image.decode_image(_maker(given, pictures), source, target, n_q, salvage, size, stretch, progress)
    if size is not None:
        raise CodecError(f"{target}: a preview is an image file")
    if pictures is not None and suffix in VIDEO_SUFFIXES:
        from .coding.video_decoding import decode_video

        track = None if sound is None else _maker(given, sound)
        return decode_video(_maker(given, pictures), track, source, target, n_q, salvage, progress, stretch)
    if sound is None:
        raise MediaError(f"{target}: {source} has no audio, and this is no image or video file")
    codec = _maker(given, sound)
    return audio.decode_file(codec, source, target, n_q, sample_rate, salvage, progress, mono, stretch)


def decode_piece(
    source: str | Path | bytes | IO[bytes],
    start: float = 0.0,
    seconds: float | None = None,
    *,
    kind: str | None = None,
    n_q: int | None = None,
    salvage: bool = False,
    codecs: Sequence[TokenCodec] = (),
    mono: bool = False,
) -> Tensor | np.ndarray:
    """Decode a piece of a recording or video to an array; no more of the file is read than that takes.

    Args:
        source: path, bytes, or a binary file of a `.josie` file.
        start, seconds: where the piece begins and how long it is; None for all from `start` on.
        kind: "audio" or "vision" of a file that has both; None for its pictures.
        n_q: use at most so many levels.
        salvage: make do with what is whole in a damaged file.
        codecs: models that made the file; else those of the package.
        mono: of a stereo recording, decode the mix of both channels.

    Returns:
        samples [1, T], of stereo [2, T], at the rate of the model; or pictures [3, T, H, W] in [0, 1]. A tensor, or an
        array where torch is not installed.

    Raises:
        CodecError: if the piece begins behind the end.
        FormatError: if the file is damaged, no `.josie` file, or has nothing of that kind.
        ModelError: if its model is not at hand.
    """
    stretch, given = Stretch(start, seconds), _by_kind(codecs)
    tables = {fingerprint: t for codec in codecs for fingerprint, t in codec.known_tables.items()}
    with TokenReader(seekable(source), tables) as reader:
        kinds = {s.kind for s in reader.streams}
        index = find_stream(reader.streams, kind or ("vision" if "vision" in kinds else "audio"))
        info = reader.streams[index]
        codec = _maker(given, info)
        reader.tables = codec.known_tables
        if isinstance(info, VisionInfo):
            from .coding.video_piece import VideoPiece

            shown = VideoPiece(codec, reader, index, stretch, n_q, salvage).pictures()
            none = np.zeros((3, 0, info.height, info.width), np.float32)
            found = np.concatenate([none, *(np.asarray(picture)[:, None] for picture in shown)], 1)
        else:
            piece = AudioPiece(codec, reader, index, stretch, n_q, salvage, mono)
            found = np.concatenate([np.zeros((piece.channels, 0), np.float32), *piece.samples()], 1)
    if not has_torch():
        return found
    import torch

    return torch.from_numpy(found)


def _target(source: Path, target: str | Path | None, suffix: str, overwrite: bool) -> Path:
    """Where a file goes.

    Raises:
        CodecError: if something would be replaced unasked, or the folder does not exist.
    """
    path = source.with_suffix(suffix) if target is None else Path(target)
    if path.is_dir():
        path = path / source.with_suffix(suffix).name
    if not path.parent.is_dir():
        raise CodecError(f"{path}: there is no folder {path.parent}")
    if path.exists():
        if path.resolve() == source.resolve():
            raise CodecError(f"{path} is both input and output")
        if not overwrite:
            raise CodecError(f"{path} already exists; overwrite=True replaces it")
    return path


def _by_kind(codecs: Sequence[TokenCodec]) -> dict[str, Any]:
    """Models by what they code.

    Raises:
        ModelError: if there are two of a kind.
    """
    given: dict[str, Any] = {}
    for codec in codecs:
        if codec.kind in given:
            raise ModelError(f"two models of {codec.kind}: {given[codec.kind]!r} and {codec!r}")
        given[codec.kind] = codec
    return given


def _audio_model(given: dict[str, Any], source: Path) -> Jodio:
    if given and "audio" not in given:
        raise ModelError(f"{source}: audio needs a model of audio, not {next(iter(given.values()))!r}")
    return given.get("audio") or _default("audio")


def _maker(given: dict[str, Any], info: StreamInfo) -> Any:
    """The model that made a stream."""
    return given.get(info.kind) or _loaded(str(find_fingerprint(info.fingerprint, info.model)))


def _default(kind: str) -> Any:
    return _loaded(DEFAULTS[kind])


@lru_cache(maxsize=4)
def _loaded(name: str) -> Any:
    """A model of the package; kept, for folders of files are a loop over these functions."""
    if has_torch():
        from .hub.store import load

        return load(name)
    from .runtime.light_models import light_model

    return light_model(name)

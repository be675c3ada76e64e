"""From `.josie` files with videos back to videos: pictures and audio side by side, in step."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import IO

import numpy as np

from ..bitstream.container import TokenReader
from ..bitstream.header import AudioInfo, StreamInfo, find_stream
from ..entropy.tables_file import Tables
from ..errors import FormatError
from ..media.video_writer import VideoWriter
from .ahead import Ahead, pictures_ahead
from .audio_coder import AudioCoder
from .audio_piece import AudioPiece
from .result import Progress, Result
from .sample_decoder import SampleDecoder
from .stretch import PastTheEnd, Stretch, seekable
from .video_decoder import VideoCodec, VideoDecoder
from .video_piece import VideoPiece
from .video_times import ShownTimes, first_block, tick_of

SOUND = 0  # in place of how long a picture is shown
LOST = "{} pictures cannot be decoded and show the one before"


def decode_video(
    vision: VideoCodec,
    audio: AudioCoder | None,
    source: str | Path | bytes | IO[bytes],
    target: str | Path,
    n_q: int | None = None,
    salvage: bool = False,
    progress: Progress | None = None,
    stretch: Stretch | None = None,
) -> Result:
    """Decode a `.josie` file with a video to a video file, block by block.

    Args:
        vision, audio: the models that made it; without `audio` the audio is left out.
        source: the file.
        target: path of the video file, whose suffix says the format.
        n_q: use at most so many levels of the pictures.
        salvage: make do with what is whole in a damaged file: gaps become silence and patches that stand still.
        progress: is told the share that is done, now and then.
        stretch: what of it is wanted; None for all. A video with motion is decoded from the key picture before on.

    Raises:
        CodecError: if the stretch begins behind the end.
        FormatError: if the file is damaged (and not to be salvaged).
        ModelError: if another model made it.
        MediaError: if the video cannot be written.
    """
    stretch = stretch or Stretch()
    if not stretch.whole:
        return _decode_piece(vision, audio, source, target, n_q, salvage, progress, stretch)
    with TokenReader(source, tables_of(vision, audio)) as reader:
        index = find_stream(reader.streams, "vision")
        info = vision.check_stream(reader.streams[index])
        if info.length == 0:
            raise FormatError("no picture in this file")
        if not info.rate:
            raise FormatError("an image, not a video")
        pictures = VideoDecoder(vision, info, n_q, salvage)
        place = _sound_stream(audio, reader.streams)
        track, rate = None, None
        if audio is not None and place is not None:
            track = SampleDecoder(audio, audio.check_stream(reader.streams[place]), None, salvage)
            rate = audio.sample_rate
        blocks = reader.blocks(salvage)
        first, taken = first_block(blocks, index)
        times = ShownTimes(info, tick_of(first), salvage)

        def parts() -> Iterator[tuple[np.ndarray, int]]:
            """Pictures and how long each is shown, and pieces of sound."""
            for block in itertools.chain(taken, blocks):
                if block.stream == index:
                    times.push(block)
                    yield from ((picture, times.duration(pictures.shown - 1)) for picture in pictures.push(block))
                elif track is not None and block.stream == place:
                    yield from ((part, SOUND) for part in track.push(block))
            yield from ((picture, times.duration(pictures.shown - 1)) for picture in pictures.finish())
            if track is not None:
                yield from ((part, SOUND) for part in track.finish())

        with (
            VideoWriter(target, (info.height, info.width), info.rate, rate, times.tick) as writer,
            Ahead(parts(), pictures_ahead(info.height, info.width)) as decoded,
        ):
            for part, duration in decoded:
                if duration == SOUND:
                    writer.write_audio(part)
                    continue
                writer.write(part, duration)
                if progress and info.length:
                    progress(writer.pictures / info.length)
        if pictures.lost:
            reader.problems.append(LOST.format(pictures.lost))
        problems = (*reader.problems, *(track.problems if track is not None else ()))
        return Result(float(writer.seconds), Path(target).stat().st_size, problems)


def _decode_piece(
    vision: VideoCodec,
    audio: AudioCoder | None,
    source: str | Path | bytes | IO[bytes],
    target: str | Path,
    n_q: int | None,
    salvage: bool,
    progress: Progress | None,
    stretch: Stretch,
) -> Result:
    """`decode_video` of a stretch: of pictures and sound no more is read than it needs."""
    with TokenReader(seekable(source), tables_of(vision, audio)) as reader:
        index = find_stream(reader.streams, "vision")
        if reader.streams[index].length == 0:
            raise FormatError("no picture in this file")
        pictures = VideoPiece(vision, reader, index, stretch, n_q, salvage)
        info, piece = pictures.info, pictures.stretch
        place, sound = _sound_stream(audio, reader.streams), None
        if audio is not None and place is not None:
            with contextlib.suppress(PastTheEnd):  # sound that ends before the pictures
                sound = AudioPiece(audio, reader, place, piece, salvage=salvage, mono=True)
        samples = iter(()) if sound is None else sound.samples()
        rate = None if sound is None or audio is None else audio.sample_rate
        with VideoWriter(target, (info.height, info.width), info.rate, rate, pictures.times.tick) as writer:
            for picture, duration in pictures.timed():
                writer.write(picture, duration)
                if rate is not None:
                    _write_sound(writer, samples, writer.seconds * rate)
                if progress and piece.seconds:
                    progress(min(float(writer.seconds) / piece.seconds, 1.0))
            _write_sound(writer, samples, None)
        if pictures.decoder.lost:
            reader.problems.append(LOST.format(pictures.decoder.lost))
        found = (*reader.problems, *(() if sound is None else sound.problems))
        problems = tuple(dict.fromkeys(found))  # blocks may have been looked at twice
        return Result(float(writer.seconds), Path(target).stat().st_size, problems)


def _write_sound(writer: VideoWriter, samples: Iterator[np.ndarray], until: Fraction | None) -> None:
    """Write sound up to so many samples, or all of it."""
    while until is None or writer.samples < until:
        part = next(samples, None)
        if part is None:
            return
        writer.write_audio(part[0])


def _sound_stream(audio: AudioCoder | None, streams: list[StreamInfo]) -> int | None:
    """Index of the first stream of sound, if it is wanted."""
    return next((i for i, info in enumerate(streams) if isinstance(info, AudioInfo) and audio is not None), None)


def tables_of(vision: VideoCodec, audio: AudioCoder | None) -> Tables:
    """Entropy tables of both models."""
    found: Tables = vision.known_tables | ({} if audio is None else audio.known_tables)
    return found

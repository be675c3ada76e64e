"""From videos to `.josie` files and back: pictures and audio of one file side by side, in step.

pictures -> windows of groups -> rows of patches -+-> blocks of the file, in the order of their times
audio    -> frames            -> codes -----------+
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import IO

import numpy as np
import torch
from torch import Tensor

from ..bitstream.container import TokenReader, TokenWriter
from ..bitstream.header import AudioInfo, StreamInfo, find_stream
from ..bitstream.motion_payload import MotionRows
from ..bitstream.patch_payload import PatchRows
from ..entropy.tables_file import Tables
from ..errors import FormatError
from ..media.audio_reader import AudioReader, Reading
from ..media.video_reader import VideoReader
from ..media.video_sound import FilmSound
from ..media.video_writer import VideoWriter
from ..settings import EncoderSettings, Rate, fitting_rate
from .audio import Marker, encode_blocks, normalizing_gain
from .audio_decoder import BlockDecoder
from .audio_piece import AudioPiece
from .heap import return_freed
from .jodio import Jodio
from .jovio import Jovio
from .motion_codec import KEY_SECONDS, VideoDecoder, moves, video_encoder
from .motion_encoder import MotionEncoder
from .result import Progress, Result
from .stretch import PastTheEnd, Stretch, seekable
from .video_piece import VideoPiece
from .video_times import ShownTimes, TimesOfPictures, first_block, tick_of
from .vision_encoder import END_BYTES, GroupEncoder, put

DURATION_BYTES = 1.5  # that the duration of a picture takes, about
LOST = "{} pictures cannot be decoded and show the one before"


def encode_video(
    vision: Jovio,
    audio: Jodio | None,
    source: str | Path,
    target: str | Path | IO[bytes],
    n_q: int | None = None,
    *,
    rate: Rate | None = None,
    settings: EncoderSettings | None = None,
    audio_n_q: int | None = None,
    audio_settings: EncoderSettings | None = None,
    reading: Reading | None = None,
    key_seconds: float = KEY_SECONDS,
    progress: Progress | None = None,
) -> Result:
    """Encode a video file, with its audio, to a `.josie` file, window by window in bounded memory.

    Args:
        vision: the model for the pictures.
        audio: the model for the audio; None leaves it out.
        source: path of the video.
        target: path of the `.josie` file, or a seekable binary file.
        n_q: levels of every patch; None for as many as each is worth, by `rate` or by lambda of the settings.
        rate: what the file may take, audio and all, in place of `n_q`.
        settings: of the encoder of the pictures; None for those of the model.
        audio_n_q: levels of the audio; None for those of its settings.
        audio_settings: of the encoder of the audio; None for those of its model.
        reading: how the audio is read: which track, whether to salvage, whether to scale it to full scale.
        key_seconds: after which a picture that needs no other comes at the latest, where a file can be entered.
        progress: is told the share that is done, now and then.

    Raises:
        CodecError: if both `n_q` and `rate` are given.
        MediaError: if the video cannot be read. Nothing is left at `target` then.
        FormatError: if `target` cannot be written.
    """
    rate = fitting_rate("video", n_q, rate)
    with _opened(vision, source, reading, rate) as reader:
        per_second, times = reader.rate, None if reader.tick is None else TimesOfPictures(reader.tick)
        pictures = video_encoder(vision, rate, reader.size, per_second, settings=settings, key_seconds=key_seconds)
        info = vision.stream_info(reader.size, pictures.levels, None, per_second, pictures.group)
        streams: list[StreamInfo] = [info]
        track = None
        if audio is not None and reader.sound is not None:
            levels = audio.levels(audio_n_q, audio_settings)
            gain = normalizing_gain(lambda: AudioReader(source, reading)) if reading and reading.normalize else 1.0
            track = _AudioTrack(audio, reader.sound, levels, audio_settings, reader.audio_offset or 0.0, gain)
            streams.append(track.info)
        with TokenWriter(target, streams, _tables(vision, audio)) as writer:
            pictures.overhead = 8 * (writer.size + END_BYTES)
            for done in _encoded(reader, pictures, times):
                put(writer, 0, done)
                if done:  # a window
                    return_freed()
                seconds = float(pictures.taken / per_second) if times is None else times.seconds
                if track is not None and not pictures.waiting:
                    pictures.overhead += track.encode(writer, seconds)
                if progress and reader.expected:  # pictures that wait are read, and hardly anything is done with them
                    progress(min((pictures.taken - pictures.waiting) / reader.expected, 1.0))
            if track is not None:  # before the last window, whose budget it comes out of
                pictures.overhead += track.encode(writer, None)
            last = pictures.finish()
            put(writer, 0, last if times is None else times.put(_moving(last)))
            writer.close([pictures.taken] + ([] if track is None else [track.length]))
            pixels = pictures.taken * reader.size[0] * reader.size[1]
            seconds = float(pictures.taken / per_second) if times is None else times.seconds
            return Result(seconds, writer.size, pixels=pixels, n_q=rate.n_q)


def _opened(vision: Jovio, source: str | Path, reading: Reading | None, rate: Rate) -> VideoReader:
    """A video whose times are kept if it is coded with motion."""
    if rate.n_q is None:
        reader = VideoReader(source, reading, keep_times=True)
        if reader.tick is None or moves(vision, rate, reader.size):
            return reader
        reader.close()
    return VideoReader(source, reading)


def _encoded(
    reader: VideoReader, encoder: MotionEncoder | GroupEncoder, times: TimesOfPictures | None
) -> Iterator[Sequence[PatchRows | MotionRows]]:
    """What an encoder gives for each picture."""
    if times is None:
        for picture in reader.pictures():
            yield encoder.add(picture)
        return
    assert isinstance(encoder, MotionEncoder)
    for picture, duration in reader.timed():
        encoder.overhead += 8 * DURATION_BYTES
        yield times.put(encoder.add(picture, times.add(duration)))


def _moving(parts: Sequence[PatchRows | MotionRows]) -> list[MotionRows]:
    return [part for part in parts if isinstance(part, MotionRows)]


def _tables(vision: Jovio, audio: Jodio | None) -> Tables:
    return vision.known_tables | ({} if audio is None else audio.known_tables)


class _AudioTrack:
    """The audio of a video, encoded as far as the pictures have come."""

    def __init__(
        self,
        codec: Jodio,
        sound: FilmSound,
        n_q: int,
        settings: EncoderSettings | None,
        offset: float,
        gain: float,
    ):
        self.codec = codec
        self.info: AudioInfo = codec.stream_info(n_q, None, sound.sample_rate, min(sound.channels, 65535))
        shifted = _shifted(sound.mono(codec.sample_rate, gain), round(offset * codec.sample_rate))
        self._marks: list[tuple[int, int | None]] = []
        self._blocks = encode_blocks(codec, shifted, n_q, settings, lambda *mark: self._marks.append(mark))
        self.length = 0  # samples
        self._done = False

    def encode(self, writer: TokenWriter, until: float | None) -> float:
        """Write the codes up to a time in seconds (None: all); returns how many bits they take."""
        before = writer.size
        while not self._done and (until is None or self.length < until * self.codec.sample_rate):
            block = next(self._blocks, None)
            if block is None:
                self._done = True
                break
            self.length += block[0]
            for mark in self._marks:
                Marker(self.codec, writer, 1)(*mark)
            self._marks.clear()
            writer.add(1, block[1])
        return 8.0 * (writer.size - before)


def _shifted(blocks: Iterator[Tensor], samples: int) -> Iterator[Tensor]:
    """The same audio starting so many samples later (silence before it), or earlier (its beginning left out)."""
    while samples > 0:
        silence = min(samples, 1 << 16)
        samples -= silence
        yield torch.zeros(silence)
    for block in blocks:
        left_out = min(max(-samples, 0), len(block))
        samples += left_out
        yield block[left_out:]


def decode_video(
    vision: Jovio,
    audio: Jodio | None,
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
    with TokenReader(source, _tables(vision, audio)) as reader:
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
            track = BlockDecoder(audio, audio.check_stream(reader.streams[place]), None, salvage)
            rate = audio.sample_rate
        blocks = reader.blocks(salvage)
        first, taken = first_block(blocks, index)
        times = ShownTimes(info, tick_of(first), salvage)
        with VideoWriter(target, (info.height, info.width), info.rate, rate, times.tick) as writer:
            for block in itertools.chain(taken, blocks):
                if block.stream == index:
                    times.push(block)
                    for picture in pictures.push(block):
                        writer.write(picture, times.duration(pictures.shown - 1))
                    if progress and info.length:
                        progress(pictures.shown / info.length)
                elif track is not None and block.stream == place:
                    for part in track.push(block):
                        writer.write_audio(part)
            for picture in pictures.finish():
                writer.write(picture, times.duration(pictures.shown - 1))
            if track is not None:
                for part in track.finish():
                    writer.write_audio(part)
        if pictures.lost:
            reader.problems.append(LOST.format(pictures.lost))
        problems = (*reader.problems, *(track.problems if track is not None else ()))
        return Result(float(writer.seconds), Path(target).stat().st_size, problems)


def _decode_piece(
    vision: Jovio,
    audio: Jodio | None,
    source: str | Path | bytes | IO[bytes],
    target: str | Path,
    n_q: int | None,
    salvage: bool,
    progress: Progress | None,
    stretch: Stretch,
) -> Result:
    """`decode_video` of a stretch: of pictures and sound no more is read than it needs."""
    with TokenReader(seekable(source), _tables(vision, audio)) as reader:
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
        writer.write_audio(torch.from_numpy(part[0]))


def _sound_stream(audio: Jodio | None, streams: list[StreamInfo]) -> int | None:
    """Index of the first stream of sound, if it is wanted."""
    return next((i for i, info in enumerate(streams) if isinstance(info, AudioInfo) and audio is not None), None)

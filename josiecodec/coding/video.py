"""From videos to `.josie` files and back: pictures and audio of one file side by side, in step.

pictures -> windows of groups -> rows of patches -+-> blocks of the file, in the order of their times
audio    -> frames            -> codes -----------+
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import IO

import torch
from torch import Tensor

from ..bitstream.container import TokenReader, TokenWriter
from ..bitstream.header import AudioInfo, StreamInfo, find_stream
from ..entropy.tables_file import Tables
from ..errors import FormatError
from ..media.audio_reader import AudioReader, Reading
from ..media.video_reader import VideoReader
from ..media.video_sound import FilmSound
from ..media.video_writer import VideoWriter
from ..settings import EncoderSettings, Rate, fitting_rate
from .audio import encode_blocks, normalizing_gain
from .audio_decoder import BlockDecoder
from .jodio import Jodio
from .jovio import Jovio
from .motion_codec import KEY_SECONDS, VideoDecoder, video_encoder
from .result import Progress, Result
from .video_stretch import Stretch, entry
from .vision_encoder import END_BYTES, put


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
    with VideoReader(source, reading) as reader:
        per_second = reader.rate
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
            for picture in reader.pictures():
                put(writer, 0, pictures.add(picture))
                if track is not None and not pictures.waiting:
                    pictures.overhead += track.encode(writer, float(pictures.taken / per_second))
                if progress and reader.expected:  # pictures that wait are read, and hardly anything is done with them
                    progress(min((pictures.taken - pictures.waiting) / reader.expected, 1.0))
            if track is not None:  # before the last window, whose budget it comes out of
                pictures.overhead += track.encode(writer, None)
            put(writer, 0, pictures.finish())
            writer.close([pictures.taken] + ([] if track is None else [track.length]))
            pixels = pictures.taken * reader.size[0] * reader.size[1]
            return Result(float(pictures.taken / per_second), writer.size, pixels=pixels, n_q=rate.n_q)


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
        self._blocks = encode_blocks(codec, shifted, n_q, settings)
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
    if not stretch.whole and not isinstance(source, (str, Path, bytes)):
        source = source.read()  # it is gone through twice
    with TokenReader(source, _tables(vision, audio)) as reader:
        index = find_stream(reader.streams, "vision")
        info = vision.check_stream(reader.streams[index])
        if info.length == 0:
            raise FormatError("no picture in this file")
        if not info.rate:
            raise FormatError("an image, not a video")
        first, last = stretch.pictures(info)
        begin = entry(source, index, first, salvage) if first else 0
        pictures = VideoDecoder(vision, info, n_q, salvage, first)
        track = _sound_decoder(audio, reader.streams, salvage)
        rate = audio.sample_rate if audio is not None and track is not None else None
        with VideoWriter(target, (info.height, info.width), info.rate, rate) as writer:
            written = _Written(writer, first, last)
            for block in reader.blocks(salvage):
                if block.stream == index and block.first >= begin and pictures.shown < last:
                    written.pictures(pictures, pictures.push(block))
                    if progress and info.length:
                        progress(pictures.shown / info.length)
                elif track is not None and block.stream == track[0]:
                    written.sound(stretch, track[1].push(block), rate or 1)
            if pictures.shown < last:
                written.pictures(pictures, pictures.finish())
            if track is not None:
                written.sound(stretch, track[1].finish(), rate or 1)
        if pictures.lost:
            reader.problems.append(f"{pictures.lost} pictures cannot be decoded and show the one before")
        problems = (*reader.problems, *(track[1].problems if track is not None else ()))
        return Result(float(written.count / info.rate), Path(target).stat().st_size, problems)


class _Written:
    """What was written to a video file."""

    def __init__(self, writer: VideoWriter, first: int, last: float):
        self.writer, self.first, self.last = writer, first, last
        self.count = 0  # pictures
        self._samples = 0  # of sound that were decoded

    def pictures(self, decoder: VideoDecoder, pictures: Iterator[Tensor]) -> None:
        """Write those of the stretch."""
        for picture in pictures:
            if self.first < decoder.shown <= self.last:  # it has been counted
                self.writer.write(picture)
                self.count += 1

    def sound(self, stretch: Stretch, parts: Iterator[Tensor], sample_rate: int) -> None:
        """Write the samples of the stretch."""
        for part in parts:
            for kept in stretch.kept(iter([part]), self._samples, sample_rate):
                self.writer.write_audio(kept)
            self._samples += part.shape[-1]


def _sound_decoder(audio: Jodio | None, streams: list[StreamInfo], salvage: bool) -> tuple[int, BlockDecoder] | None:
    """The first stream of sound and what decodes it."""
    for i, info in enumerate(streams):
        if isinstance(info, AudioInfo) and audio is not None:
            return i, BlockDecoder(audio, audio.check_stream(info), None, salvage)
    return None

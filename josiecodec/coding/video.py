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
from .audio import BlockDecoder, encode_blocks, normalizing_gain
from .codec import Progress, Result
from .jodio import Jodio
from .jovio import Jovio
from .vision_decoder import GroupDecoder
from .vision_encoder import END_BYTES, GroupEncoder


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
        progress: is told the share that is done, now and then.

    Raises:
        CodecError: if both `n_q` and `rate` are given.
        MediaError: if the video cannot be read. Nothing is left at `target` then.
        FormatError: if `target` cannot be written.
    """
    rate = fitting_rate("video", n_q, rate)
    with VideoReader(source, reading) as reader:
        per_second = reader.rate
        pictures = GroupEncoder(vision, rate, reader.size, per_second, settings=settings, tables=vision.tables)
        streams: list[StreamInfo] = [vision.stream_info(reader.size, pictures.levels, None, per_second)]
        track = None
        if audio is not None and reader.sound is not None:
            levels = audio.levels(audio_n_q, audio_settings)
            gain = normalizing_gain(lambda: AudioReader(source, reading)) if reading and reading.normalize else 1.0
            track = _AudioTrack(audio, reader.sound, levels, audio_settings, reader.audio_offset or 0.0, gain)
            streams.append(track.info)
        with TokenWriter(target, streams, _tables(vision, audio)) as writer:
            pictures.overhead = 8 * (writer.size + END_BYTES)
            for picture in reader.pictures():
                for rows in pictures.add(picture):
                    writer.add_rows(0, rows)
                if track is not None and not pictures.waiting:
                    pictures.overhead += track.encode(writer, float(pictures.taken / per_second))
                if progress and reader.expected:
                    progress(min(pictures.taken / reader.expected, 1.0))
            if track is not None:  # before the last window, whose budget it comes out of
                pictures.overhead += track.encode(writer, None)
            for rows in pictures.finish():
                writer.add_rows(0, rows)
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
) -> Result:
    """Decode a `.josie` file with a video to a video file, block by block.

    Args:
        vision, audio: the models that made it; without `audio` the audio is left out.
        source: the file.
        target: path of the video file, whose suffix says the format.
        n_q: use at most so many levels of the pictures.
        salvage: make do with what is whole in a damaged file: gaps become silence and patches that stand still.
        progress: is told the share that is done, now and then.

    Raises:
        FormatError: if the file is damaged (and not to be salvaged).
        ModelError: if another model made it.
        MediaError: if the video cannot be written.
    """
    with TokenReader(source, _tables(vision, audio)) as reader:
        pictures, track = _decoders(vision, audio, reader.streams, n_q, salvage)
        info = pictures[1].info
        rate = audio.sample_rate if audio is not None and track is not None else None
        if info.length == 0:
            raise FormatError("no picture in this file")
        with VideoWriter(target, (info.height, info.width), info.rate, rate) as writer:
            for block in reader.blocks(salvage):
                if block.stream == pictures[0]:
                    for picture in pictures[1].push(block):
                        writer.write(picture)
                    if progress and info.length:
                        progress(pictures[1].shown / info.length)
                elif track is not None and block.stream == track[0]:
                    for part in track[1].push(block):
                        writer.write_audio(part)
            for picture in pictures[1].finish():
                writer.write(picture)
            for part in track[1].finish() if track is not None else ():
                writer.write_audio(part)
        seconds = float(pictures[1].shown / info.rate) if info.rate else 0.0
        problems = (*reader.problems, *(track[1].problems if track is not None else ()))
        return Result(seconds, Path(target).stat().st_size, problems)


def _decoders(
    vision: Jovio, audio: Jodio | None, streams: list[StreamInfo], n_q: int | None, salvage: bool
) -> tuple[tuple[int, GroupDecoder], tuple[int, BlockDecoder] | None]:
    """The first stream of each kind and what decodes it."""
    index = find_stream(streams, "vision")
    pictures = (index, GroupDecoder(vision, vision.check_stream(streams[index]), n_q, salvage))
    for i, info in enumerate(streams):
        if isinstance(info, AudioInfo) and audio is not None:
            return pictures, (i, BlockDecoder(audio, audio.check_stream(info), None, salvage))
    return pictures, None

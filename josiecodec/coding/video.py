"""From videos to `.josie` files and back: pictures and sound of one file side by side, in step.

pictures -> windows of groups -> rows of patches -+-> blocks of the file, in the order of their times
sound    -> frames            -> codes -----------+
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import torch
from torch import Tensor

from ..bitstream.container import TokenReader, TokenWriter
from ..bitstream.header import AudioInfo, StreamInfo, find_stream
from ..entropy.tables_file import Tables
from ..errors import FormatError
from ..media.audio_reader import AUDIO_SUFFIXES, AudioReader
from ..media.images import IMAGE_SUFFIXES
from ..media.video_reader import VIDEO_SUFFIXES, VideoReader, holds_video
from ..media.video_writer import VideoWriter
from ..settings import Rate
from .audio import BlockDecoder, encode_blocks
from .codec import Progress, Result
from .groups import END_BYTES, GroupDecoder, GroupWriter
from .jodio import Jodio
from .jovio import Jovio

LATEST_SOUND = 60.0  # seconds after the first picture
MEDIA_SUFFIXES = AUDIO_SUFFIXES | IMAGE_SUFFIXES | VIDEO_SUFFIXES


def kind_of(path: str | Path) -> str:
    """What a media file is: "sound", "picture" or "video".

    The suffix decides, and for files that can be of more than one kind what is in them.

    Raises:
        MediaError: if the file has to be opened and is no media file.
    """
    suffix = Path(path).suffix.lower()
    if suffix in IMAGE_SUFFIXES:
        return "picture"
    if suffix in AUDIO_SUFFIXES or suffix not in VIDEO_SUFFIXES or not Path(path).is_file():
        return "sound"
    return "video" if holds_video(path) else "sound"


def encode_video(
    visual: Jovio,
    audio: Jodio | None,
    source: str | Path,
    target: str | Path | IO[bytes],
    rate: Rate | None = None,
    audio_n_q: int | None = None,
    progress: Progress | None = None,
) -> Result:
    """Encode a video file, with its sound, to a `.josie` file, window by window in bounded memory.

    Args:
        visual: the model for the pictures.
        audio: the model for the sound; None leaves sound out.
        source: path of the video.
        target: path of the `.josie` file, or a seekable binary file.
        rate: what the file may take, sound and all; None for the quality that the model's configuration names.
        audio_n_q: levels of the sound; None for its model's default.
        progress: is told the share that is done, now and then.

    Raises:
        MediaError: if the video cannot be read. Nothing is left at `target` then.
        FormatError: if `target` cannot be written.
    """
    with VideoReader(source) as reader:
        per_second = reader.rate
        pictures = GroupWriter(visual, rate or Rate(), reader.size, per_second)
        streams: list[StreamInfo] = [visual.stream_info(reader.size, pictures.levels, None, per_second)]
        sound = None
        if audio is not None and reader.audio_offset is not None:
            sound = _Sound(audio, source, audio_n_q, reader.audio_offset)
            streams.append(sound.info)
        with (
            contextlib.closing(sound) if sound is not None else contextlib.nullcontext(),
            TokenWriter(target, streams, _tables(visual, audio)) as writer,
        ):
            pictures.overhead = 8 * (writer.size + END_BYTES)
            for picture in reader.pictures():
                for rows in pictures.add(picture):
                    writer.add_rows(0, rows)
                if sound is not None and not pictures.waiting:
                    pictures.overhead += sound.hear(writer, float(pictures.taken / per_second))
                if progress and reader.expected:
                    progress(min(pictures.taken / reader.expected, 1.0))
            if sound is not None:  # before the last window, whose budget it comes out of
                pictures.overhead += sound.hear(writer, None)
            for rows in pictures.finish():
                writer.add_rows(0, rows)
            writer.close([pictures.taken] + ([] if sound is None else [sound.length]))
            pixels = pictures.taken * reader.size[0] * reader.size[1]
            return Result(float(pictures.taken / per_second), writer.size, pixels=pixels)


def _tables(visual: Jovio, audio: Jodio | None) -> Tables:
    return visual.known_tables | ({} if audio is None else audio.known_tables)


class _Sound:
    """The sound of a video, encoded as far as the pictures have come."""

    def __init__(self, codec: Jodio, source: str | Path, n_q: int | None, offset: float):
        self.codec = codec
        self.reader = AudioReader(source)
        n_q = codec.levels(n_q)
        self.info: AudioInfo = codec.stream_info(n_q, None, self.reader.sample_rate, min(self.reader.channels, 65535))
        offset = offset if abs(offset) < LATEST_SOUND else 0.0  # such clocks have nothing to do with each other
        shifted = _shifted(self.reader.mono(codec.sample_rate), round(offset * codec.sample_rate))
        self._blocks = encode_blocks(codec, shifted, n_q)
        self.length = 0  # samples
        self._done = False

    def close(self) -> None:
        """Close the file."""
        self.reader.close()

    def hear(self, writer: TokenWriter, until: float | None) -> float:
        """Write the codes up to a time in seconds (None: all); returns how many bits they take."""
        before = writer.size
        while not self._done and (until is None or self.length < until * self.codec.sample_rate):
            found = next(self._blocks, None)
            if found is None:
                self._done = True
                self.reader.close()
                break
            self.length += found[0]
            writer.add(1, found[1])
        return 8.0 * (writer.size - before)


def _shifted(blocks: Iterator[Tensor], samples: int) -> Iterator[Tensor]:
    """The same sound starting so many samples later (silence before it), or earlier (its beginning left out)."""
    while samples > 0:
        silence = min(samples, 1 << 16)
        samples -= silence
        yield torch.zeros(silence)
    for block in blocks:
        left_out = min(max(-samples, 0), len(block))
        samples += left_out
        yield block[left_out:]


def decode_video(
    visual: Jovio,
    audio: Jodio | None,
    source: str | Path | bytes | IO[bytes],
    target: str | Path,
    n_q: int | None = None,
    salvage: bool = False,
    progress: Progress | None = None,
) -> Result:
    """Decode a `.josie` file with a video to a video file, block by block.

    Args:
        visual, audio: the models that made it; without `audio` sound is left out.
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
    with TokenReader(source, _tables(visual, audio)) as reader:
        pictures, sound = _decoders(visual, audio, reader.streams, n_q, salvage)
        info = pictures[1].info
        rate = audio.sample_rate if audio is not None and sound is not None else None
        if info.length == 0:
            raise FormatError("no picture in this file")
        with VideoWriter(target, (info.height, info.width), info.rate, rate) as writer:
            for block in reader.blocks(salvage):
                if block.stream == pictures[0]:
                    for picture in pictures[1].push(block):
                        writer.write(picture)
                    if progress and info.length:
                        progress(pictures[1].shown / info.length)
                elif sound is not None and block.stream == sound[0]:
                    for part in sound[1].push(block):
                        writer.write_audio(part)
            for picture in pictures[1].finish():
                writer.write(picture)
            for part in sound[1].finish() if sound is not None else ():
                writer.write_audio(part)
        seconds = float(pictures[1].shown / info.rate) if info.rate else 0.0
        return Result(seconds, Path(target).stat().st_size, tuple(reader.problems))


def _decoders(
    visual: Jovio, audio: Jodio | None, streams: list[StreamInfo], n_q: int | None, salvage: bool
) -> tuple[tuple[int, GroupDecoder], tuple[int, BlockDecoder] | None]:
    """The first stream of each kind and what decodes it."""
    index = find_stream(streams, "vision")
    pictures = (index, GroupDecoder(visual, visual.check_stream(streams[index]), n_q, salvage))
    for i, info in enumerate(streams):
        if isinstance(info, AudioInfo) and audio is not None:
            return pictures, (i, BlockDecoder(audio, audio.check_stream(info), None, salvage))
    return pictures, None


__all__ = ["MEDIA_SUFFIXES", "decode_video", "encode_video", "kind_of"]

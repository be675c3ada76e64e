"""From videos to `.josie` files and back: pictures and audio of one file side by side, in step.

pictures -> windows of groups -> rows of patches -+-> blocks of the file, in the order of their times
audio    -> frames            -> codes -----------+
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

import numpy as np

from ..audio.loudness import amplified
from ..bitstream.container import TokenWriter
from ..bitstream.header import AudioInfo, StreamInfo
from ..bitstream.motion_payload import MotionRows
from ..bitstream.patch_payload import PatchRows
from ..entropy.tables_file import Tables
from ..errors import MediaError
from ..media.audio_open import Reading, SampleReader
from ..media.video_reader import VideoReader
from ..media.video_sound import FilmSound
from ..settings import EncoderSettings, Rate, fitting_rate
from .audio import Marker, encode_blocks
from .audio_coder import AudioCoder
from .heap import return_freed
from .level import Level
from .motion_codec import KEY_SECONDS, moves, video_encoder
from .motion_encoder import MotionEncoder
from .motion_keys import VideoNetwork
from .result import Progress, Result
from .video_times import TimesOfPictures
from .vision_writer import END_BYTES, PictureEncoder, put

DURATION_BYTES = 1.5  # that the duration of a picture takes, about
LOST = "{} pictures cannot be decoded and show the one before"


def encode_video(
    vision: VideoNetwork,
    audio: AudioCoder | None,
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
            level = _level(audio, source, reading)
            track = _AudioTrack(audio, reader.sound, levels, audio_settings, reader.audio_offset or 0.0, level)
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


def _level(codec: AudioCoder, source: str | Path, reading: Reading | None) -> Level:
    """What brings the sound of a video to the usual level; sound that cannot be read by itself is left as it is."""
    try:
        return Level.of(codec, lambda: SampleReader(source, reading), reading)
    except MediaError as error:
        if reading and reading.normalize:
            raise
        warnings.warn(f"{error}; its sound is coded as loud as it is", stacklevel=4)
        return Level()


def _opened(vision: VideoNetwork, source: str | Path, reading: Reading | None, rate: Rate) -> VideoReader:
    """A video whose times are kept if it is coded with motion."""
    if rate.n_q is None:
        reader = VideoReader(source, reading, keep_times=True)
        if reader.tick is None or moves(vision, rate, reader.size):
            return reader
        reader.close()
    return VideoReader(source, reading)


def _encoded(
    reader: VideoReader, encoder: PictureEncoder, times: TimesOfPictures | None
) -> Iterator[Sequence[PatchRows | MotionRows]]:
    """What an encoder gives for each picture."""
    if times is None:
        for picture in reader.arrays():
            yield encoder.add(picture)
        return
    assert isinstance(encoder, MotionEncoder)
    for picture, duration in reader.timed_arrays():
        encoder.overhead += 8 * DURATION_BYTES
        yield times.put(encoder.add(picture, times.add(duration)))


def _moving(parts: Sequence[PatchRows | MotionRows]) -> list[MotionRows]:
    return [part for part in parts if isinstance(part, MotionRows)]


def _tables(vision: VideoNetwork, audio: AudioCoder | None) -> Tables:
    return vision.known_tables | ({} if audio is None else audio.known_tables)


class _AudioTrack:
    """The audio of a video, encoded as far as the pictures have come."""

    def __init__(
        self,
        codec: AudioCoder,
        sound: FilmSound,
        n_q: int,
        settings: EncoderSettings | None,
        offset: float,
        level: Level,
    ):
        self.codec = codec
        info = codec.stream_info(n_q, None, sound.sample_rate, min(sound.channels, 65535))
        self.info: AudioInfo = level.put(info)
        heard = amplified(sound.mono(codec.sample_rate, level.scale), level.gain)
        shifted = _shifted(heard, round(offset * codec.sample_rate))
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


def _shifted(blocks: Iterator[np.ndarray], samples: int) -> Iterator[np.ndarray]:
    """The same audio starting so many samples later (silence before it), or earlier (its beginning left out)."""
    while samples > 0:
        silence = min(samples, 1 << 16)
        samples -= silence
        yield np.zeros(silence, np.float32)
    for block in blocks:
        left_out = min(max(-samples, 0), len(block))
        samples += left_out
        yield block[left_out:]

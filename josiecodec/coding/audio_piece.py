"""A piece of a recording: decoding that reads and decodes no more than the piece needs.

What a decoder remembers of the codes before, a run-up gives back (`audio/resume.py`). The phase of its pulse train
needs all codes from the beginning on, so:

    near the beginning      decoding begins there: exact
    a mark in the file      says the phase: exact
    the base alone          any phase will do: the harmonics begin elsewhere, which cannot be heard
    further levels          are relative to the right phase, which has to be found from the codes: takes seconds
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import IO

import numpy as np

from ..bitstream.container import Block, TokenReader
from ..bitstream.header import AudioInfo, find_stream, image_of
from ..media.audio_open import SampleResampler
from .audio_coder import AudioCoder
from .sample_decoder import MARKED_FRAMES, SampleDecoder, silence
from .stereo import ImageDecoder
from .stretch import PastTheEnd, Stretch, seekable

NEAR = 20.0  # seconds: a piece that begins before is decoded from the beginning on
NEAR_WITHOUT_MARK = 240.0  # the same where the phase would have to be found, which takes longer
LAYERS_WARM_UP = 24  # frames after which levels after the base do not remember what came before
FINDING = 96  # frames before a piece from which the phase is found
LATE = 8  # frames at most that decoding is late
IMAGE_WARM_UP = 2  # frames before a piece that a stereo image needs
MARGIN = 0.25  # seconds on either side of a piece that is resampled


class AudioPiece:
    """A piece of the sound of a file.

    Args:
        codec: the model that made it.
        reader: of the file, seekable; `TokenReader.blocks` cannot be used any more.
        stream: index of the stream of audio.
        stretch: what is wanted.
        n_q: use at most so many levels.
        salvage: make do with what is whole: gaps become silence.
        mono: of a stereo recording, leave out the stereo image.

    Attributes:
        channels: 1, or 2 with a stereo image.
        first, last: samples of the piece, at the rate of the codec; the last one not included.

    Raises:
        PastTheEnd: if it begins behind the end.
        FormatError: if the file is damaged (and not to be salvaged).
        ModelError: if another model made it.
    """

    def __init__(
        self,
        codec: AudioCoder,
        reader: TokenReader,
        stream: int,
        stretch: Stretch,
        n_q: int | None = None,
        salvage: bool = False,
        mono: bool = False,
    ):
        self.codec, self.reader, self.stream, self.stretch = codec, reader, stream, stretch
        self.n_q, self.salvage = n_q, salvage
        self.info = codec.check_stream(reader.streams[stream])
        self.index = reader.index()
        self.image = None if mono else image_of(reader.streams, stream)
        self.channels = 1 if self.image is None else 2
        available = self.index.units(stream) * codec.frame_size
        self.length = available if self.info.length is None else self.info.length
        if salvage:
            self.length = min(self.length, available)
        rate = codec.sample_rate
        self.first, last = stretch.samples(rate)
        if self.first >= self.length:
            raise PastTheEnd(f"the sound ends after {self.length / rate:.2f} s, before {stretch.start:g} s")
        self.last = int(min(last, self.length))
        self.problems: list[str] = []

    def samples(self, sample_rate: int | None = None) -> Iterator[np.ndarray]:
        """The piece, [channels, n] at a time; `sample_rate` None for that of the codec."""
        own = self.codec.sample_rate
        if sample_rate in (None, own):
            yield from self._between(self.first, self.last)
            return
        rate = sample_rate or own
        step = own // math.gcd(own, rate)  # samples that are a whole number at the other rate
        margin = math.ceil(MARGIN * own)
        begin = max(self.first - margin, 0) // step * step
        end = min(self.last + margin, self.length)
        first, last = self.stretch.samples(rate)
        at = begin // step * (rate // math.gcd(own, rate))
        resamplers = [SampleResampler(own, rate) for _ in range(self.channels)]

        def resampled(part: np.ndarray, ends: bool = False) -> np.ndarray:
            return np.stack([r(np.ascontiguousarray(row), last=ends) for r, row in zip(resamplers, part, strict=True)])

        def parts() -> Iterator[np.ndarray]:
            for part in self._between(begin, end):
                yield resampled(part)
            yield resampled(np.zeros((self.channels, 0), np.float32), True)

        yield from _cut(parts(), at, first, last)

    def _between(self, first: int, last: int) -> Iterator[np.ndarray]:
        """Samples `first` up to `last` of the recording."""
        if self.image is None:
            for part in self._sound(first, last):
                yield part[None]
            return
        size = self.codec.frame_size
        frame = max(first // size - IMAGE_WARM_UP, 0)
        end = min(last + size, self.length)
        yield from _cut(self._placed(frame, end), frame * size, first, last)

    def _placed(self, frame: int, last: int) -> Iterator[np.ndarray]:
        """Left and right from a frame on."""
        info = self.reader.streams[self.image or 0]
        assert isinstance(info, AudioInfo)
        size = self.codec.frame_size
        image, reached, fed = ImageDecoder(replace(info, length=None), self.salvage), frame, frame * size
        blocks = self._blocks(self.image or 0, frame, -(-last // size) + 1)
        for part in self._sound(frame * size, last):
            fed += len(part)
            while reached * size < fed and (block := next(blocks, None)) is not None:
                image.push(replace(block, first=block.first - frame))
                reached = block.first + block.units
            yield image(part)
        yield image.finish()

    def _sound(self, first: int, last: int) -> Iterator[np.ndarray]:
        """Mono samples `first` up to `last`, [n] at a time."""
        size = self.codec.frame_size
        decoder = self._decoder(first // size)
        begin = decoder.reached

        def parts() -> Iterator[np.ndarray]:
            end = math.inf if not self.codec.config.causal else -(-last // size) + LATE
            for block in self._blocks(self.stream, begin, end):
                yield from decoder.push(block)
                if decoder.written >= last:
                    break
            if decoder.written < last:
                yield from decoder.finish()
            if self.salvage:
                yield from silence(last - decoder.written)
            self.problems = decoder.problems

        yield from _cut(parts(), begin * size, first, last)

    def _decoder(self, frame: int) -> SampleDecoder:
        """What decodes from a frame on that comes some time before this one."""
        codec = self.codec
        decoder = SampleDecoder(codec, self.info, self.n_q, self.salvage)
        layered = decoder.levels > codec.base_levels
        warm = codec.run_up
        begin = frame - (LAYERS_WARM_UP if layered else 0)
        seconds = begin * codec.frame_size / codec.sample_rate
        if not codec.config.causal or begin <= warm or seconds <= NEAR:
            return decoder
        known: tuple[int, int] | None = None
        if codec.counts_phase:
            known = self._mark(begin, min(decoder.levels, codec.base_levels))
            if known is None and layered:
                return decoder if seconds <= NEAR_WITHOUT_MARK else self._finding(frame)
        first = max((begin if known is None else known[0]) - warm, 0)
        entered = first, codec.entered_decoder(first, begin, known)
        return SampleDecoder(codec, self.info, self.n_q, self.salvage, entered)

    def _mark(self, frame: int, levels: int) -> tuple[int, int] | None:
        """The last frame up to this one that may have a mark, and its phase, if it has one for so many levels."""
        marked = frame // MARKED_FRAMES * MARKED_FRAMES
        for block in self.reader.blocks_at(self.index.places(self.stream, marked, marked + 1), salvage=True):
            if block.first == marked and block.mark is not None and block.mark.levels == levels:
                return marked, block.mark.phase
        return None

    def _finding(self, frame: int) -> SampleDecoder:
        """What finds the phase from the codes."""
        place = next(self.index.places(self.stream, max(frame - FINDING, 0), frame))
        entered = place.first, self.codec.array_decoder(place.first)
        return SampleDecoder(self.codec, self.info, self.n_q, self.salvage, entered)

    def _blocks(self, stream: int, first: int, last: float) -> Iterator[Block]:
        """Blocks of frames `first` up to about `last`, the first one without what comes before."""
        for block in self.reader.blocks_at(self.index.places(stream, first, last), self.salvage):
            skipped = first - block.first
            if skipped > 0:
                codes = np.asarray(block.codes)[skipped:]
                block = replace(block, first=first, units=len(codes), codes=codes)
            yield block


def is_marked(source: str | Path | bytes | IO[bytes]) -> bool:
    """Whether a file of sound says the phase of its decoder now and then, or is too short for that.

    Raises:
        FormatError: if the file is damaged.
    """
    with TokenReader(seekable(source)) as reader:
        stream = find_stream(reader.streams, "audio")
        for block in reader.blocks_at(reader.index().places(stream, MARKED_FRAMES, MARKED_FRAMES + 1), salvage=True):
            return block.mark is not None
    return True


def _cut(parts: Iterator[np.ndarray], at: int, first: int, last: float) -> Iterator[np.ndarray]:
    """Of parts [..., n] that begin with sample `at`, what lies from `first` up to `last`."""
    for part in parts:
        begin, end = max(first - at, 0), min(part.shape[-1], last - at)
        at += part.shape[-1]
        if end > begin:
            yield part[..., begin : int(end)]

"""The stereo image of a recording as a stream of a file, beside the stream of its mix to mono."""

from __future__ import annotations

import heapq
import io
from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np

from ..audio.stereo_image import ANGLES, BANDS, CENTRE, HOPS, Panner, find_image
from ..bitstream.container import Block, TokenReader, TokenWriter
from ..bitstream.header import AudioInfo, StreamInfo
from ..bitstream.josie_file import TokenStream
from ..entropy.tables_file import Tables
from ..errors import CodecError, FormatError
from .sample_decoder import SampleDecoder

MAX_HELD = 1 << 26  # bytes of codes that wait for their image
IMAGE_MODEL, IMAGE_FINGERPRINT = "stereo", "0" * 16  # no model is needed


def image_file(blocks: Iterable[np.ndarray], info: AudioInfo) -> bytes | None:
    """A file of the stereo image alone; None if all of it is in the middle.

    Args:
        blocks: left and right [2, n] at the rate of the codec.
        info: of the stream of mono that it belongs to; levels and length do not matter.

    Raises:
        CodecError: if frames of the codec cannot have an image.
    """
    if info.frame_size % HOPS:
        raise CodecError(f"stereo needs a codec of frames of a multiple of {HOPS} samples, not of {info.frame_size}")
    out, length, moved = io.BytesIO(), 0, False

    def counted() -> Iterator[np.ndarray]:
        nonlocal length
        for block in blocks:
            length += block.shape[1]
            yield block

    with TokenWriter(out, [_image_info(info, None)]) as writer:
        for codes in find_image(counted(), info.frame_size, info.sample_rate):
            moved = moved or bool((codes != CENTRE).any())
            writer.add(0, codes)
        writer.close([length])
    return out.getvalue() if moved else None


def room_for_mono(kbps: float, image: bytes) -> float:
    """What of a rate is left for the stream of mono.

    Raises:
        CodecError: if nothing is.
    """
    with TokenReader(image, codes=False) as reader:
        info = reader.streams[0]
    assert isinstance(info, AudioInfo)
    seconds = (info.length or 0) / info.sample_rate
    left = kbps - 8 * len(image) / max(seconds, 1e-9) / 1000
    if left <= 0:
        raise CodecError(f"{kbps:g} kbit/s cannot be met in stereo: the image alone takes {kbps - left:.3f} kbit/s")
    return left


def merged(mono: bytes, image: bytes, tables: Tables | None = None) -> bytes:
    """A file of mono and one of its stereo image as one file, no longer than both; the image comes before the sound.

    Raises:
        FormatError: if they do not belong together.
    """
    out = io.BytesIO()
    with TokenReader(mono, tables) as sound, TokenReader(image) as side:
        info = sound.streams[0]
        if not isinstance(info, AudioInfo):
            raise FormatError("a stereo image belongs to a stream of audio")
        streams: list[StreamInfo] = [
            replace(info, original_channels=2),
            replace(_image_info(info, info.length), original_channels=2),
        ]
        with TokenWriter(out, streams, tables) as writer:
            for _, stream, block in heapq.merge(_keyed(side, 0), _keyed(sound, 1), key=lambda entry: entry[:2]):
                if block.mark is not None:
                    writer.mark(1 - stream, block.first, block.mark)
                writer.add(1 - stream, np.asarray(block.codes))
            writer.close([info.length or 0] * 2)
    return out.getvalue()


def _image_info(info: AudioInfo, length: int | None) -> AudioInfo:
    return replace(
        info,
        model=IMAGE_MODEL,
        fingerprint=IMAGE_FINGERPRINT,
        levels=BANDS,
        codebook_size=ANGLES,
        length=length,
        image=length is not None,
        gain=0,
    )


def _keyed(reader: TokenReader, order: int) -> Iterator[tuple[int, int, Block]]:
    for block in reader.blocks():
        yield block.first, order, block


def placed(mono: np.ndarray, image: TokenStream) -> np.ndarray:
    """Decoded mono [T] and the stream of its stereo image, both in memory, as left and right [2, T]."""
    assert isinstance(image.info, AudioInfo)
    decoder = ImageDecoder(image.info)
    codes = np.asarray(image.codes).T
    decoder.push(Block(0, 0, len(codes), codes))
    return np.concatenate([decoder(mono), decoder.finish()], 1)


class ImageDecoder:
    """Puts decoded mono where the image says.

    Args:
        info: of the stream of the image.
        salvage: where angles are missing, sounds stay where they were; else that is an error.

    Raises:
        FormatError: if the image is of another kind than this program knows.
    """

    def __init__(self, info: AudioInfo, salvage: bool = False):
        if (info.levels, info.codebook_size) != (BANDS, ANGLES) or info.frame_size % HOPS:
            raise FormatError("a stereo image of a kind that this program does not know")
        self.info, self.salvage = info, salvage
        self._panner = Panner(info.frame_size, info.sample_rate)
        self._angles = np.full((0, BANDS), CENTRE)
        self._first = 0  # frame of the first of them
        self._reached = 0  # samples of mono

    def first(self, blocks: Iterable[Block], image: int, sound: int) -> Iterator[Block]:
        """Take the blocks of the image out, and give those of the sound once their image is there, or nothing more.

        Args:
            blocks: of a file, in any order.
            image, sound: indices of both streams.
        """
        held: list[Block] = []
        room = MAX_HELD

        for block in blocks:
            if block.stream == image:
                self.push(block)
            elif block.stream == sound:
                held.append(block)
                room -= np.asarray(block.codes).nbytes
            while held and (room < 0 or held[0].first + held[0].units <= self._first + len(self._angles)):
                room += np.asarray(held[0].codes).nbytes
                yield held.pop(0)
        yield from held

    def push(self, block: Block) -> None:
        """Take a block of the image.

        Raises:
            FormatError: if it does not follow on the last one.
        """
        end = self._first + len(self._angles)
        if block.first != end and not self.salvage:
            raise FormatError(f"the stereo image of frame {end} is missing")
        if block.first < end or (self.info.units is not None and block.first + block.units > self.info.units):
            return  # out of place
        codes = np.minimum(np.asarray(block.codes).astype(np.int64), ANGLES - 1)
        last = self._angles[-1:] if len(self._angles) else np.full((1, BANDS), CENTRE)
        self._drop()
        gap = block.first - end
        if gap > self.info.sample_rate:  # frames; nothing that is whole has such a gap
            return
        self._angles = np.concatenate([self._angles, last.repeat(gap, 0), codes])

    def __call__(self, mono: np.ndarray) -> np.ndarray:
        """Samples [n] -> left and right [2, m], late by less than a frame.

        Raises:
            FormatError: if their image is not there.
        """
        self._reached += len(mono)
        needed = self._reached // self.info.frame_size
        if not self.salvage and self._first + len(self._angles) < needed:
            raise FormatError(f"the stereo image of frame {self._first + len(self._angles)} is missing")
        self._drop()
        return self._panner(mono, self._angles)

    def finish(self) -> np.ndarray:
        """The rest, [2, m]."""
        self._drop()
        return self._panner.finish(self._angles)

    def _drop(self) -> None:
        """Let go of angles that are no longer needed; the last ones hold on."""
        gone = min(self._panner.frame - self._first, len(self._angles) - 1)
        if gone > 0:
            self._angles, self._first = self._angles[gone:], self._first + gone


def placed_blocks(
    blocks: Iterable[Block], info: AudioInfo, place: int, index: int, decoder: SampleDecoder, salvage: bool
) -> Iterator[np.ndarray]:
    """Left and right [2, n] of the blocks of a file whose stream `place`, described by `info`, is a stereo image.

    Args:
        blocks: of the file.
        info, place: of the image.
        index: the stream of the sound.
        decoder: of that stream.
        salvage: as of `ImageDecoder`.
    """
    image = ImageDecoder(info, salvage)
    for block in image.first(blocks, place, index):
        if block.stream == index:
            for part in decoder.push(block):
                yield image(part)
    for part in decoder.finish():
        yield image(part)
    yield image.finish()

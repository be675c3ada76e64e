"""From blocks of codes to samples, of one stream of audio."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import numpy as np

from ..audio.config import CHUNK_FRAMES
from ..audio.loudness import amplified
from ..bitstream.container import Block
from ..bitstream.header import AudioInfo
from ..bitstream.marks import Mark
from ..bitstream.writer import BLOCK_FRAMES
from ..errors import CodesError, FormatError
from .audio_coder import Ahead, ArrayDecoder, AudioCoder

MAX_GAP_SECONDS = 600  # filled in at a stretch
MARKED_FRAMES = math.lcm(CHUNK_FRAMES, BLOCK_FRAMES)  # frames between marks
NO_WAVEFORM = "levels of the waveform cannot be used"


class SampleDecoder:
    """Turns the blocks of an audio stream, one after the other, into waveform pieces as loud as it was, float32 [n].

    Args:
        codec: the model that made them.
        info: header of the stream.
        n_q: use at most so many levels.
        salvage: frames that are missing become silence; else they are an error.
        entered: where decoding begins if not at frame 0: the frame, and what decodes from there on.

    Attributes:
        problems: where levels could not be used, see `audio/resume.py`.
    """

    def __init__(
        self,
        codec: AudioCoder,
        info: AudioInfo,
        n_q: int | None = None,
        salvage: bool = False,
        entered: tuple[int, ArrayDecoder] | None = None,
    ):
        self.codec, self.info, self.salvage = codec, info, salvage
        if n_q is not None and n_q < 1:
            raise CodesError(f"at least one level must be used, not {n_q}")
        self.levels = min(info.levels, n_q or info.levels)
        self.reached = 0  # frames
        self.written = 0  # samples
        self.problems: list[str] = []
        self._since = 0  # the frame behind the last gap
        self._held: list[Block] = []  # behind a gap, until a mark says the phase of the decoder
        if entered is None:
            self._stream = codec.array_decoder()
        else:
            self.reached, self._stream = entered
            self._since, self.written = self.reached, self.reached * codec.frame_size

    def push(self, block: Block) -> Iterator[np.ndarray]:
        """The pieces that a block makes; behind a gap later, when a mark (`bitstream/marks.py`) or none has come.

        Raises:
            FormatError: if it does not follow on the last one.
        """
        frames = self.info.units
        gap = block.first - self._end
        if gap:
            if not self.salvage:
                raise FormatError(f"frame {self.reached} is missing")
            max_gap = MAX_GAP_SECONDS * self.codec.sample_rate // self.codec.frame_size
            if gap < 0 or gap > max_gap or (frames is not None and block.first + block.units > frames):
                return  # a block out of place cannot be trusted
            yield from self._release(None)
            if self.levels > self.codec.base_levels:
                self._held = [block]
                return
            yield from self._resume(block.first, None)
        elif self._held:
            known = block.mark if block.mark and block.mark.levels == self.codec.base_levels else None
            if known is not None or block.first - self._held[0].first > MARKED_FRAMES:
                yield from self._release(known)
            else:
                self._held.append(block)
                return
        yield from self._decode(block)

    def finish(self) -> Iterator[np.ndarray]:
        """What is left when there are no more blocks.

        Raises:
            FormatError: if samples are missing.
        """
        yield from self._release(None)
        yield from self._cut([self._stream.finish()])
        self._report()
        length = self.info.length
        if length is not None and self.written < length and not self.salvage:
            raise FormatError(f"the file holds {self.written} of {length} samples")

    @property
    def _end(self) -> int:
        """The frame behind the last one that came."""
        return self._held[-1].first + self._held[-1].units if self._held else self.reached

    def _release(self, mark: Mark | None) -> Iterator[np.ndarray]:
        """Decode the blocks that were held back, now that a mark has come behind them, or none will."""
        held, self._held = self._held, []
        if not held:
            return
        ahead = None
        if mark is not None:
            ahead = Ahead(np.concatenate([np.asarray(block.codes) for block in held]), mark.phase, mark.levels)
        yield from self._resume(held[0].first, ahead)
        for block in held:
            yield from self._decode(block)

    def _resume(self, first: int, ahead: Ahead | None) -> Iterator[np.ndarray]:
        """End the stream before a gap, fill it with silence, and begin anew at frame `first`."""
        yield from self._cut([self._stream.finish()])
        yield from self._cut(silence((first - self.reached) * self.codec.frame_size))
        self._report()
        self.reached = self._since = first
        self._stream = self.codec.array_decoder(first, ahead)

    def _decode(self, block: Block) -> Iterator[np.ndarray]:
        self.reached += block.units
        layered = self.levels > self.codec.base_levels
        if layered and block.mark is not None and block.mark.levels == self.codec.base_levels:
            self._stream.meet(block.mark.phase)
        yield from self._cut([self._stream.decode(np.asarray(block.codes)[:, : self.levels])])

    def _report(self) -> None:
        """Note if levels behind the last gap were not used."""
        if not self._stream.found and self.levels > self.codec.base_levels:
            start = self._since * self.codec.frame_size / self.codec.sample_rate
            self.problems.append(f"from {start:.1f} s on, where decoding began anew, {NO_WAVEFORM}")

    def _cut(self, parts: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Undo the gain of the recording, and leave out what lies behind its exact length."""
        for part in amplified(parts, -self.info.gain):
            if self.info.length is not None:
                part = part[: self.info.length - self.written]
            self.written += len(part)
            yield part


def silence(samples: int) -> Iterator[np.ndarray]:
    """Zeros in pieces of bounded size."""
    while samples > 0:
        piece = min(samples, 1 << 16)
        yield np.zeros(piece, np.float32)
        samples -= piece

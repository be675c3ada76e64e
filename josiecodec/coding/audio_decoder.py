"""From blocks of codes to samples, of one stream of audio."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import torch
from torch import Tensor

from ..audio.resume import EnteredStream, ResumedStream
from ..audio.stream import AudioStream
from ..bitstream.container import Block
from ..bitstream.header import AudioInfo
from ..errors import CodesError, FormatError
from .jodio import Jodio

MAX_GAP_SECONDS = 600  # filled in at a stretch
NO_WAVEFORM = "levels of the waveform cannot be used"


class BlockDecoder:
    """Turns the blocks of an audio stream, one after the other, into waveform pieces [n].

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
        codec: Jodio,
        info: AudioInfo,
        n_q: int | None = None,
        salvage: bool = False,
        entered: tuple[int, ResumedStream | EnteredStream] | None = None,
    ):
        self.codec, self.info, self.salvage = codec, info, salvage
        if n_q is not None and n_q < 1:
            raise CodesError(f"at least one level must be used, not {n_q}")
        self.levels = min(info.levels, n_q or info.levels)
        self.reached = 0  # frames
        self.written = 0  # samples
        self.problems: list[str] = []
        self._since = 0  # the frame behind the last gap
        self._stream: AudioStream | ResumedStream | EnteredStream | None = None
        if entered is not None:
            self.reached = self._since = entered[0]
            self.written = self.reached * codec.frame_size
            self._stream = entered[1]
        elif codec.config.causal:
            self._stream = codec.streaming()
        self._whole: list[Tensor] = []  # of a codec that has to see everything at once

    def push(self, block: Block) -> Iterator[Tensor]:
        """The pieces that a block makes.

        Raises:
            FormatError: if it does not follow on the last one.
        """
        frames = self.info.units
        if block.first != self.reached:
            if not self.salvage:
                raise FormatError(f"frame {self.reached} is missing")
            gap = block.first - self.reached
            max_gap = MAX_GAP_SECONDS * self.codec.sample_rate // self.codec.frame_size
            if gap < 0 or gap > max_gap or (frames is not None and block.first + block.units > frames):
                return  # a block out of place cannot be trusted
            yield from self._cut(self._rest())
            yield from self._cut(silence((block.first - self.reached) * self.codec.frame_size))
            self._report()
            self.reached = self._since = block.first
            if self.codec.config.causal:
                self._stream = ResumedStream(self.codec, block.first)
        codes = torch.from_numpy(np.asarray(block.codes)[:, : self.levels].astype(np.int64))
        self.reached += block.units
        codes = codes.t()[None].to(self.codec.device)
        if self._stream is not None:
            yield from self._cut([self._stream.decode(codes)[0, 0].cpu()])
        else:
            self._whole.append(codes)

    def finish(self) -> Iterator[Tensor]:
        """What is left when there are no more blocks.

        Raises:
            FormatError: if samples are missing.
        """
        yield from self._cut(self._rest())
        self._report()
        length = self.info.length
        if length is not None and self.written < length and not self.salvage:
            raise FormatError(f"the file holds {self.written} of {length} samples")

    def _report(self) -> None:
        """Note if levels behind the last gap were not used."""
        stream = self._stream
        if isinstance(stream, ResumedStream) and not stream.found and self.levels > self.codec.base_levels:
            start = self._since * self.codec.frame_size / self.codec.sample_rate
            self.problems.append(f"from {start:.1f} s on, where decoding began anew, {NO_WAVEFORM}")

    def _rest(self) -> list[Tensor]:
        """What is still to come of the blocks so far; those after them are a new beginning."""
        if self._stream is not None:
            return [self._stream.finish()[0, 0].cpu()]
        whole, self._whole = self._whole, []
        return [self.codec.decode(torch.cat(whole, -1))[0, 0].cpu()] if whole else []

    def _cut(self, parts: Iterable[Tensor]) -> Iterator[Tensor]:
        """Leave out what lies behind the exact length."""
        for part in parts:
            if self.info.length is not None:
                part = part[: self.info.length - self.written]
            self.written += len(part)
            yield part


def silence(samples: int) -> Iterator[Tensor]:
    """Zeros in pieces of bounded size."""
    while samples > 0:
        piece = min(samples, 1 << 16)
        yield torch.zeros(piece)
        samples -= piece

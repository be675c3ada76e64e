"""Pieces of sound cut out of `.josie` files without decoding: read through the index, no more than the piece takes.

A piece begins with a whole frame. What decoders remember of the frames before is lost, as with any crop of codes, and
so is the phase that levels after the base are relative to (`audio/resume.py`): of those a piece that begins behind the
first frame can have none.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..entropy.tables_file import Tables
from ..errors import CodecError, CodesError, FormatError
from .container import Block, TokenReader, TokenWriter
from .header import AudioInfo, StreamInfo, by_model

MAX_SECONDS = 1e9  # that a recording lasts


@dataclass(frozen=True)
class Cut:
    """What of a recording is kept.

    Attributes:
        first: frame that it begins with.
        length: samples.
        start, seconds: the same in seconds.
        streams: what the header of the piece says.
        shortened: whether levels after the base were left out that are relative to what came before.
    """

    first: int
    length: int
    start: float
    seconds: float
    streams: list[StreamInfo]
    shortened: bool = False


def find_cut(
    reader: TokenReader,
    start: float = 0.0,
    seconds: float | None = None,
    levels: int | None = None,
    base: Callable[[AudioInfo], int] | None = None,
) -> Cut:
    """The piece of a file that lies from `start` on, from the beginning of the frame that is heard then.

    Args:
        reader: of a seekable file.
        start, seconds: what is wanted; None for all that follows.
        levels: to keep at most; None for all.
        base: says how many levels of a stream mean something without what comes before; None if all do.

    Raises:
        CodecError: if there is no such piece, or the file holds more than sound.
        FormatError: if the file is damaged.
    """
    if not 0 <= start < math.inf or not (seconds is None or 0 < seconds < math.inf):
        raise CodecError("a piece begins at 0 s or later, and lasts for more than 0 s")
    if levels is not None and levels < 1:
        raise CodesError(f"at least one level must stay, not {levels}")
    start, seconds = min(start, MAX_SECONDS), None if seconds is None else min(seconds, MAX_SECONDS)
    sound = reader.streams[0]
    if not all(isinstance(info, AudioInfo) for info in reader.streams) or not isinstance(sound, AudioInfo):
        raise CodecError("a piece can be cut out of sound alone; decode gives pieces of pictures")
    index = reader.index()
    if reader.problems:
        raise FormatError(reader.problems[0])
    rate, size = sound.sample_rate, sound.frame_size
    length = index.units(0) * size if sound.length is None else sound.length
    if round(start * rate) >= length and (start or length):
        raise CodecError(f"the sound ends after {length / rate:.2f} s, before {start:g} s")
    first = math.floor(start * rate / size + 1e-6)
    end = length if seconds is None else min(max(round((start + seconds) * rate), first * size + 1), length)
    streams: list[StreamInfo] = []
    shortened = False
    for info in reader.streams:
        assert isinstance(info, AudioInfo)
        kept = info.levels
        if by_model(info):
            kept = min(kept, levels or kept)
            most = base(info) if base and first else kept
            shortened = shortened or most < kept
            kept = min(kept, most)
        streams.append(replace(info, levels=kept, length=end - first * size))
    return Cut(first, end - first * size, first * size / rate, (end - first * size) / rate, streams, shortened)


def cut_blocks(reader: TokenReader, cut: Cut) -> Iterator[Block]:
    """The blocks of sound of a piece in order of time, frames counted from its beginning.

    Raises:
        FormatError: if one is damaged, or the file holds fewer frames than its header says.
    """

    def of(stream: int) -> Iterator[tuple[tuple[int, int], Block]]:
        info = cut.streams[stream]
        last = cut.first + (info.units or 0)
        reached = cut.first
        for block in reader.blocks_at(reader.index().places(stream, cut.first, last)):
            begin, end = max(cut.first - block.first, 0), min(last - block.first, block.units)
            if block.first + begin != reached:
                raise FormatError(f"frame {reached} is missing")
            reached += end - begin
            codes = np.asarray(block.codes)[begin:end, : info.levels]
            mark = block.mark if not cut.first and block.mark and block.mark.levels <= info.levels else None
            moved = replace(block, first=block.first + begin - cut.first, units=len(codes), codes=codes, mark=mark)
            yield (moved.first, -stream), moved  # a stereo image lies before its sound
        if reached < last:
            raise FormatError(f"frame {reached} is missing")

    sound = [n for n, info in enumerate(cut.streams) if isinstance(info, AudioInfo)]
    for _, block in heapq.merge(*(of(n) for n in sound), key=lambda entry: entry[0]):
        yield block


def cut_file(
    source: str | Path,
    target: str | Path,
    start: float = 0.0,
    seconds: float | None = None,
    levels: int | None = None,
    tables: Tables | None = None,
    base: Callable[[AudioInfo], int] | None = None,
) -> Cut:
    """Copy a piece of a file of sound; see `find_cut` for what it takes and raises.

    Args:
        source, target: paths.
        start, seconds, levels, base: as of `find_cut`.
        tables: entropy tables by fingerprint, for models that did not come with the package.
    """
    with TokenReader(source, tables) as reader:
        cut = find_cut(reader, start, seconds, levels, base)
        with TokenWriter(target, cut.streams, tables) as writer:
            for block in cut_blocks(reader, cut):
                if block.mark is not None:
                    writer.mark(block.stream, block.first, block.mark)
                writer.add(block.stream, np.asarray(block.codes))
            writer.close([cut.length] * len(cut.streams))
    return cut

"""Going through `.josie` files of any length in bounded memory: what they hold, and copies with fewer levels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..entropy.tables_file import Tables
from ..errors import CodesError, FormatError
from .container import Block, TokenReader, TokenWriter
from .header import AlphaInfo, AudioInfo, StreamInfo, VisionInfo, by_model
from .motion_payload import MotionRows
from .patch_payload import PatchRows


@dataclass
class Summary:
    """What a stream holds, without its codes.

    Attributes:
        info: its header.
        units: frames (audio) or rows of patches (vision) that are there.
        patches, skipped, levels: of a vision stream: patches, those without codes, and the sum of all level counts.
        uneven: whether the pictures of a video have times of their own.
        pictures, keys: of a video with motion: pictures, and those that can be decoded by themselves.
        detail_bytes: of a vision stream, bytes of its detail layer.
        screen_bytes: of a vision stream, bytes of its patches of few colours.
        alpha_bytes: of a stream of alpha.
    """

    info: StreamInfo
    units: int = 0
    patches: int = 0
    skipped: int = 0
    levels: int = 0
    pictures: int = 0
    keys: int = 0
    uneven: bool = False
    detail_bytes: int = 0
    screen_bytes: int = 0
    alpha_bytes: int = 0

    @property
    def seconds(self) -> float:
        """Its length in time; 0 for an image."""
        return seconds(self.info, self.units)


def summarise(path: str | Path, salvage: bool = False) -> tuple[list[Summary], list[str]]:
    """Go through a file of any length, checking every block; its streams, and what is wrong with it.

    Raises:
        FormatError: if it is damaged (and not to be salvaged), or no `.josie` file at all.
    """
    with TokenReader(path, codes=False) as reader:
        summaries = [Summary(info) for info in reader.streams]
        for block in contiguous_blocks(reader, salvage):
            summary = summaries[block.stream]
            summary.units += block.units
            if isinstance(block.codes, PatchRows):
                summary.patches += block.codes.counts.size
                summary.skipped += int((block.codes.counts == 0).sum())
                summary.levels += int(block.codes.counts.sum(dtype=np.int64))
                summary.detail_bytes += sum(len(part.data) for part in block.codes.details)
                summary.screen_bytes += sum(len(part.screen) for part in block.codes.details)
            elif isinstance(block.codes, MotionRows):
                summary.pictures += len(block.codes.pictures)
                summary.keys += sum(p.key for p in block.codes.pictures)
                summary.uneven = summary.uneven or block.codes.times is not None
            elif isinstance(summary.info, AlphaInfo):
                summary.alpha_bytes += block.size
        for summary in summaries:
            check_length(reader, summary.info, summary.units, salvage)
        return summaries, reader.problems


def trim_file(source: str | Path, target: str | Path, levels: int, tables: Tables | None = None) -> None:
    """Copy a file of any length with at most the first `levels` levels.

    Args:
        source, target: paths.
        levels: to keep.
        tables: entropy tables by fingerprint, for models that did not come with the package.

    Raises:
        CodesError: if `levels` is less than 1.
        ModelError: if the codes need tables that are not there.
        FormatError: if the source is damaged, or the target cannot be written.
    """
    if levels < 1:
        raise CodesError(f"at least one level must stay, not {levels}")
    with TokenReader(source, tables) as reader:
        streams = [replace(i, levels=min(levels, i.levels)) if by_model(i) else i for i in reader.streams]
        reached = [0] * len(streams)
        with TokenWriter(target, streams, tables) as writer:
            for block in contiguous_blocks(reader, False):
                reached[block.stream] += block.units
                if isinstance(block.codes, PatchRows):
                    writer.add_rows(block.stream, block.codes.trimmed(streams[block.stream].levels))
                elif isinstance(block.codes, MotionRows):
                    raise CodesError("levels of a video with motion cannot be left out: what is predicted needs them")
                elif isinstance(streams[block.stream], AlphaInfo):
                    writer.add_alpha(block.stream, block.codes)
                else:
                    if block.mark is not None and block.mark.levels <= streams[block.stream].levels:
                        writer.mark(block.stream, block.first, block.mark)
                    writer.add(block.stream, block.codes[:, : streams[block.stream].levels])
            for info, units in zip(streams, reached):
                check_length(reader, info, units, False)
            writer.close([available_length(i, n) if i.length is None else i.length for i, n in zip(streams, reached)])


def contiguous_blocks(reader: TokenReader, salvage: bool) -> Iterator[Block]:
    """The blocks of a file that follow each other without a gap in their streams.

    Raises:
        FormatError: on the first that does not, unless `salvage`; then it is left out, and noted.
    """
    reached = [0] * len(reader.streams)
    for block in reader.blocks(salvage):
        expected, unit = reached[block.stream], reader.streams[block.stream].unit
        if block.first == expected:
            reached[block.stream] += block.units
            yield block
        elif salvage:
            reader.problems.append(f"stream {block.stream}: {unit} {expected} is missing")
        else:
            raise FormatError(f"stream {block.stream}: expected {unit} {expected}, found {block.first}")


def check_length(reader: TokenReader, info: StreamInfo, units: int, salvage: bool) -> bool:
    """Whether a stream holds as many units as its header says, or the header does not say how many.

    Raises:
        FormatError: if it does not, unless `salvage`; then it is noted.
    """
    if info.units in (None, units):
        return True
    text = f"the header promises {info.units} {info.unit}s, the blocks hold {units}"
    if not salvage:
        raise FormatError(text)
    reader.problems.append(text)
    return False


def available_length(info: StreamInfo, units: int) -> int:
    """Samples or pictures that so many units hold: those of whole frame groups, and no more than the header says."""
    if isinstance(info, VisionInfo):
        groups = units // info.rows
        available = 0 if groups == 0 else 1 + (groups - 1) * info.group
    else:
        available = units * info.frame_size if isinstance(info, AudioInfo) else 0
        if isinstance(info, AlphaInfo):
            available = units // info.height
    return available if info.length is None else min(info.length, available)


def seconds(info: StreamInfo, units: int) -> float:
    """The time that so many units of a stream take; 0 for an image."""
    if isinstance(info, VisionInfo):
        return float(available_length(info, units) / info.rate) if info.rate else 0.0
    return available_length(info, units) / info.sample_rate if isinstance(info, AudioInfo) else 0.0

"""Going through `.josie` files of any length in bounded memory: what they hold, and copies with fewer levels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..entropy.tables_file import Tables
from ..errors import CodesError, FormatError
from .container import Block, TokenReader, TokenWriter
from .header import AudioInfo, StreamInfo, VisualInfo
from .patch_payload import PatchRows


@dataclass
class Summary:
    """What a stream holds, without its codes.

    Attributes:
        info: its header.
        frames: frames (audio) or rows of patches (visual) that are there.
        patches, skipped, levels: of a visual stream: patches, those without codes, and the sum of all counts.
    """

    info: StreamInfo
    frames: int = 0
    patches: int = 0
    skipped: int = 0
    levels: int = 0

    @property
    def seconds(self) -> float:
        """Its length in time; 0 for a still picture."""
        return seconds(self.info, self.frames)


def summarise(path: str | Path, salvage: bool = False) -> tuple[list[Summary], list[str]]:
    """Go through a file of any length, checking every block; its streams, and what is wrong with it.

    Raises:
        FormatError: if it is damaged (and not to be salvaged), or no `.josie` file at all.
    """
    with TokenReader(path, codes=False) as reader:
        found = [Summary(info) for info in reader.streams]
        for block in in_order(reader, salvage):
            summary = found[block.stream]
            summary.frames += block.frames
            if isinstance(block.codes, PatchRows):
                summary.patches += block.codes.counts.size
                summary.skipped += int((block.codes.counts == 0).sum())
                summary.levels += int(block.codes.counts.sum(dtype=np.int64))
        for summary in found:
            short(reader, summary.info, summary.frames, salvage)
        return found, reader.problems


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
        streams = [replace(info, levels=min(levels, info.levels)) for info in reader.streams]
        reached = [0] * len(streams)
        with TokenWriter(target, streams, tables) as writer:
            for block in in_order(reader, False):
                reached[block.stream] += block.frames
                if isinstance(block.codes, PatchRows):
                    writer.add_rows(block.stream, block.codes.trimmed(streams[block.stream].levels))
                else:
                    writer.add(block.stream, block.codes[:, : streams[block.stream].levels])
            for info, frames in zip(streams, reached):
                short(reader, info, frames, False)
            known = [held(i, f) if i.length is None else i.length for i, f in zip(streams, reached)]
            writer.close(known)


def in_order(reader: TokenReader, salvage: bool) -> Iterator[Block]:
    """The blocks of a file that follow each other without a gap in their streams.

    Raises:
        FormatError: on the first that does not, unless `salvage`; then it is left out, and noted.
    """
    reached = [0] * len(reader.streams)
    for block in reader.blocks(salvage):
        expected = reached[block.stream]
        if block.first == expected:
            reached[block.stream] += block.frames
            yield block
        elif salvage:
            reader.problems.append(f"stream {block.stream}: frame {expected} is missing")
        else:
            raise FormatError(f"stream {block.stream}: expected frame {expected}, found {block.first}")


def short(reader: TokenReader, info: StreamInfo, frames: int, salvage: bool) -> bool:
    """Whether a stream has another number of frames than its header says; an error unless `salvage`."""
    if info.frames is None or info.frames == frames:
        return False
    text = f"the header promises {info.frames} frames, the blocks hold {frames}"
    if not salvage:
        raise FormatError(text)
    reader.problems.append(text)
    return True


def held(info: StreamInfo, frames: int) -> int:
    """Samples or pictures that so many frames hold: those of whole groups, and no more than the header says."""
    if isinstance(info, VisualInfo):
        groups = frames // info.rows
        most = 0 if groups == 0 else 1 + (groups - 1) * info.group
    else:
        most = frames * info.frame_size if isinstance(info, AudioInfo) else 0
    return most if info.length is None else min(info.length, most)


def seconds(info: StreamInfo, frames: int) -> float:
    """The time that so many frames of a stream take; 0 for a still picture."""
    if isinstance(info, VisualInfo):
        return float(held(info, frames) / info.rate) if info.rate else 0.0
    return held(info, frames) / info.sample_rate if isinstance(info, AudioInfo) else 0.0

"""A whole `.josie` file in memory: streams of codes and what is known about them."""

from __future__ import annotations

import io
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import IO, Any

import numpy as np

from ..entropy.tables_file import Tables
from ..errors import CodecError, CodesError, FormatError
from .container import TokenReader, TokenWriter
from .cut import cut_blocks, find_cut
from .header import AlphaInfo, AudioInfo, StreamInfo, VisionInfo, by_model, is_image
from .marks import Mark
from .motion_payload import MotionRows
from .patch_payload import PatchRows
from .picture_times import PictureTimes
from .scan import available_length, check_length, contiguous_blocks, seconds

MAX_PATCHES_IN_MEMORY = 1 << 27


@dataclass
class TokenStream:
    """One stream.

    Attributes:
        info: an `AudioInfo`, a `VisionInfo` or an `AlphaInfo`.
        codes: uint16 [levels, frames], the semantic level first (audio), `PatchRows` with the rows of all
            frame groups one below the other (vision), `MotionRows` (a video with motion), or uint8 [height, width]
            (alpha, 255 is opaque).
        marks: of audio, where its decoder is before some frames.
    """

    info: StreamInfo
    codes: np.ndarray | PatchRows | MotionRows
    marks: dict[int, Mark] = field(default_factory=dict)

    def __repr__(self) -> str:
        i = self.info
        if isinstance(i, VisionInfo):
            size = f"{i.width} x {i.height}" + (f", {self.seconds:.2f} s" if i.rate else "")
            return f"TokenStream(vision, {size}, {i.levels} levels of {i.model})"
        if is_image(i):
            return f"TokenStream(stereo image, {self.seconds:.2f} s)"
        if isinstance(i, AlphaInfo):
            return f"TokenStream(alpha, {i.width} x {i.height})"
        return f"TokenStream({i.kind}, {self.seconds:.2f} s, {self.units} frames x {i.levels} levels of {i.model})"

    @property
    def units(self) -> int:
        """Frames (audio) or rows of patches (vision) that are there."""
        if isinstance(self.codes, MotionRows):
            return self.codes.units
        if isinstance(self.info, AlphaInfo) and isinstance(self.codes, np.ndarray):
            return len(self.codes)
        return len(self.codes.counts) if isinstance(self.codes, PatchRows) else self.codes.shape[1]

    @property
    def times(self) -> np.ndarray:
        """When its pictures are shown, in seconds, float64 [pictures]; of audio, when its frames begin."""
        if isinstance(self.info, VisionInfo):
            if isinstance(self.codes, MotionRows) and self.codes.times is not None:
                return np.array(self.codes.times.starts) * float(self.codes.times.tick)
            pictures = available_length(self.info, self.units)
            return np.arange(pictures) / float(self.info.rate) if self.info.rate else np.zeros(pictures)
        assert isinstance(self.info, AudioInfo)
        return np.arange(self.units) * (self.info.frame_size / self.info.sample_rate)

    @property
    def seconds(self) -> float:
        """Its length in time; 0 for an image."""
        return seconds(self.info, self.units)


@dataclass
class TokenFile:
    """Streams of codes, as read from or to be written to a `.josie` file.

    Attributes:
        streams: one or more.
        problems: what was wrong with the file, if it was read with `salvage`.
    """

    streams: list[TokenStream]
    problems: list[str] = field(default_factory=list)

    def __repr__(self) -> str:
        problems = f", problems: {'; '.join(self.problems)}" if self.problems else ""
        return f"TokenFile({', '.join(map(repr, self.streams))}{problems})"

    def _repr_html_(self) -> str:
        return str(import_module("josiecodec.display").file_html(self))  # it stands above this module

    @classmethod
    def read(
        cls,
        path: str | Path | IO[bytes],
        salvage: bool = False,
        tables: Tables | None = None,
        *,
        start: float = 0.0,
        seconds: float | None = None,
    ) -> TokenFile:
        """Read a file, or a piece of one of sound: no more of it than that takes.

        Args:
            path: where it is; or a binary file, seekable where a piece is wanted.
            salvage: keep the whole blocks of a damaged or cut-off file. Only the unbroken beginning
                of each stream is kept; `TokenReader` gives what lies behind a gap, too. Not of pieces.
            tables: entropy tables by fingerprint, for models that did not come with the package.
            start, seconds: of the piece, which begins with the frame that is heard then; None for all that follows.
                All levels are kept: those after the base mean something only with what comes before.

        Raises:
            CodecError: if there is no such piece, or the file holds more than sound.
            FormatError: if it is damaged (and not to be salvaged), or no `.josie` file at all.
            ModelError: if its codes need tables that are not there.
        """
        with TokenReader(path, tables) as reader:
            if not start and seconds is None:
                return cls._collect(reader, salvage)
            if salvage:
                raise CodecError("pieces of damaged files cannot be salvaged; read the whole")
            cut = find_cut(reader, start, seconds)
            streams = [TokenStream(info, np.zeros((info.levels, 0), np.uint16)) for info in cut.streams]
            parts: list[list[np.ndarray]] = [[] for _ in streams]
            for block in cut_blocks(reader, cut):
                parts[block.stream].append(np.asarray(block.codes))
                if block.mark is not None:
                    streams[block.stream].marks[block.first] = block.mark
            for stream, blocks in zip(streams, parts):
                stream.codes = _joined(stream.info, blocks)
            return cls(streams)

    @classmethod
    def from_bytes(cls, data: bytes, salvage: bool = False, tables: Tables | None = None) -> TokenFile:
        """As `read`, from memory."""
        return cls._collect(TokenReader(data, tables), salvage)

    @classmethod
    def _collect(cls, reader: TokenReader, salvage: bool) -> TokenFile:
        parts: list[list[Any]] = [[] for _ in reader.streams]
        reached = [0] * len(parts)
        marks: list[dict[int, Mark]] = [{} for _ in parts]
        patches = 0
        for block in contiguous_blocks(reader, salvage):
            if isinstance(block.codes, PatchRows):
                patches += block.codes.counts.size
                if patches > MAX_PATCHES_IN_MEMORY:
                    raise FormatError("too many patches to be held in memory; decode the file block by block")
            parts[block.stream].append(block.codes)
            if block.mark is not None:
                marks[block.stream][block.first] = block.mark
            reached[block.stream] += block.units
        streams = []
        for info, blocks, units, marked in zip(reader.streams, parts, reached, marks):
            if not check_length(reader, info, units, salvage):
                info = info.with_length(available_length(info, units))
            codes = _joined(info, blocks)
            if isinstance(info, VisionInfo) and isinstance(codes, PatchRows):
                whole = codes.split(info.rows)[: units // info.rows]
                codes = PatchRows.joined(whole, info.columns)
            streams.append(TokenStream(info, codes, marked))
        return cls(streams, reader.problems)

    def write(self, path: str | Path, tables: Tables | None = None) -> None:
        """Write the file, whole or not at all."""
        with TokenWriter(path, [s.info for s in self.streams], tables) as writer:
            self._fill(writer)

    def to_bytes(self, tables: Tables | None = None) -> bytes:
        """The bytes of the file."""
        out = io.BytesIO()
        self._fill(TokenWriter(out, [s.info for s in self.streams], tables))
        return out.getvalue()

    def trimmed(self, levels: int) -> TokenFile:
        """The same with at most the first `levels` levels: a lower bitrate without a model.

        Raises:
            CodesError: if `levels` is less than 1.
        """
        if levels < 1:
            raise CodesError(f"at least one level must stay, not {levels}")
        streams = []
        for s in self.streams:
            if not by_model(s.info):
                streams.append(s)
                continue
            keep = min(levels, s.info.levels)
            if isinstance(s.codes, MotionRows):
                raise CodesError("levels of a video with motion cannot be left out: what is predicted needs them")
            codes = s.codes.trimmed(keep) if isinstance(s.codes, PatchRows) else s.codes[:keep]
            marks = {frame: mark for frame, mark in s.marks.items() if mark.levels <= keep}
            streams.append(TokenStream(replace(s.info, levels=keep), codes, marks))
        return TokenFile(streams)

    def _fill(self, writer: TokenWriter) -> None:
        # As encoders do it, who have to know what alpha takes before colours are coded.
        for index, s in enumerate(self.streams):
            if isinstance(s.info, AlphaInfo) and isinstance(s.codes, np.ndarray):
                writer.add_alpha(index, s.codes)
        lengths = []
        for index, s in enumerate(self.streams):
            if isinstance(s.codes, PatchRows):
                for group in s.codes.split(s.info.rows if isinstance(s.info, VisionInfo) else 1):
                    writer.add_rows(index, group)
            elif isinstance(s.codes, MotionRows):
                writer.add_pictures(index, s.codes)
            elif not isinstance(s.info, AlphaInfo):
                for frame, mark in s.marks.items():
                    writer.mark(index, frame, mark)
                writer.add(index, s.codes.T)
            lengths.append(available_length(s.info, s.units) if s.info.length is None else s.info.length)
        writer.close(lengths)


def _joined(info: StreamInfo, blocks: list[Any]) -> np.ndarray | PatchRows | MotionRows:
    if isinstance(info, VisionInfo):
        moving = [isinstance(b, MotionRows) for b in blocks]
        if any(moving):
            if not all(moving):
                raise FormatError("a video with motion among frame groups without")
            timed = [block.times for block in blocks if block.times is not None]
            if timed and len(timed) < len(blocks):
                raise FormatError("a video whose pictures have times in part")
            times = PictureTimes.joined(timed) if timed else None
            return MotionRows([picture for block in blocks for picture in block.pictures], info.rows, times)
        return PatchRows.joined(blocks, info.columns)
    if isinstance(info, AlphaInfo):
        return np.concatenate([np.zeros((0, info.width), np.uint8), *blocks])
    codes = np.concatenate(blocks) if blocks else np.zeros((0, info.levels), np.uint16)
    return np.ascontiguousarray(codes.T)

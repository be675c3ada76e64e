"""A whole `.josie` file in memory: streams of codes and what is known about them."""

from __future__ import annotations

import io
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from ..errors import CodesError, FormatError
from .container import TokenReader, TokenWriter
from .header import StreamInfo


@dataclass
class TokenStream:
    """One stream.

    Attributes:
        info: see `StreamInfo`.
        codes: uint16 [levels, frames], the semantic level first.
    """

    info: StreamInfo
    codes: np.ndarray

    @property
    def seconds(self) -> float:
        """Its exact length in time."""
        length = self.codes.shape[1] * self.info.frame_size if self.info.length is None else self.info.length
        return length / self.info.sample_rate


@dataclass
class TokenFile:
    """Streams of codes, as read from or to be written to a `.josie` file.

    Attributes:
        streams: one or more.
        problems: what was wrong with the file, if it was read with `salvage`.
    """

    streams: list[TokenStream]
    problems: list[str] = field(default_factory=list)

    @classmethod
    def read(cls, path: str | Path, salvage: bool = False) -> TokenFile:
        """Read a file.

        Args:
            path: where it is.
            salvage: keep the whole blocks of a damaged or cut-off file. Only the unbroken beginning
                of each stream is kept; `TokenReader` gives what lies behind a gap, too.

        Raises:
            FormatError: if it is damaged (and not to be salvaged), or no `.josie` file at all.
        """
        with TokenReader(path) as reader:
            return cls._collect(reader, salvage)

    @classmethod
    def from_bytes(cls, data: bytes, salvage: bool = False) -> TokenFile:
        """As `read`, from memory."""
        return cls._collect(TokenReader(data), salvage)

    @classmethod
    def _collect(cls, reader: TokenReader, salvage: bool) -> TokenFile:
        parts: list[list[np.ndarray]] = [[] for _ in reader.streams]
        reached = [0] * len(parts)
        for block in reader.blocks(salvage):
            if block.first == reached[block.stream]:
                parts[block.stream].append(block.codes)
                reached[block.stream] += len(block.codes)
            elif salvage:
                reader.problems.append(f"stream {block.stream}: frame {reached[block.stream]} is missing")
            else:
                raise FormatError(f"stream {block.stream}: expected frame {reached[block.stream]}, found {block.first}")
        streams = []
        for info, blocks, frames in zip(reader.streams, parts, reached):
            codes = np.concatenate(blocks) if blocks else np.zeros((0, info.levels), np.uint16)
            if info.frames is not None and info.frames != frames:
                text = f"the header promises {info.frames} frames, the blocks hold {frames}"
                if not salvage:
                    raise FormatError(text)
                reader.problems.append(text)
                info = replace(info, length=min(info.length or 0, frames * info.frame_size))
            streams.append(TokenStream(info, np.ascontiguousarray(codes.T)))
        return cls(streams, reader.problems)

    def write(self, path: str | Path) -> None:
        """Write the file, whole or not at all."""
        with TokenWriter(path, [s.info for s in self.streams]) as writer:
            self._fill(writer)

    def to_bytes(self) -> bytes:
        """The bytes of the file."""
        out = io.BytesIO()
        self._fill(TokenWriter(out, [s.info for s in self.streams]))
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
            keep = min(levels, s.info.levels)
            streams.append(TokenStream(replace(s.info, levels=keep), s.codes[:keep]))
        return TokenFile(streams)

    def _fill(self, writer: TokenWriter) -> None:
        for index, s in enumerate(self.streams):
            writer.add(index, s.codes.T)
        lengths = [
            s.codes.shape[1] * s.info.frame_size if s.info.length is None else s.info.length for s in self.streams
        ]
        writer.close(lengths)

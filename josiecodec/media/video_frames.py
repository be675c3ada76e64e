"""Decoded frames as they are shown: deinterlaced, in square pixels, turned and mirrored upright."""

from __future__ import annotations

import itertools
import struct
from collections import deque
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np

MAX_REORDER = 16  # pictures that one can be shown before others that are stored earlier
_MATRIX_SIZE = 36  # bytes of a display matrix: nine 32-bit numbers


def orientation(frame: Any) -> tuple[bool, bool, bool]:
    """How a frame is brought upright by its display matrix: (transpose first, then flip columns, flip rows)."""
    for data in frame.side_data:
        if data.type.name == "DISPLAYMATRIX" and len(bytes(data)) >= _MATRIX_SIZE:
            a, b, _, c, d, *_ = struct.unpack("=9i", bytes(data)[:_MATRIX_SIZE])
            if abs(a) + abs(d) >= abs(b) + abs(c):
                return False, a < 0, d < 0
            return True, c < 0, b < 0
    return False, False, False


def turned(picture: np.ndarray, how: tuple[bool, bool, bool]) -> np.ndarray:
    """[H, W, ...] brought upright."""
    transpose, columns, rows = how
    if transpose:
        picture = picture.swapaxes(0, 1)
    if columns:
        picture = picture[:, ::-1]
    if rows:
        picture = picture[::-1]
    return np.ascontiguousarray(picture)


def square_size(height: int, width: int, aspect: Fraction | None) -> tuple[int, int]:
    """Height and width in square pixels; `aspect` is that of a pixel, width to height, and the width follows it."""
    if not aspect or not Fraction(1, 8) <= aspect <= 8:
        return height, width
    return height, max(round(width * aspect), 1)


class Stamps:
    """Time stamps of the frames of a stream as they come out of its decoder.

    They are those of showing, or those of decoding where there are none, or where they turn out to go back more often
    (the same rule as FFmpeg's).
    """

    def __init__(self) -> None:
        self._faulty_pts = self._faulty_dts = 0
        self._pts: int | None = None
        self._dts: int | None = None

    def __call__(self, frame: Any) -> int | None:
        """The time stamp of a frame; None if it has none."""
        pts, dts = frame.pts, frame.dts
        if dts is not None:
            self._faulty_dts += self._dts is not None and dts <= self._dts
            self._dts = dts
        if pts is not None:
            self._faulty_pts += self._pts is not None and pts <= self._pts
            self._pts = pts
        stamp = pts if pts is not None and self._faulty_pts <= self._faulty_dts else dts
        return None if stamp is None else int(stamp)


class StorageOrder:
    """Time stamps of the pictures of an AVI, which stores none of showing: they are shown one after the other at the
    times of the packets, in whatever order they were stored. Places without a packet are repeats, and stay.
    """

    def __init__(self) -> None:
        self._waiting: deque[int] = deque()  # times of packets that no picture had yet

    def packet(self, dts: int | None) -> None:
        """Note a packet that is decoded."""
        if dts is not None:
            self._waiting.append(dts)

    def lost(self) -> None:
        """The packet that was noted last gave no picture: its time remains without one."""
        if self._waiting:
            self._waiting.pop()

    def __call__(self, frame: Any) -> int | None:
        """The time stamp of a frame; None if it has none."""
        own = None if frame.dts is None else int(frame.dts)
        while own is not None and len(self._waiting) > 1 and self._waiting[0] < own - MAX_REORDER:
            self._waiting.popleft()  # pictures were lost without a word
        return self._waiting.popleft() if self._waiting else own


class Deinterlacer:
    """Makes whole pictures of interlaced frames (FFmpeg's bwdif); progressive ones it gives back as they are.

    It starts with the first frame that is marked interlaced. Pictures stay as many as frames.

    Attributes:
        used: whether any frame was interlaced.
    """

    def __init__(self) -> None:
        self.used = False
        self._graph: Any = None
        self._form: tuple[Any, ...] = ()

    def __call__(self, frame: Any) -> Iterator[Any]:
        """Take a frame in, give those that are ready out."""
        form = (frame.width, frame.height, frame.format.name, int(frame.color_range), int(frame.colorspace))
        if self._graph is not None and form != self._form:
            yield from self.finish()
        if self._graph is None:
            if not frame.interlaced_frame:
                yield frame
                return
            self._graph, self._form, self.used = _graph(frame), form, True
        self._graph.push(frame)
        yield from self._ready()

    def finish(self) -> Iterator[Any]:
        """The rest of the frames."""
        if self._graph is not None:
            self._graph.push(None)
            yield from self._ready()
            self._graph = None

    def _ready(self) -> Iterator[Any]:
        import av

        while True:
            try:
                yield self._graph.pull()
            except (av.error.BlockingIOError, av.error.EOFError):
                return


def _graph(frame: Any) -> Any:
    import av

    graph = av.filter.Graph()
    source = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base or Fraction(1, 90000)
    )
    filters = [source, graph.add("bwdif", "mode=send_frame:deint=interlaced"), graph.add("buffersink")]
    for before, after in itertools.pairwise(filters):
        before.link_to(after)
    graph.configure()
    return graph

"""Time stamps of a film made continuous: holes stay, clocks that were reset do not."""

from __future__ import annotations

from typing import Any

MAX_HOLE = 24 * 3600.0  # seconds without a packet that are believed
MAX_HOLE_BROADCAST = 3600.0  # the same where a new recording or programme may follow in one file (MPEG-TS and -PS)
MAX_BACK = 0.3  # seconds that a stream may go back; more is a clock that was reset
RECENT = 1000  # packets after a reset among which some may still have the clock before it


class Clock:
    """Takes the packets of all streams in the order of the file, and moves their time stamps.

    A stream that goes on more than an hour later in a broadcast (a day elsewhere), or earlier than it ended, has a new
    clock: from there on the time stamps of all streams are moved alike, so that it goes on where it was. Everything
    less is a hole, and stays.

    Args:
        broadcast: whether it is a format whose clock may be reset.

    Attributes:
        resets: how often that happened.
    """

    def __init__(self, broadcast: bool):
        self.max_hole = MAX_HOLE_BROADCAST if broadcast else MAX_HOLE
        self.resets = 0
        self._offset = 0.0  # seconds to add
        self._before, self._left = 0.0, 0  # the same until the last reset, and for how many packets it may still hold
        self._ends: dict[int, float] = {}  # of each stream so far, corrected

    def breaks(self, packet: Any) -> bool:
        """Whether a packet has a clock that no packet before it had."""
        time, expected = _time(packet), self._ends.get(packet.stream.index)
        if time is None or expected is None:
            return False
        return not -MAX_BACK <= time + self._fitting(time, expected) - expected <= self.max_hole

    def reset(self, packet: Any) -> None:
        """Begin a new clock, by which a packet follows on the one of its stream before it."""
        time, expected = _time(packet), self._ends.get(packet.stream.index)
        if time is not None and expected is not None:
            self.resets += 1
            self._before, self._left, self._offset = self._offset, RECENT, expected - time

    def fix(self, packet: Any) -> None:
        """Move the time stamps of a packet if that is necessary."""
        if self.breaks(packet):
            self.reset(packet)
        time, index, base = _time(packet), packet.stream.index, packet.time_base
        offset = self._offset
        if time is not None:
            expected = self._ends.get(index)  # the first packets of two streams can lie seconds apart
            offset = offset if expected is None else self._fitting(time, expected)
            self._left = max(self._left - 1, 0)
            self._ends[index] = time + offset + (float(packet.duration * base) if packet.duration else 0.0)
        if offset and base:
            ticks = round(offset / float(base))
            if packet.dts is not None:
                packet.dts += ticks
            if packet.pts is not None:
                packet.pts += ticks

    def _fitting(self, time: float, expected: float) -> float:
        """The offset by which a packet comes closest to where it is expected: packets of two streams lie interleaved
        around a reset."""
        offsets = [self._offset, self._before] if self._left else [self._offset]
        return min(offsets, key=lambda offset: abs(time + offset - expected))


def _time(packet: Any) -> float | None:
    """Time stamp of a packet in seconds, on the clock of the file; that of decoding, which never goes back in a stream
    (Matroska does not always have it, and that of showing may not be taken in its place)."""
    return float(packet.dts * packet.time_base) if packet.dts is not None and packet.time_base else None

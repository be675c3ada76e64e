"""Time stamps of a film made continuous: holes stay, clocks that were reset do not."""

from __future__ import annotations

MAX_HOLE = 24 * 3600.0  # seconds without a packet that are believed
MAX_HOLE_BROADCAST = 3600.0  # the same where a new recording or programme may follow in one file (MPEG-TS and -PS)
MAX_BACK = 0.5  # seconds that a stream may go back; more is a clock that was reset
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

    def fix(self, packet: object) -> None:
        """Move the time stamps of a packet (`av.Packet`) if that is necessary."""
        stamp = packet.dts if packet.dts is not None else packet.pts  # type: ignore[attr-defined]
        base = packet.time_base  # type: ignore[attr-defined]
        if stamp is None or not base:
            return
        index, time = packet.stream_index, float(stamp * base)  # type: ignore[attr-defined]
        expected = self._ends.get(index)  # the first packets of two streams can lie seconds apart
        offset = self._offset if expected is None else self._fitting(time, expected)
        duration = packet.duration  # type: ignore[attr-defined]
        self._ends[index] = time + offset + (float(duration * base) if duration else 0.0)
        if offset:
            ticks = round(offset / float(base))
            if packet.dts is not None:  # type: ignore[attr-defined]
                packet.dts += ticks  # type: ignore[attr-defined]
            if packet.pts is not None:  # type: ignore[attr-defined]
                packet.pts += ticks  # type: ignore[attr-defined]

    def _fitting(self, time: float, expected: float) -> float:
        offset = self._offset
        if self._left:  # the packets of two streams lie interleaved around a reset
            self._left -= 1
            offset = min(offset, self._before, key=lambda o: abs(time + o - expected))
        if -MAX_BACK <= time + offset - expected <= self.max_hole:
            return offset
        self.resets += 1
        self._before, self._left, self._offset = self._offset, RECENT, expected - time
        return self._offset

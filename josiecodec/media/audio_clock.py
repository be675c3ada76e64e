"""Where the frames of a track belong: what its clock says against the samples that have come.

Screen shares and calls write no packets while nothing is heard, cameras and sound cards disagree on the length of a
second, and joined recordings begin their clock anew. So a hole becomes silence, what overlaps is left out, a slow
drift is caught up with bit by bit, and a clock that jumps to where the file cannot be is taken for a new one.
"""

from __future__ import annotations

import itertools
import statistics
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from .stretch import stretched as at_length

MIN_GAP = 0.05  # seconds between clock and samples that are let pass
AHEAD = 5  # frames that must agree before the clock is followed: packets of live recordings jitter
MAX_OVERLAP = 0.2  # seconds; a clock that jumps back further was begun anew
MAX_UNCLAIMED = 3600.0  # seconds of a hole that are believed of a file that does not say how long it is
STRETCH = 0.01  # of the speed, while a drift is caught up with


@dataclass(frozen=True)
class Placed:
    """A frame and what it takes for it to be in its place.

    Attributes:
        frame: of sound.
        gap: samples of silence before it; below 0 samples to be left out of what follows.
        drift: samples by which what follows is to be stretched; below 0 squeezed.
    """

    frame: Any
    gap: int = 0
    drift: int = 0


class Clock:
    """Follows the time stamps of the frames of a track.

    Attributes:
        first: position of the first frame.
        position: samples so far, with silence.
        filled: of these silence that took the place of packets.
        only_holes: never leave anything out: time stamps are counted, and wrong only where there is damage.

    Args:
        rate: of the samples, in Hz.
        end: last time stamp that is possible by what the file says; None if it says nothing.
        damaged: whether packets were lost so far: then the place of even one of them is filled.
        begin: time stamp of sample 0, if the first frame lies behind it; None if it is the first frame's.
    """

    def __init__(self, rate: int, end: float | None, damaged: Callable[[], bool], begin: float | None = None):
        self.rate, self.end, self.damaged = rate, end, damaged
        self.first = self.position = self.filled = 0
        self.only_holes = False
        self._begin = begin
        self._time: float | None = None  # where the clock was last
        self._raw = 0.0  # samples that have come, without those of holes
        self._lag = 0.0  # of these behind the clock, which has been made up for
        self._before: float | None = None  # that of the frame before

    def place(self, frames: Iterator[Any]) -> Iterator[Placed]:
        """The frames, each with what has to be done before it."""
        waiting: deque[tuple[Any, float | None, float]] = deque()
        for frame in itertools.chain(frames, [None]):
            if frame is not None:
                lag, length = self._lag_of(frame), frame.samples * self.rate / frame.sample_rate
                waiting.append((frame, lag, length))
                self._raw += length
            while waiting and (frame is None or len(waiting) >= AHEAD):
                yield self._placed(waiting)

    def _lag_of(self, frame: Any) -> float | None:
        """By how many samples the clock is ahead of the samples that came before a frame."""
        time = frame.time
        if time is None or time == self._time:  # frames of one packet of RealMedia, say, have one time stamp
            return None
        if self._time is None:
            if self._begin is not None:
                self.first = self.position = max(round((time - self._begin) * self.rate), 0)
                self._raw += self.first
            self._begin = time - self._raw / self.rate
            self._time = time
            return 0.0
        assert self._begin is not None
        lag = (time - self._begin) * self.rate - self._raw
        back = time < self._time - MAX_OVERLAP
        far = time > self._time + MAX_UNCLAIMED if self.end is None else time > self.end + 1.0
        if back or far:
            lag = self._lag
            self._begin = time - (self._raw + lag) / self.rate
        self._time = time
        return lag

    def _placed(self, waiting: deque[tuple[Any, float | None, float]]) -> Placed:
        frame, lag, length = waiting.popleft()
        gap = drift = 0
        if lag is not None:
            least = 0.5 * length if self.damaged() else MIN_GAP * self.rate
            late = lag - self._lag
            agreed = self._agreed(lag, waiting) if abs(late) > least else 0.0
            if abs(agreed) > least and (late > 0) == (agreed > 0) and (late > 0 or not self.only_holes):
                correction = round(late if abs(late) < abs(agreed) else agreed)
                if abs(lag - (self._before or 0.0)) > 0.5 * least:
                    gap = correction
                    self.filled += max(gap, 0)
                else:
                    drift = correction
                self._lag += correction
            self._before = lag
        self.position += round(length) + gap + drift
        return Placed(frame, gap, drift)

    def _agreed(self, lag: float, waiting: Iterable[tuple[Any, float | None, float]]) -> float:
        """How late a frame is by itself and those after it."""
        lags = [lag, *(other for _, other, _ in itertools.islice(waiting, AHEAD - 1) if other is not None)]
        return statistics.median(lags) - self._lag


def stretched(samples: np.ndarray, owed: int) -> tuple[np.ndarray, int]:
    """Samples [n, channels] made longer (shorter) by at most `owed`, a little at a time; and what is owed then."""
    count = len(samples)
    change = int(np.clip(owed, -STRETCH * count, STRETCH * count))
    if not change:
        return samples, owed
    columns = [at_length(column, count + change) for column in samples.T]
    return np.stack(columns, 1), owed - change

"""A sound device that is none: it keeps the time of one, so that the delay of a conversation can be measured."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np


class LoopBack:
    """Reads silence as a microphone gives it, and notes when what is written would be heard.

    A block can be read when it has been spoken. A block that is written is played at once, or behind the one before it;
    if it comes later than that, there is a gap.

    Args:
        sample_rate: in Hz.
        clock, sleep: in seconds; those of the machine, but in tests.

    Attributes:
        delays: of each block that was written, seconds from when the block heard before it began to be spoken to when
            it begins to be played.
        gaps: blocks that came too late.
    """

    def __init__(
        self,
        sample_rate: int,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ):
        self.sample_rate, self._clock, self._sleep = sample_rate, clock, sleep
        self.delays: list[float] = []
        self.gaps = 0
        self._spoken: float | None = None  # when the block that is read next begins
        self._heard = 0.0  # when the block that was read last began
        self._free: float | None = None  # when all that was written has been played

    def read(self, samples: int) -> tuple[np.ndarray, bool]:
        """As of sounddevice: the block [samples, 1], and whether others were lost."""
        self._spoken = self._clock() if self._spoken is None else self._spoken
        self._heard, self._spoken = self._spoken, self._spoken + samples / self.sample_rate
        self._sleep(max(self._spoken - self._clock(), 0.0))
        return np.zeros((samples, 1), np.float32), False

    def write(self, block: np.ndarray) -> None:
        """As of sounddevice: [samples, 1]."""
        now = self._clock()
        self.gaps += self._free is not None and now > self._free
        begins = now if self._free is None else max(now, self._free)
        self.delays.append(begins - self._heard)
        self._free = begins + len(block) / self.sample_rate

    def figures(self, put_off: float = 0.0) -> dict[str, float]:
        """Median and greatest delay in milliseconds, and gaps; `put_off` seconds are what the model puts levels off."""
        delays = [delay + put_off for delay in self.delays] or [0.0]
        return {
            "delay_ms": round(1000 * statistics.median(delays), 1),
            "worst_delay_ms": round(1000 * max(delays), 1),
            "gaps": self.gaps,
        }

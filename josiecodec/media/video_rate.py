"""The rate of a film: which even grid of times holds all of its pictures."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from fractions import Fraction

import numpy as np

MIN_RATE, MAX_RATE = Fraction(1, 3600), Fraction(1000)  # pictures per second that are believed, and can be stored
USUAL_MAX = 120  # more than this only films have whose pictures are mostly as close
_WHOLE = (1, 2, 4, 5, 8, 10, 12, 15, 16, 18, 20, 24, 25, 30, 40, 48, 50, 60, 72, 75, 90, 100, 120, 144, 240, 300, 480)
_FRACTIONS = ((25, 2), (24000, 1001), (30000, 1001), (48000, 1001), (60000, 1001), (120000, 1001), (240000, 1001))
_STANDARD = sorted(
    [*map(Fraction, _WHOLE), *(Fraction(*pair) for pair in _FRACTIONS), *map(Fraction, (600, 960, 1000))]
)
_SNAP = 0.003  # share by which a measured rate may differ from a named one
_EVEN = 0.3  # share of a picture by which a step may differ from the usual one in an even film
_IN_STEP = 0.8  # how alike (0 to 1) the places of pictures between two lines of the grid have to be to count
_EXACT = 0.0085  # seconds that a picture may be shown beside its time in an uneven film: half a step at 60/s
ROUNDING = 0.0016  # seconds by which times of an even film may be off: clocks of whole milliseconds, and jitter
_FEW_LOST = 0.01  # share of the pictures that may be left out of a film with very uneven times


def believable(rate: Fraction | None) -> bool:
    """Whether a rate in a file can be one of pictures."""
    return rate is not None and MIN_RATE <= rate <= MAX_RATE


def next_slot(place: float, last: int) -> int | None:
    """Where on the grid a picture goes, that belongs at `place` and follows one at `last`; None if nowhere.

    It may stand less than a whole step after its time, if its own place is taken.
    """
    slot = round(place)
    if slot > last:
        return slot
    return last + 1 if last + 1 - place < 1 else None


def lost_pictures(times: Sequence[float], rate: Fraction) -> int:
    """How many pictures would be left out on a grid of a rate."""
    last, lost, steps = -1, 0, float(rate)
    for time in times:
        slot = next_slot((time - times[0]) * steps, last)
        if slot is None:
            lost += 1
        else:
            last = slot
    return lost


def phase(times: Sequence[float], rate: Fraction) -> float:
    """By which share of a step most pictures stand after a grid that begins with the first one, in [-0.4, 0.6).

    0 where they stand anywhere: then no grid is better than another.
    """
    places = 2 * np.pi * (np.asarray(times) - times[0]) * float(rate)
    middle = np.exp(1j * places).mean()
    share = float(np.angle(middle)) / (2 * np.pi)
    return 0.0 if abs(middle) < _IN_STEP else (share + 0.4) % 1 - 0.4


def is_even(times: Sequence[float], rate: Fraction) -> bool:
    """Whether pictures fill a grid of a rate: one at every step, at its time but for the rounding of clocks."""
    places = (np.asarray(times) - times[0]) * float(rate)
    slots = np.rint(places - phase(times, rate))
    off = places - slots
    return bool((np.diff(slots) == 1).all() and np.ptp(off) <= 2 * ROUNDING * float(rate))


def choose_rate(times: Sequence[float], named: Iterable[Fraction | None]) -> Fraction:
    """The rate for pictures at some times, in seconds.

    Of an even film it is the measured one, as the file or a standard names it. Of an uneven one it is the first one,
    of those that the file names and then of the standard ones from low to high, that has room for all pictures near
    their times.

    Args:
        times: of all pictures, in order.
        named: rates by the file, the most trustworthy first.
    """
    times = [time for n, time in enumerate(times) if not n or time > times[n - 1]]  # one stamp twice says nothing
    rates = [Fraction(rate).limit_denominator(100_000) for rate in named if rate is not None and believable(rate)]
    steps = sorted(b - a for a, b in itertools.pairwise(times) if b > a)
    if not steps:
        return rates[0] if rates else Fraction(25)
    usual = steps[len(steps) // 2]
    even = [step for step in steps if abs(step - usual) <= _EVEN * usual]
    if len(even) >= 0.9 * len(steps):
        measured = len(even) / sum(even)
        near = [rate for rate in (*rates, *_STANDARD) if abs(float(rate) / measured - 1) < _SNAP]
        near.sort(key=lambda rate: abs(float(rate) / measured - 1) > 1e-4)  # stable: trusted ones first
        for rate in (*near, Fraction(measured).limit_denominator(1001)):
            if believable(rate) and not lost_pictures(times, rate):
                return rate
    limit = max(USUAL_MAX, 1.5 / usual)
    candidates = [rate for rate in (*rates, *_STANDARD) if rate <= limit]
    exact = [rate for rate in candidates if _error(times, rate) <= _EXACT]
    for rate in exact:
        if not lost_pictures(times, rate):
            return rate
    lost = [(rate, lost_pictures(times, rate)) for rate in exact or candidates]
    for rate, count in lost:
        if count <= _FEW_LOST * len(times):
            return rate
    return min(lost, key=lambda pair: (pair[1], pair[0]))[0]


def _error(times: Sequence[float], rate: Fraction) -> float:
    """Seconds by which nearly all pictures are at most beside their time on a grid."""
    places = (np.asarray(times) - times[0]) * float(rate) - phase(times, rate)
    return float(np.quantile(np.abs(places - np.rint(places)), 0.99)) / float(rate)

"""In which order the pictures of a window are coded, and what each is predicted from."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from ..bitstream.motion_payload import MOST_KEPT

DISTANCE = 16  # pictures from one that is predicted from the past alone to the next
EARLIER, LEAST_EARLIER = 8, 4  # how much earlier than its first reference its second one should be, and must be


@dataclass(frozen=True)
class Planned:
    """A picture of a window.

    Attributes:
        shown: its place in time.
        references: those of what it is predicted from; none of a key picture.
        depth: 0 of a key picture, 1 of one predicted from the past alone, then one more for each halving of the time.
        layer: 0 of a key picture, 1 if others are predicted from it, 2 if none is.
    """

    shown: int
    references: tuple[int, ...]
    depth: int
    layer: int


def plan(first: int, end: int, keys: Collection[int], kept: Collection[int] = ()) -> list[list[Planned]]:
    """Pictures `first` to `end` - 1 in order of decoding, in parts of up to `DISTANCE` and a key picture.

    Args:
        first, end: see there.
        keys: which are key pictures.
        kept: pictures before `first` that others may be predicted from.
    """
    parts = []
    at, known = first, sorted(kept)
    while at < end:
        part = []
        last = at - 1
        if at in keys:
            part.append(Planned(at, (), 0, 0))
            last, known = at, []
        until = min(last + DISTANCE, end - 1, min((k for k in keys if k > at), default=end) - 1)
        ordered = _order(last, until, known[-MOST_KEPT:])
        needed = {r for _, references, _ in ordered for r in references} | {until}
        part += [Planned(n, refs, depth, 1 if n in needed else 2) for n, refs, depth in ordered]
        parts.append(part)
        known = sorted([*known, *(p.shown for p in part if p.layer < 2)])
        at = until + 1
    return parts


def _order(last: int, until: int, known: Sequence[int]) -> list[tuple[int, tuple[int, ...], int]]:
    """The pictures behind `last`, the last that is known, in the order of decoding: place, references, depth.

    `known` are those before that are still there: what is predicted from the past alone is the better for a second one.
    """
    if until <= last:
        return []
    earlier = [n for n in known if n <= last - LEAST_EARLIER]
    second = (min(earlier, key=lambda n: abs(last - EARLIER - n)),) if earlier else ()
    out: list[tuple[int, tuple[int, ...], int]] = [(until, (last, *second), 1)]

    def between(a: int, b: int, depth: int) -> None:
        middle = (a + b) // 2
        if middle > a:
            out.append((middle, (a, b), depth))
            between(a, middle, depth + 1)
            between(middle, b, depth + 1)

    between(last, until, 2)
    return out

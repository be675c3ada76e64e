"""Payload of a block of a video with motion: pictures, each with a head, maybe a base, and the bits of its syntax.

A *key picture* is coded by itself: a base, which is a frame group like any other, and levels on top of it. All others
are predicted from one or two pictures that were decoded before, in any order of time. See docs/format.md.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from ..errors import FormatError
from .header import MAX_PATCHES, VisionInfo
from .picture_times import MAX_BYTES, PictureTimes
from .varint import get_varint, put_varint

MAX_AWAY = 64  # pictures between a picture and those that it is predicted from, and its place among the coded ones
MAX_BASE = 1 << 19  # bytes
MIXED = 1  # tools: probabilities mixed from several guesses, see `motion_mixed.py`
SHAPES = 2  # patches whose luma is one block of 16 x 16
WEAK = 8  # that a picture is filtered, see `vision/motion_enhance.py`: this is half the strength, twice it all
FILTER = 3 * WEAK  # all bits of that, which every picture has
CARRIED = 32  # motions are taken over from pictures before, see `motion_carried.py`
STILL = 64  # the key picture is coded as a still picture, see `still_payload.py`; it may have no levels on top
TOOLS = MIXED | SHAPES | FILTER | CARRIED | STILL  # all that are known
MOST_KEPT = 8  # decoded pictures that later ones may refer to


@dataclass(frozen=True)
class PictureHead:
    """What a payload begins with.

    Attributes:
        layer: 0 of a key picture, 1 if others are predicted from it, 2 if none is.
        step: of the levels, see `vision/motion_residual.py`.
        later: by how many pictures it is shown later than it is decoded; 0 of a key picture.
        references: by how many pictures each of them is shown later than this one (negative: earlier); at most two.
        base: of a key picture, the payload of its frame group, or that of a still picture; empty for grey.
        coded: whether the codes of the base are range coded.
        parities: of the base, see `exact_rounding.py`; empty in older files.
        varied: whether steps of patches vary.
        tools: of a key picture, those that it and the pictures behind it are coded with; of all pictures of such a
            video how strongly they are filtered (`FILTER`); None in a video without (codings 6 and 11).
    """

    layer: int
    step: int
    later: int = 0
    references: tuple[int, ...] = ()
    base: bytes = b""
    coded: bool = False
    parities: bytes = b""
    varied: bool = False
    tools: int | None = None

    @property
    def strength(self) -> int:
        """How strongly the picture is filtered, in halves of the weights."""
        return ((self.tools or 0) & FILTER) // WEAK

    @property
    def still(self) -> bool:
        """Whether it is a key picture that is coded as a still picture."""
        return self.layer == 0 and bool((self.tools or 0) & STILL)


@dataclass(frozen=True)
class MotionPayload:
    """One picture as it is written.

    Attributes:
        head: see there.
        bits: its modes, vectors and levels, see `motion_syntax.PictureSyntax`.
    """

    head: PictureHead
    bits: bytes

    @property
    def key(self) -> bool:
        """Whether it can be decoded by itself."""
        return self.head.layer == 0

    @property
    def bare(self) -> bool:
        """Whether it has no levels, as still pictures may."""
        return self.head.still and not self.bits

    def to_bytes(self) -> bytes:
        """Its part of the payload of a block."""
        h = self.head
        kind = h.layer | len(h.references) << 2 | h.coded << 4 | bool(h.parities) << 5 | h.varied << 6
        if h.layer:
            kind |= h.strength << 4
        out = bytes([kind | (h.tools is not None) << 7, h.step])
        if self.key:
            out += b"" if h.tools is None else bytes([h.tools])
            return out + b"".join(_sized(part) for part in (h.base, h.parities)[: 1 + bool(h.parities)]) + self.bits
        return out + b"".join(put_varint(_unsigned(n)) for n in (h.later, *h.references)) + self.bits

    @staticmethod
    def from_bytes(data: bytes) -> MotionPayload:
        """The inverse of `to_bytes`.

        Raises:
            FormatError: if it is not in order.
        """
        if len(data) < 2:
            raise FormatError("a picture without a head")
        layer, references, coded, protected = data[0] & 3, data[0] >> 2 & 3, data[0] >> 4 & 1, data[0] >> 5 & 1
        varied, tools = bool(data[0] >> 6 & 1), 0 if data[0] >> 7 else None
        if layer and tools is not None:
            tools, coded, protected = WEAK * (data[0] >> 4 & 3), 0, 0
        wrong = layer and (coded or protected)
        if layer > 2 or references > 2 or (layer == 0) != (references == 0) or wrong:
            raise FormatError(f"a picture of unknown kind {data[0]}")
        if layer == 0:
            at = 2
            if tools is not None:
                tools, at = data[2] if len(data) > 2 else 0, 3
                if not tools & MIXED or tools & ~TOOLS:
                    raise FormatError(f"a video with tools that this version does not know ({tools})")
            base, at = _part(data, at)
            parities, at = _part(data, at) if protected else (b"", at)
            if protected and not (base and parities):
                raise FormatError("parities of nothing")
            if (tools or 0) & STILL and not parities:
                raise FormatError("a still picture without parities")
            head = PictureHead(0, data[1], base=base, coded=bool(coded), parities=parities, varied=varied, tools=tools)
            return MotionPayload(head, data[at:])
        numbers, at = [], 2
        for _ in range(1 + references):
            number, at = get_varint(data, at, 2 * MAX_AWAY)
            numbers.append(_signed(number))
        if 0 in numbers[1:]:
            raise FormatError("a picture that is predicted from itself")
        head = PictureHead(layer, data[1], numbers[0], tuple(numbers[1:]), varied=varied, tools=tools)
        return MotionPayload(head, data[at:])


@dataclass(frozen=True)
class MotionRows:
    """Pictures of a stream with motion, in the order in which they are decoded.

    Attributes:
        pictures: one or more.
        rows: of patches, of each picture.
        times: of pictures that come at no even rate: when those are shown that are the n-th, in the order in which they
            are shown, where these are the n-th in the order in which they are decoded.
    """

    pictures: list[MotionPayload]
    rows: int
    times: PictureTimes | None = None

    @property
    def units(self) -> int:
        """Rows of patches of all pictures."""
        return len(self.pictures) * self.rows

    def split(self, rows: int, patches: int, columns: int, size: int) -> list[MotionRows]:
        """Parts for blocks: each begins with a key picture, or with one that is predicted from the past alone (if that
        does not follow a key picture), and has at most so many rows, patches and bytes, but at least one picture.
        """
        count = max(1, min(rows, patches // columns) // self.rows)
        parts: list[list[MotionPayload]] = []
        taken = 0
        for n, picture in enumerate(self.pictures):
            opens = picture.key or (max(picture.head.references) < 0 and not self.pictures[n - 1].key)
            own = len(_sized(picture.to_bytes())) + (MAX_BYTES if self.times else 0)
            if not parts or opens or len(parts[-1]) == count or taken + own > size:
                parts.append([])
                taken = 4 * MAX_BYTES if self.times else 0
            parts[-1].append(picture)
            taken += own
        ends = [*itertools.accumulate(map(len, parts), initial=0)]
        times = [None if self.times is None else self.times.part(*ends[n : n + 2]) for n in range(len(parts))]
        return [MotionRows(part, self.rows, own) for part, own in zip(parts, times, strict=True)]

    def to_bytes(self) -> bytes:
        """The payload of a block."""
        times = b"" if self.times is None else self.times.to_bytes()
        return times + b"".join(_sized(p.to_bytes()) for p in self.pictures)

    @staticmethod
    def from_bytes(data: bytes, units: int, rows: int, tooled: bool = False, timed: bool = False) -> MotionRows:
        """The inverse of `to_bytes`.

        Raises:
            FormatError: if it does not hold so many units, or is not in order.
        """
        if not rows or units % rows:
            raise FormatError(f"{units} rows of patches are no whole pictures")
        times, at = PictureTimes.from_bytes(data, units // rows) if timed else (None, 0)
        pictures = []
        for _ in range(units // rows):
            size, at = get_varint(data, at, len(data))
            if at + size > len(data):
                raise FormatError("a picture is cut off")
            pictures.append(MotionPayload.from_bytes(data[at : at + size]))
            if (pictures[-1].head.tools is not None) != tooled:
                raise FormatError(f"a picture of unknown kind {data[at]}")
            at += size
        if at != len(data):
            raise FormatError("bytes behind the last picture of a block")
        return MotionRows(pictures, rows, times)


def may_move(info: VisionInfo, units: int) -> bool:
    """Whether so many rows of patches may be pictures of a video with motion, as far as the header says."""
    return info.rate > 0 and info.group == 1 and units > 0 and units * info.columns <= MAX_PATCHES


def _sized(picture: bytes) -> bytes:
    return put_varint(len(picture)) + picture


def _part(data: bytes, at: int) -> tuple[bytes, int]:
    """Bytes with their size before them, and the place behind them."""
    size, at = get_varint(data, at, MAX_BASE)
    if at + size > len(data):
        raise FormatError("the base of a key picture is cut off")
    return data[at : at + size], at + size


def _unsigned(n: int) -> int:
    return 2 * n if n >= 0 else -2 * n - 1


def _signed(n: int) -> int:
    return -(n + 1 >> 1) if n & 1 else n >> 1

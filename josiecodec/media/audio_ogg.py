"""The pages of Ogg files (RFC 3533): recordings joined to one, and recordings of which pages are damaged or missing.

What lies behind a lost page is read as a recording of its own, with the headers of the whole before it, because
decoders either stop there, or go on as if nothing were missing.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from .audio_bytes import Part, Piece

MAX_PAGE = 27 + 255 + 255 * 255  # bytes
WINDOW = 1 << 20  # bytes looked through at a time for the next whole page
MAX_TRIALS = 1000  # places that look like a page and are none, before what follows is left as it is
_MIRROR = bytes(int(f"{n:08b}"[::-1], 2) for n in range(256))


@dataclass(frozen=True)
class Page:
    """A whole page: its bytes, and what its header says (`position` is -1 where no packet ends)."""

    start: int
    end: int
    first: bool
    position: int
    serial: int
    number: int


@dataclass
class _Link:
    """A recording on the way through its pages."""

    start: int
    headers: int | None = None  # where its headers end: the first page with samples
    piece: int = 0  # start of the piece of now
    serials: set[int] = field(default_factory=set)
    pieces: list[tuple[int, int, int]] = field(default_factory=list)  # start, end, position
    position: int = 0


def ogg_pieces(file: Part, size: int) -> list[Piece]:
    """The recordings that were joined to an Ogg file, in pieces where pages of them are lost."""
    found: list[Piece] = []
    link: _Link | None = None
    before: Page | None = None
    for page in _pages(file, size):
        if link is None or (page.first and before is not None and not before.first):
            if link is not None:
                found += _finished(file, link, page.start)
            link, before = _Link(page.start, piece=page.start), None
        link.serials.add(page.serial)
        lost = before is not None and (page.start > before.end or page.number != before.number + 1)
        if lost and before is not None and link.headers is not None and page.position >= 0:
            link.pieces.append((link.piece, before.end, link.position))
            link.piece = page.start
        if link.headers is None and page.position > 0:
            link.headers = page.start
        link.position = max(page.position, link.position)
        before = page
    return found + _finished(file, link, size) if link is not None else [Piece(((0, size),))]


def _finished(file: Part, link: _Link, end: int) -> list[Piece]:
    whole = [Piece(((link.start, end),))]
    if not link.pieces or len(link.serials) > 1 or link.headers is None:  # of several streams: decoders know better
        return whole
    file.seek(link.start)
    unit, skipped = _clock(file.read(MAX_PAGE))
    if not unit:
        return whole
    headers = (link.start, link.headers)
    pieces: list[Piece] = []
    for start, stop, position in [*link.pieces, (link.piece, end, link.position)]:
        ranges = ((start, stop),) if not pieces else (headers, (start, stop))
        pieces.append(Piece(ranges, (position - skipped) / unit, bool(pieces)))
    return pieces


def _clock(head: bytes) -> tuple[int, int]:
    """Positions per second, and how many samples at the beginning are none, by the first header; (0, 0) of others."""
    at = head.find(b"OpusHead", 0, 300)
    if at >= 0:
        return 48000, int.from_bytes(head[at + 10 : at + 12], "little")
    at = head.find(b"\x01vorbis", 0, 300)
    if at >= 0:
        return int.from_bytes(head[at + 12 : at + 16], "little"), 0
    at = head.find(b"\x7fFLAC", 0, 300)
    return (int.from_bytes(head[at + 27 : at + 30], "big") >> 4, 0) if at >= 0 else (0, 0)


def _pages(file: Part, size: int) -> Iterator[Page]:
    """The whole pages in order, without those that are damaged."""
    at, trials = 0, 0
    while at < size:
        page = _page(file, at)
        if page is not None:
            yield page
            at = page.end
            continue
        trials += 1
        at = _next(file, at + 1, size) if trials <= MAX_TRIALS else size


def _page(file: Part, at: int) -> Page | None:
    """The page at a place; None if there is none, or a damaged one."""
    file.seek(at)
    data = file.read(27 + 255)
    if data[:4] != b"OggS" or len(data) < 27:
        return None
    length = 27 + data[26] + sum(data[27 : 27 + data[26]])
    data = (data + file.read(length - len(data)) if length > len(data) else data)[:length]
    stored = int.from_bytes(data[22:26], "little")
    if len(data) < length or _checksum(data[:22] + bytes(4) + data[26:]) != stored:
        return None
    position = int.from_bytes(data[6:14], "little", signed=True)
    serial, number = int.from_bytes(data[14:18], "little"), int.from_bytes(data[18:22], "little")
    return Page(at, at + length, bool(data[5] & 2), position, serial, number)


def _next(file: Part, at: int, size: int) -> int:
    """Where something begins that looks like a page; `size` if nothing does."""
    while at < size:
        file.seek(at)
        data = file.read(WINDOW)
        found = data.find(b"OggS")
        if found >= 0:
            return at + found
        at += max(len(data) - 3, 1)
    return size


def _checksum(data: bytes) -> int:
    """The CRC of Ogg: that of zlib with all bits the other way round, and begun with 0."""
    crc = zlib.crc32(data.translate(_MIRROR), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{crc:032b}"[::-1], 2)

"""What the bytes of sound files say of their structure: files joined to one, and headers that were never finished."""

from __future__ import annotations

import functools
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

from .audio_bytes import Part, Piece
from .audio_ogg import ogg_pieces

CHUNK = 1 << 22  # bytes looked through at a time
TAIL = 4096  # bytes behind the end that a header names which are let pass: tags, padding
MAX_TAG = 1 << 24  # bytes of an ID3 tag with its pictures
MAX_CHUNKS = 1000
MAX_DATA_CHUNKS = 100_000
ENDLESS = 0x7FFFF000  # sizes from here on stand for "not known"


def joined_parts(source: str | Path | IO[bytes]) -> list[Piece]:
    """The recordings that were joined to one Ogg, MP3 or WAV file; a single one of any other file."""
    if isinstance(source, (str, Path)):
        stat = os.stat(source)
        return _parts_of_path(str(source), stat.st_size, stat.st_mtime_ns)
    return _parts(source)


@functools.lru_cache(64)
def _parts_of_path(path: str, size: int, changed: int) -> list[Piece]:
    """The same of a path; clips that are cut out of one long recording ask for it again and again."""
    return _parts(path)


def _parts(source: str | IO[bytes]) -> list[Piece]:
    with Part(source) as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        head = file.read(10)
        starts = [_behind_tag(file, head)]
        if head[:4] == b"OggS":
            return ogg_pieces(file, size)
        if is_mp3(head) and not starts[0]:
            starts += _mp3_joints(file)
        elif head[:4] == b"RIFF":
            starts += _wav_joints(file)
            chunks = _further_chunks(file, size) if len(starts) == 1 else []
            if chunks:
                return [Piece(tuple(chunks), in_chunks=True)]
    return [Piece((ends,)) for ends in zip(starts, [*starts[1:], size])]


def _behind_tag(file: Part, head: bytes) -> int:
    """Where a WAV, AIFF or FLAC file begins that has an ID3 tag before it; else 0."""
    if head[:3] != b"ID3" or len(head) < 10:
        return 0
    at = 10 + (head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9])
    file.seek(at)
    return at if file.read(4) in (b"RIFF", b"RF64", b"FORM", b"fLaC") else 0


def _wav_joints(file: Part) -> list[int]:
    """Where further WAV files begin: right behind the end that the header of the one before names."""
    joints: list[int] = []
    at = 0
    while len(joints) < MAX_CHUNKS:
        file.seek(at + 4)
        length = int.from_bytes(file.read(4), "little")
        at += 8 + length + length % 2
        file.seek(at)
        head = file.read(12)
        if head[:4] != b"RIFF" or head[8:] != b"WAVE":
            return joints
        joints.append(at)
    return joints


def _further_chunks(file: Part, size: int) -> list[tuple[int, int]]:
    """Ranges of a WAV whose samples lie in several `data` chunks: to the end of the first, and those of the others, of
    which the last may be cut off; empty if there is but one."""
    found: list[tuple[int, int]] = []
    at = 12
    for _ in range(MAX_DATA_CHUNKS):
        file.seek(at)
        head = file.read(8)
        length = int.from_bytes(head[4:], "little")
        cut_off = at + 8 + length > size
        if found and cut_off and len(head) == 8 and head[:4] == b"data":
            found.append((at + 8, size))
        if len(head) < 8 or cut_off or not all(32 <= c < 127 for c in head[:4]):
            break
        if head[:4] == b"data":
            found.append((at + 8 if found else 0, at + 8 + length))
        at += 8 + length + length % 2
    return found if len(found) > 1 else []


def is_mp3(head: bytes) -> bool:
    """Whether a file that begins so may be MP3: with an ID3 tag or the header of a frame of layer I to III."""
    return head[:3] == b"ID3" or (len(head) > 1 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0 and head[1] & 0x06 != 0)


def _mp3_joints(file: Part) -> list[int]:
    """Where further MP3 files begin: at frames with the header of an encoder (Xing, Info), with tags before them."""
    joints: list[int] = []
    for at in _found(file, (b"Xing", b"Info")):
        frame = _info_frame(file, at)
        if frame is not None and frame > 0:
            joints.append(_with_tag(file, frame))
    joints.sort()
    return joints[1:] if joints and _is_beginning(file, joints[0]) else joints


def _found(file: Part, marks: tuple[bytes, ...]) -> Iterator[int]:
    file.seek(0)
    base, tail = 0, b""
    while data := file.read(CHUNK):
        window = tail + data
        for mark in marks:
            at = window.find(mark)
            while at >= 0:
                if at + 4 > len(tail):
                    place = file.tell()
                    yield base - len(tail) + at
                    file.seek(place)
                at = window.find(mark, at + 1)
        base += len(data)
        tail = window[-3:]


def _info_frame(file: Part, at: int) -> int | None:
    """Where the frame begins that has an encoder's header at a place; None if that is chance."""
    begin = max(at - 38, 0)
    file.seek(begin)
    data = file.read(at - begin + 8)
    if len(data) < at - begin + 8 or not 0 < int.from_bytes(data[-4:], "big") <= 0xF:
        return None
    for version, sides in ((3, (32, 17)), (2, (17, 9)), (0, (17, 9))):
        for mono, side in enumerate(sides):
            start = at - begin - 4 - side
            head = data[start : start + 4] if start >= 0 else b""
            if len(head) == 4 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0 and (head[1] >> 3) & 3 == version:
                layer3, rate_known = head[1] & 6 == 2, head[2] & 0xC != 0xC and 0 < head[2] >> 4 < 15
                if layer3 and rate_known and (head[3] >> 6 == 3) == bool(mono):
                    return begin + start
    return None


def _with_tag(file: Part, frame: int) -> int:
    """Where the ID3 tag begins that ends at a frame; the frame itself if there is none."""
    begin = max(frame - MAX_TAG, 0)
    file.seek(begin)
    data = file.read(frame - begin)
    at = data.rfind(b"ID3")
    while at >= 0:
        size = data[at + 6 : at + 10]
        if len(size) == 4 and max(size) < 0x80:
            length = size[0] << 21 | size[1] << 14 | size[2] << 7 | size[3]
            if at + 10 + length == len(data):
                return begin + at
        at = data.rfind(b"ID3", 0, at)
    return frame


def _is_beginning(file: Part, joint: int) -> bool:
    """Whether no frame lies before a joint, but a tag at most."""
    file.seek(0)
    head = file.read(10)
    if head[:3] != b"ID3" or len(head) < 10:
        return joint < TAIL and not is_mp3(head)
    length = head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]
    return joint <= 10 + length + TAIL


@dataclass(frozen=True)
class Claim:
    """What the header of a file of uncompressed samples says about their place.

    Attributes:
        start: byte of the first sample.
        claimed: bytes of samples by the header; None where it does not say.
        there: bytes from `start` to the end of the file.
        unfinished: whether the samples go on behind what the header says: it was never finished.
        big_endian: order of the bytes of a sample.
    """

    start: int
    claimed: int | None
    there: int
    unfinished: bool
    big_endian: bool


def read_claim(source: str | Path | IO[bytes]) -> Claim | None:
    """What the header of a WAV, AIFF, CAF or AU file says; None of other files, and where no samples were found."""
    with Part(source) as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        head = file.read(32)
        if head[:4] == b".snd" and len(head) >= 12:
            start, claimed = struct.unpack(">II", head[4:12])
            return _claim(file, size, start, claimed, True)
        if head[:4] == b"caff":
            return _walk_caf(file, size)
        kind, form = head[:4], head[8:12]
        if (kind in (b"RIFF", b"RF64", b"BW64", b"RIFX") and form == b"WAVE") or kind == b"FORM":
            if kind == b"FORM" and form not in (b"AIFF", b"AIFC"):
                return None
            return _walk(file, size, kind in (b"FORM", b"RIFX"))
    return None


def _walk(file: Part, size: int, big: bool) -> Claim | None:
    order: Literal["big", "little"] = "big" if big else "little"
    at, long_size, swapped = 12, None, False
    for _ in range(MAX_CHUNKS):
        file.seek(at)
        head = file.read(36)
        if len(head) < 8:
            return None
        name, length = head[:4], int.from_bytes(head[4:8], order)
        if name == b"ds64":
            long_size = int.from_bytes(head[16:24], "little")
        elif name == b"COMM" and head[26:30] == b"sowt":
            swapped = True
        elif name in (b"data", b"SSND"):
            extra = 8 if name == b"SSND" else 0
            claimed = long_size if length == 0xFFFFFFFF and long_size else length
            return _claim(file, size, at + 8 + extra, max(claimed - extra, 0), big and not swapped)
        at += 8 + length + length % 2
    return None


def _walk_caf(file: Part, size: int) -> Claim | None:
    at = 8
    for _ in range(MAX_CHUNKS):
        file.seek(at)
        head = file.read(12)
        if len(head) < 12:
            return None
        length = int.from_bytes(head[4:], "big", signed=True)
        if head[:4] == b"data":
            return _claim(file, size, at + 16, length - 4 if length >= 4 else ENDLESS + size, True)
        if length < 0:
            return None
        at += 12 + length
    return None


def _claim(file: Part, size: int, start: int, claimed: int, big: bool) -> Claim:
    there = max(size - start, 0)
    if claimed >= ENDLESS and claimed > there:
        return Claim(start, None, there, False, big)
    behind = there - claimed
    unfinished = behind > (TAIL if claimed else 0) and not _is_chunk(file, start + claimed + claimed % 2, size)
    return Claim(start, claimed, there, unfinished, big)


def _is_chunk(file: Part, at: int, size: int) -> bool:
    """Whether what lies behind the samples is a chunk or a tag, or nothing at all: zeros."""
    file.seek(at)
    data = file.read(1 << 20)
    if data[:3] in (b"TAG", b"ID3") or data[:6] == b"APETAG" or not any(data):
        return True
    if len(data) < 8 or not all(32 <= c < 127 for c in data[:4]):
        return False
    sizes = [int.from_bytes(data[4:8], "little"), int.from_bytes(data[4:8], "big")]
    if len(data) >= 12:
        sizes.append(int.from_bytes(data[4:12], "big") + 4)  # of CAF
    return at + 8 + min(sizes) <= size + 1


def fact_samples(source: str | Path | IO[bytes]) -> tuple[int, int]:
    """Samples per channel by the `fact` chunk of a WAV, and how many a block of ADPCM has; 0 for what is not said."""
    count = block = 0
    with Part(source) as file:
        head = file.read(12)
        at = 12 if head[:4] == b"RIFF" and head[8:12] == b"WAVE" else -1
        for _ in range(MAX_CHUNKS if at > 0 else 0):
            file.seek(at)
            head = file.read(28)
            if len(head) < 12 or head[:4] == b"data":
                break
            if head[:4] == b"fact":
                count = int.from_bytes(head[8:12], "little")
            length = int.from_bytes(head[4:8], "little")
            if head[:4] == b"fmt " and length >= 20:
                block = int.from_bytes(head[26:28], "little")
            at += 8 + length + length % 2
    return count, block

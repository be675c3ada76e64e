"""Rounding that comes out the same on machines whose floating-point results differ a little.

Two machines round a value differently only if it lies near a boundary, and then by one: the lowest bits of the results
tell. They are treated as erasures of a random linear code over GF(2): the encoder gives parities of the lowest bits of
all numbers, a few more of them than there are doubtful numbers, and the decoder solves for its doubtful ones. That
takes about a bit for each; a list of their places would take ten.

Boundaries are shifted by up to an eighth, by another amount at each place, so that flat pictures have no more doubtful
numbers than others. See docs/format.md.
"""

from __future__ import annotations

import numpy as np

from ..errors import FormatError
from .varint import get_varint, put_varint

TOLERANCE = 1 / 512  # by how much values may differ
CLOSE = 1 / 1024  # the same of still pictures
RUN = 1 << 14  # numbers that have parities of their own
MAX_PARITIES = 1 << 11  # of a run
_SPREAD = 1024.0  # how finely boundaries are shifted: by (byte - 127.5) / _SPREAD


def round_and_protect(values: np.ndarray, tolerance: float = TOLERANCE) -> tuple[np.ndarray, bytes]:
    """Values float64 [N] within 0 .. 255, rounded to uint8, and the parities that `round_alike` wants.

    They serve all decoders whose values differ by less than `tolerance`. If there are too many doubtful values they are
    empty.
    """
    rounded, _, distance = _rounded(values)
    out = b""
    for begin in range(0, len(values), RUN):
        doubtful = np.nonzero(distance[begin : begin + RUN] < 2 * tolerance)[0]  # here, or wherever it is decoded
        count = _independent(begin + doubtful)
        if not count:
            return rounded, b""
        parities = _parities(rounded[begin : begin + RUN], begin, count)
        out += put_varint(count) + parities.to_bytes(-(-count // 8), "little")
    return rounded, out


def round_alike(values: np.ndarray, protection: bytes, tolerance: float = TOLERANCE) -> tuple[np.ndarray, bool]:
    """Values that differ little from those of an encoder, rounded as it has done it; whether that was possible.

    Raises:
        FormatError: if the parities are not in order.
    """
    rounded, other, distance = _rounded(values)
    at, alike = 0, True
    for begin in range(0, len(values), RUN):
        count, at = get_varint(protection, at, MAX_PARITIES)
        size = -(-count // 8)
        if at + size > len(protection):
            raise FormatError("parities are cut off")
        wanted = int.from_bytes(protection[at : at + size], "little")
        at += size
        missing = wanted ^ _parities(rounded[begin : begin + RUN], begin, count)
        if missing:
            doubtful = begin + np.nonzero(distance[begin : begin + RUN] < tolerance)[0]
            changed = _solved(missing, doubtful[:count], count)
            alike &= changed is not None
            rounded[changed or []] = other[changed or []]
    if at != len(protection):
        raise FormatError("bytes behind the parities")
    return rounded, alike


def _rounded(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Values rounded, what a little more or less would give, and how far that is."""
    shift = (_mixed(np.arange(len(values), dtype=np.uint64)) >> np.uint64(56)).astype(np.float64)
    moved = values + 0.5 + (shift - 127.5) / _SPREAD
    below = np.floor(moved)
    part = moved - below
    other = np.where(part < 0.5, below - 1, below + 1)
    rounded, other = (np.clip(x, 0, 255).astype(np.uint8) for x in (below, other))
    return rounded, other, np.minimum(part, 1 - part)


def _mixed(x: np.ndarray) -> np.ndarray:
    """SplitMix64 (Steele et al. 2014) of uint64 numbers."""
    x = (x + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ x >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ x >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
    return x ^ x >> np.uint64(31)


def _columns(places: np.ndarray, count: int) -> list[int]:
    """In which of `count` parities each place takes part, as bits of a number."""
    words = _words(places, count)
    return [int.from_bytes(row.tobytes(), "little") & (1 << count) - 1 for row in words]


def _words(places: np.ndarray, count: int) -> np.ndarray:
    parts = np.arange(1, -(-count // 64) + 1, dtype=np.uint64) << np.uint64(40)
    return _mixed(places.astype(np.uint64)[:, None] + parts).astype("<u8")


def _parities(rounded: np.ndarray, begin: int, count: int) -> int:
    odd = begin + np.nonzero(rounded & 1)[0]
    total = np.bitwise_xor.reduce(_words(odd, count), axis=0).astype("<u8")
    return int.from_bytes(total.tobytes(), "little") & (1 << count) - 1


def _independent(places: np.ndarray) -> int:
    """How many parities it takes that any set of errors at these places can be told from any other; 0: too many."""
    for count in range(len(places) + 2, MAX_PARITIES + 1):
        if len(_basis(_columns(places, count))) == len(places):
            return count
    return 0


def _basis(columns: list[int]) -> dict[int, tuple[int, int]]:
    """By their highest bit, independent sums of columns, and which columns (as bits) each is the sum of."""
    basis: dict[int, tuple[int, int]] = {}
    for n, column in enumerate(columns):
        value, parts = _reduced(column, basis)
        if value:
            basis[value.bit_length()] = value, parts ^ 1 << n
    return basis


def _reduced(value: int, basis: dict[int, tuple[int, int]]) -> tuple[int, int]:
    parts = 0
    while value and value.bit_length() in basis:
        other, more = basis[value.bit_length()]
        value, parts = value ^ other, parts ^ more
    return value, parts


def _solved(missing: int, places: np.ndarray, count: int) -> list[int] | None:
    """The places whose columns add up to what is missing."""
    rest, parts = _reduced(missing, _basis(_columns(places, count)))
    return None if rest else [int(p) for n, p in enumerate(places) if parts >> n & 1]

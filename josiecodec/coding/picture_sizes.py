"""What a still picture with a detail layer takes: its base, its parts, and what the price of a bit does to them."""

from __future__ import annotations

import math

import numpy as np

from ..bitstream.patch_payload import PatchRows, vision_bytes
from ..bitstream.still_payload import still_parts
from .picture_tools import Tools

LARGE = 1 << 14  # patches above which no decoded picture is kept
SIZED_BLOCKS = 4  # of a large base, whose exact sizes say what the others take
PRICED = 0.25  # power of bits over their price, with the sign turned around, where it is not known
FLAT, STEEP = 0.05, 2.0  # the same at least and at most
MOST_PRICED = 1.5  # by which the price of a bit changes within a picture, at most


def priced(off: float, power: float) -> float:
    """By what the price of a bit of the detail is to be multiplied if the detail takes exp(`off`) times too much."""
    most = math.log(MOST_PRICED)
    return math.exp(min(max(off / power, -most), most))


def power_of(bits: float, before: float, dearer: float) -> float:
    """The power, where a price `dearer` times as high makes `bits` of what were as many `before`."""
    return min(max(-math.log(max(bits, 1.0) / max(before, 1.0)) / math.log(dearer), FLAT), STEEP)


def base_bytes(rows: PatchRows, tools: Tools) -> float:
    """Bytes of a base in a file, about; of a large one by those of some blocks."""
    sizes = tools.network.n_q, tools.network.codebook_size, tools.tables
    parts = parts_of(*rows.counts.shape)
    if rows.counts.size <= LARGE or len(parts) <= SIZED_BLOCKS:
        return vision_bytes(rows, *sizes)
    some = np.linspace(0, len(parts), 2 * SIZED_BLOCKS + 1)[1::2].astype(int).tolist()
    pieces = rows.cut([last for _, last in parts[:-1]])
    roughly = [vision_bytes(piece, *sizes, exactly=False) for piece in pieces]
    return sum(roughly) * sum(vision_bytes(pieces[k], *sizes) for k in some) / max(sum(roughly[k] for k in some), 1)


def parts_of(height: int, columns: int) -> list[tuple[int, int]]:
    """Rows of patches that are put into one block, as first and behind the last."""
    return still_parts(height, columns)

"""Stereo as mid and side: how the bits are shared, and two files of one stream each as one file of two.

Mid and side (Johnston and Ferreira 1992) are half the sum and half the difference of left and right. The mid is what a
mono file would hold, so a reader that wants mono decodes it alone.
"""

from __future__ import annotations

import heapq
import io
import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from ..bitstream.container import Block, TokenReader, TokenWriter
from ..bitstream.header import AudioInfo
from ..entropy.tables_file import Tables
from ..errors import FormatError

SILENT_SIDE = -60.0  # dB below the mid: a side that is not heard
QUIET_SIDE = -30.0  # dB below the mid: a side that gets the least
LEAST, MOST = 0.15, 0.5  # of the bits of both


def side_level(mid: float, side: float) -> float:
    """How loud a side is beside its mid, in dB, from energies; minus infinity if it is silent."""
    return 10 * math.log10(side / max(mid, 1e-12)) if side > 1e-12 else -math.inf


def side_share(level: float) -> float:
    """The side's share of the bits of both, by how loud it is beside the mid in dB."""
    loud = min(max(1 - level / QUIET_SIDE, 0.0), 1.0)
    return LEAST + (MOST - LEAST) * loud


def side_levels(n_q: int, level: float) -> int:
    """Levels of the side beside `n_q` of the mid."""
    share = side_share(level)
    return max(1, round(n_q * share / (1 - share)))


def left_and_right(part: Tensor) -> Tensor:
    """Mid and side [2, n] -> left and right; mono [1, n] stays."""
    return part if len(part) == 1 else torch.stack([part[0] + part[1], part[0] - part[1]])


def merged(mid: bytes, side: bytes, tables: Tables | None = None) -> bytes:
    """Two files of one stream of audio each as one file of mid and side, in step.

    Args:
        mid, side: the files, of the same model and length.
        tables: entropy tables by fingerprint, for models that did not come with the package.

    Raises:
        FormatError: if they do not belong together.
    """
    out = io.BytesIO()
    with TokenReader(mid, tables) as first, TokenReader(side, tables) as second:
        infos = [info for reader in (first, second) for info in reader.streams]
        if len(infos) != 2 or not isinstance(infos[0], AudioInfo) or not isinstance(infos[1], AudioInfo):
            raise FormatError("mid and side are one stream of audio each")
        with TokenWriter(out, [infos[0], replace(infos[1], side=True)], tables) as writer:
            for _, stream, block in heapq.merge(_in_order(first, 0), _in_order(second, 1), key=lambda e: e[:2]):
                writer.add(stream, np.asarray(block.codes))
            writer.close([info.length or 0 for info in infos])
    return out.getvalue()


def _in_order(reader: TokenReader, stream: int) -> Iterator[tuple[int, int, Block]]:
    for block in reader.blocks():
        yield block.first, stream, block

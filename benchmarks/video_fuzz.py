"""Damaged videos with motion: each must give a typed error or whole pictures, and salvaged as many as the file says.

    python benchmarks/video_fuzz.py FILE.josie [--count 20000] [--seed 0]

What is damaged are pictures inside of blocks, or the order of pictures, with checksums that are right again: what a
checksum would catch does not reach the decoder of pictures.
"""

from __future__ import annotations

import argparse
import collections
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch

import josiecodec
from josiecodec.bitstream.container import Block
from josiecodec.bitstream.josie_file import TokenFile
from josiecodec.bitstream.motion_payload import MotionPayload, MotionRows
from josiecodec.coding.motion_codec import VideoDecoder
from josiecodec.errors import CodecError


def damaged(pictures: list[MotionPayload], random: np.random.Generator) -> list[MotionPayload]:
    """One of them changed, or two in the other order, or one twice.

    Raises:
        FormatError: if its head cannot be read any more.
    """
    out = list(pictures)
    n, kind = int(random.integers(len(out))), int(random.integers(8))
    if kind == 0:
        m = int(random.integers(len(out)))
        out[n], out[m] = out[m], out[n]
    elif kind == 1:
        out[n] = out[int(random.integers(len(out)))]
    else:
        raw = bytearray(out[n].to_bytes())
        first = 40 if kind < 5 else len(raw)  # the head, or anything
        for _ in range(int(random.integers(1, 4))):
            raw[int(random.integers(min(first, len(raw))))] = int(random.integers(256))
        if kind == 7:
            raw = raw[: int(random.integers(len(raw)))] + bytes(random.integers(0, 256, 20, np.uint8))
        out[n] = MotionPayload.from_bytes(bytes(raw))
    return out


def decoded(codec: Any, info: Any, rows: MotionRows, salvage: bool) -> int:
    """How many pictures come out; all of them finite."""
    decoder = VideoDecoder(codec, info, salvage=salvage)
    pictures = [*decoder.push(Block(0, 0, rows.units, rows)), *decoder.finish()]
    assert all(p.shape == (3, info.height, info.width) and bool(torch.isfinite(p).all()) for p in pictures)
    return len(pictures)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--count", type=int, default=20000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--model", default="jovio-16")
    args = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    codec: Any = josiecodec.load(args.model)
    stream: Any = TokenFile.read(args.file).streams[0]
    info, pictures, height = stream.info, stream.codes.pictures, stream.codes.rows
    random = np.random.default_rng(args.seed)
    found: collections.Counter[str] = collections.Counter()
    slowest = 0.0
    for _ in range(args.count):
        begin = time.monotonic()
        try:
            rows = MotionRows(damaged(pictures, random), height)
        except CodecError as error:
            found["head: " + type(error).__name__] += 1
            continue
        try:
            assert decoded(codec, info, rows, False) == info.length
            found["whole"] += 1
        except CodecError as error:
            found[type(error).__name__] += 1
            assert decoded(codec, info, rows, True) <= info.length
        slowest = max(slowest, time.monotonic() - begin)
    print(dict(found), f"slowest {slowest:.1f} s")


if __name__ == "__main__":
    main()

"""Damaged videos with motion: each must give a typed error or whole pictures, and salvaged as many as the file says.

    python benchmarks/video_fuzz.py FILE.josie [--count 20000] [--seed 0] [--model jovio-16-v7] [--out RESULT.md]

Every other file has damage that checksums do not catch, for they are made right again: in pictures inside of blocks, or
in their order. The others are damaged as files are: bytes changed (in blocks with and without the right checksum),
inserted and left out, blocks moved, ends cut off. Those are decoded from the beginning, salvaged, and from a picture in
the middle. A small file with several key pictures and with times (`docs/format.md`, coding 13) tries most of the code.
"""

from __future__ import annotations

import argparse
import collections
import io
import struct
import time
import warnings
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

import josiecodec
from josiecodec.bitstream.container import Block, TokenReader
from josiecodec.bitstream.josie_file import TokenFile
from josiecodec.bitstream.motion_payload import MotionPayload, MotionRows
from josiecodec.coding.motion_codec import VideoDecoder
from josiecodec.coding.motion_pictures import PictureDecoder
from josiecodec.coding.stretch import Stretch
from josiecodec.coding.video_piece import VideoPiece
from josiecodec.coding.video_times import ShownTimes, first_block, tick_of
from josiecodec.errors import CodecError
from josiecodec.vision.motion_planes import Planes


def bases_once(most: int = 64) -> None:
    """Keep the bases of key pictures that were decoded, which take most of the time and are seldom damaged."""
    decode = PictureDecoder._base
    known: dict[Any, Planes] = {}

    def kept(self: PictureDecoder, payload: MotionPayload) -> Planes:
        head = payload.head
        key = (head.base, head.coded, head.parities, self.h, self.w)
        if key not in known:
            if len(known) >= most:
                known.pop(next(iter(known)))
            known[key] = decode(self, payload)
        return replace(known[key])

    PictureDecoder._base = kept  # type: ignore[method-assign]


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
    assert all(p.shape == (3, info.height, info.width) and bool(np.isfinite(p).all()) for p in pictures)
    return len(pictures)


def damaged_file(data: bytes, blocks: list[tuple[int, int]], random: np.random.Generator) -> bytes:
    """A file with some damage; `blocks` are where its blocks begin and end."""
    out, kind = bytearray(data), int(random.integers(6))
    begin, end = blocks[int(random.integers(len(blocks)))]
    if kind == 0:
        return data[: int(random.integers(1, len(data)))]
    if kind == 1:
        a, b = blocks[int(random.integers(len(blocks)))]
        return data[:begin] + data[a:b] + data[end:]
    if kind == 2:
        noise = bytes(random.integers(0, 256, int(random.integers(0, 30)), np.uint8))
        at = int(random.integers(len(data)))
        return data[:at] + noise + data[at + int(random.integers(0, 30)) :]
    first, last = (begin, end) if kind < 5 else (0, len(data))
    for _ in range(int(random.integers(1, 4))):
        at = int(random.integers(first, min(last, first + 60) if kind == 3 else last))
        out[at] = int(random.integers(256))
    if kind < 5 and random.integers(4):
        struct.pack_into("<I", out, end - 4, zlib.crc32(out[begin : end - 4]))
    return bytes(out)


def decoded_file(codec: Any, data: bytes, salvage: bool, start: float | None = None) -> tuple[int, int | None]:
    """How many pictures come out of a file, from a time on; and how many its header says."""
    with TokenReader(io.BytesIO(data), codec.known_tables) as reader:
        if start is not None:
            piece = VideoPiece(codec, reader, 0, Stretch(start), salvage=salvage)
            return sum(duration > 0 for _, duration in piece.timed()), piece.info.length
        info = codec.check_stream(reader.streams[0])
        decoder = VideoDecoder(codec, info, salvage=salvage)
        blocks = reader.blocks(salvage)
        first, taken = first_block(blocks, 0)
        times = ShownTimes(info, tick_of(first), salvage)
        for block in [*taken, *blocks]:
            times.push(block)
            for picture in decoder.push(block):
                assert picture.shape == (3, info.height, info.width)
                assert times.duration(decoder.shown - 1) > 0
        for _ in decoder.finish():
            assert times.duration(decoder.shown - 1) > 0
        return decoder.shown, info.length


def blocks_of(data: bytes) -> list[tuple[int, int]]:
    """Where the blocks of a file begin and end."""
    with TokenReader(io.BytesIO(data)) as reader:
        return [(p.position, p.position + p.size) for p in reader.index().places(0, 0, float("inf"))]


def try_pictures(codec: Any, stream: Any, random: np.random.Generator) -> str:
    """What comes of one damaged list of pictures."""
    info, pictures, height = stream.info, stream.codes.pictures, stream.codes.rows
    try:
        rows = MotionRows(damaged(pictures, random), height)
    except CodecError as error:
        return "head: " + type(error).__name__
    try:
        assert decoded(codec, info, rows, False) == info.length
        return "whole"
    except CodecError as error:
        assert decoded(codec, info, rows, True) <= info.length
        return type(error).__name__


def try_file(codec: Any, data: bytes, blocks: list[tuple[int, int]], random: np.random.Generator) -> str:
    """What comes of one damaged file."""
    raw = damaged_file(data, blocks, random)
    found = "whole"
    try:
        shown, length = decoded_file(codec, raw, False)
        assert length is None or shown == length
    except CodecError as error:
        found = type(error).__name__
    for salvage, start in ((True, None), (False, 0.3), (True, 0.3)):
        try:
            shown, length = decoded_file(codec, raw, salvage, start)
            assert length is None or shown <= length
        except CodecError as error:
            found += ", " + type(error).__name__ if salvage else ""
    return "file: " + found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--count", type=int, default=20000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--model", default="jovio-16-v7")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    bases_once()
    warnings.simplefilter("ignore")
    codec: Any = josiecodec.load(args.model)
    stream: Any = TokenFile.read(args.file).streams[0]
    data = args.file.read_bytes()
    blocks = blocks_of(data)
    random = np.random.default_rng(args.seed)
    found: collections.Counter[str] = collections.Counter()
    wrong, slowest = 0, 0.0
    for n in range(args.count):
        begin, state = time.process_time(), random.bit_generator.state
        try:
            found[try_file(codec, data, blocks, random) if n % 2 else try_pictures(codec, stream, random)] += 1
        except Exception as error:
            wrong += 1
            print(f"file {n}: {type(error).__name__}: {error}; state {state['state']}", flush=True)
        slowest = max(slowest, time.process_time() - begin)
        if n % 1000 == 999:
            print(n + 1, dict(found), f"{wrong} wrong, slowest {slowest:.1f} s", flush=True)
    if args.out:
        args.out.write_text(report(args, len(data), found, wrong, slowest))


def report(args: Any, size: int, found: collections.Counter[str], wrong: int, slowest: float) -> str:
    """The result as Markdown."""
    lines = [
        f"{args.count} damaged videos with motion (seed {args.seed}, a file of {size} bytes by {args.model}), see "
        f"`benchmarks/video_fuzz.py`: {wrong} gave anything but a typed error or whole pictures; the slowest took "
        f"{slowest:.1f} s of processor time.",
        "",
        "| outcome | files |",
        "|---|---|",
    ]
    return "\n".join(lines + [f"| {name} | {count} |" for name, count in found.most_common()]) + "\n"


if __name__ == "__main__":
    main()

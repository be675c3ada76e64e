"""Pictures at equal file sizes: CPU seconds and PSNR of each effort, and of AVIF, WebP and JPEG.

python benchmarks/pictures.py FOLDER --bpp 0.2,0.5 --limit 8 > benchmarks/results/pictures.md

Everything runs in one process with one thread, on pictures in memory; starting Python and loading the model is not
counted, and stands below the table. The other codecs get the finest setting whose file is no larger than the default's,
and the time of that one alone, but not of looking for it.
"""

from __future__ import annotations

import argparse
import dataclasses
import io
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

import josiecodec
from josiecodec.coding.effort import EFFORTS
from josiecodec.media.images import IMAGE_SUFFIXES, load_image, to_bytes_rgb
from josiecodec.metrics.vision import psnr

OTHERS = {"avif": {"speed": 6}, "webp": {"method": 6}, "jpeg": {"optimize": True, "progressive": True}}
Row = tuple[float, float, float, float]  # bits per pixel, PSNR, CPU seconds of encoding and of decoding


def timed(work: Callable[[], object]) -> tuple[object, float]:
    """What it gives, and its CPU seconds."""
    begin = time.process_time()
    return work(), time.process_time() - begin


def row(x: Tensor, encode: Callable[[], bytes], decode: Callable[[bytes], Tensor]) -> Row:
    data, there = timed(encode)
    assert isinstance(data, bytes)
    found, back = timed(lambda: decode(data))
    assert isinstance(found, Tensor)
    pixels = torch.from_numpy(to_bytes_rgb(found)).permute(2, 0, 1).float() / 255
    return 8 * len(data) / x[0].numel(), float(psnr(pixels[None], x[None])), there, back


def saved(picture: Image.Image, kind: str, quality: int) -> bytes:
    out = io.BytesIO()
    picture.save(out, kind, quality=quality, **OTHERS[kind])
    return out.getvalue()


def finest(picture: Image.Image, kind: str, size: int) -> int | None:
    """The best quality whose file is no larger; None if there is none."""
    low, high = 0, 101
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if len(saved(picture, kind, middle)) <= size else (low, middle)
    return low or None


def measured(codec: josiecodec.Jovio, files: list[Path], bpp: float) -> dict[str, list[Row]]:
    rows: dict[str, list[Row]] = defaultdict(list)
    for path in files:
        x, size = load_image(path), 0
        for effort in EFFORTS:
            settings = dataclasses.replace(codec.settings, effort=effort)

            def encode(x: Tensor = x, s: josiecodec.EncoderSettings = settings) -> bytes:
                return codec.compress(x, bpp=bpp, settings=s)

            rows[f"josiecodec, {effort}"].append(row(x, encode, codec.decompress))
            if effort == "default":
                size = round(rows[f"josiecodec, {effort}"][-1][0] * x[0].numel() / 8)
        picture = Image.fromarray(to_bytes_rgb(x))
        for kind in OTHERS:
            quality = finest(picture, kind, size)
            if quality is not None:

                def other(p: Image.Image = picture, k: str = kind, q: int = quality) -> bytes:
                    return saved(p, k, q)

                rows[kind].append(row(x, other, lambda data: load_image(io.BytesIO(data))))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--bpp", default="0.2,0.5")
    parser.add_argument("--limit", type=int, default=8)
    given = parser.parse_args()
    torch.set_num_threads(1)
    codec, loading = timed(lambda: josiecodec.load("jovio-16-v7"))
    assert isinstance(codec, josiecodec.Jovio)
    every = sorted(p for p in given.folder.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES)
    files = every[:: max(1, len(every) // given.limit)][: given.limit]
    print(f"{len(files)} pictures; means. Files of the others are no larger than the default's of the same picture.\n")
    print(
        "| bits per pixel | codec | pictures | got | PSNR | s to encode | s to decode |\n|---|---|---|---|---|---|---|"
    )
    measured(codec, files[:1], 0.2)  # warms up
    for bpp in map(float, given.bpp.split(",")):
        for name, rows in measured(codec, files, bpp).items():
            got, quality, there, back = (sum(values) / len(rows) for values in zip(*rows))
            print(f"| {bpp:g} | {name} | {len(rows)} | {got:.3f} | {quality:.2f} | {there:.2f} | {back:.2f} |")
    print(f"\nLoading the model takes {loading:.1f} s of CPU time beside this.")


if __name__ == "__main__":
    main()

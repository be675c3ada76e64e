"""Videos at equal rates: this build, another one (`--other`), and x264 medium in two passes, on the same clips.

    python benchmarks/video.py CLIP... [--kbps 85 250] [--pictures 100] [--other PATH] [--out FILE] [--table FILE]

Rates are those that came out, of the pictures alone; PSNR (RGB, of all pictures together), PSNR of the differences
between pictures and MS-SSIM are measured against the pictures as they are read. Seconds are those of the processor,
with one thread, which say more than the clock on a machine that does other things as well; compiled code is compiled
before. `--other` is a checkout of another version, run in a process of its own. `--table` writes the seconds of both as
Markdown.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import josiecodec
from josiecodec.media.video_reader import VideoReader
from josiecodec.metrics.vision import frame_difference_psnr, ms_ssim, psnr

Coded = tuple[int, Tensor, float, float]  # bytes, pictures [3, T, H, W], seconds of encoding and decoding


def read(path: Path, pictures: int) -> tuple[Tensor, Fraction]:
    """The first pictures of a clip [3, T, H, W], with even sides, and how many there are a second."""
    with VideoReader(path) as reader:
        found = []
        for picture in reader.pictures():
            found.append(picture[:, : reader.size[0] // 2 * 2, : reader.size[1] // 2 * 2])
            if len(found) == pictures:
                break
        return torch.stack(found, 1), reader.rate


def ours(x: Tensor, rate: Fraction, kbps: float) -> Coded:
    """By the package."""
    codec: Any = josiecodec.load("jovio-16")
    begin = time.process_time()
    data = codec.compress(x, kbps=kbps, pictures_per_second=rate)
    middle = time.process_time()
    back = codec.decompress(data)
    return len(data), back, middle - begin, time.process_time() - middle


def x264(x: Tensor, rate: Fraction, kbps: float) -> Coded:
    """By libx264, preset medium, two passes, a key picture at least every 250."""
    begin = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        for number in (1, 2):
            _pass(x, rate, kbps, Path(folder), number)
        middle = time.process_time()
        size, back = _decoded(Path(folder) / "2.mkv")
    return size, back, middle - begin, time.process_time() - middle


def _pass(x: Tensor, rate: Fraction, kbps: float, folder: Path, number: int) -> None:
    import av

    with av.open(str(folder / f"{number}.mkv"), "w") as container:
        stream: Any = container.add_stream("libx264", rate=rate)
        stream.height, stream.width, stream.pix_fmt, stream.bit_rate = (
            x.shape[2],
            x.shape[3],
            "yuv420p",
            int(1000 * kbps),
        )
        stream.options = {"preset": "medium", "x264-params": f"pass={number}:stats={folder}/stats:keyint=250:threads=1"}
        for picture in (x * 255).round().to(torch.uint8).permute(1, 2, 3, 0).contiguous().numpy():
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(
                format="yuv420p", dst_colorspace="ITU709"
            )
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def _decoded(path: Path) -> tuple[int, Tensor]:
    import av

    size, pictures = 0, []
    with av.open(str(path)) as container:
        for packet in container.demux(video=0):
            size += packet.size
            for frame in packet.decode():
                rgb: Any = frame.reformat(format="rgb24", src_colorspace="ITU709")  # type: ignore[union-attr]
                pictures.append(torch.from_numpy(rgb.to_ndarray()).permute(2, 0, 1))
    return size, torch.stack(pictures, 1).float() / 255


def measured(name: str, code: Callable[..., Coded], clip: Path, kbps: float, pictures: int) -> dict[str, Any]:
    """One row of the table."""
    x, rate = read(clip, pictures)
    size, back, encoding, decoding = code(x, rate, kbps)
    seconds = x.shape[1] / float(rate)
    return {
        "clip": clip.stem,
        "codec": name,
        "wanted": kbps,
        "kbps": round(8 * size / seconds / 1000, 2),
        "psnr": round(psnr(back, x), 3),
        "difference_psnr": round(frame_difference_psnr(back, x), 3),
        "ms_ssim": round(float(np.mean([ms_ssim(a, b) for a, b in zip(back.unbind(1)[::5], x.unbind(1)[::5])])), 4),
        "seconds": round(seconds, 2),
        "encoding": round(encoding, 2),
        "decoding": round(decoding, 2),
    }


def warm_up() -> None:
    """Have all code compiled that videos need."""
    ours(torch.rand(3, 4, 32, 32), Fraction(10), 30.0)


def seconds_table(rows: list[dict[str, Any]]) -> str:
    """Seconds of encoding and decoding, of this build and another, as Markdown."""
    by = {(r["clip"], r["wanted"], r["codec"]): r for r in rows}
    lines = [
        "| clip | kbit/s | seconds | encode before | now | of real time | decode before | now | of real time | PSNR |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    ratios = []
    for (clip, wanted, codec), now in by.items():
        before = by.get((clip, wanted, "before"))
        if codec != "josiecodec" or before is None:
            continue
        length = now["seconds"]
        cells = [clip, f"{wanted:.0f}", f"{length:.1f}"]
        for part in ("encoding", "decoding"):
            cells += [f"{before[part]:.1f}", f"{now[part]:.1f}", f"{now[part] / length:.2f}"]
        lines.append(f"| {' | '.join(cells)} | {before['psnr']:.2f}, {now['psnr']:.2f} |")
        ratios.append([before[part] / now[part] for part in ("encoding", "decoding")])
    faster = np.exp(np.log(ratios).mean(0))
    return (
        "\n".join(lines)
        + f"\n\nEncoding is {faster[0]:.1f} and decoding {faster[1]:.1f} times faster (geometric means).\n"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument("--kbps", nargs="+", type=float, default=[85.0, 250.0])
    parser.add_argument("--pictures", type=int, default=100)
    parser.add_argument("--other", type=Path)
    parser.add_argument("--only", choices=("ours", "x264"))
    parser.add_argument("--name", default="josiecodec")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--table", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    if args.only != "x264":
        warm_up()
    rows = []
    for clip in args.clips:
        for kbps in args.kbps:
            if args.only != "x264":
                rows.append(measured(args.name, ours, clip, kbps, args.pictures))
                print(json.dumps(rows[-1]), flush=True)
            if args.only != "ours":
                rows.append(measured("x264", x264, clip, kbps, args.pictures))
                print(json.dumps(rows[-1]), flush=True)
            if args.other:
                command = [
                    sys.executable,
                    __file__,
                    str(clip),
                    "--kbps",
                    str(kbps),
                    "--only",
                    "ours",
                    "--name",
                    "before",
                ]
                command += ["--pictures", str(args.pictures)]
                env = os.environ | {"PYTHONPATH": str(args.other)}
                done = subprocess.run(command, env=env, check=True, capture_output=True, text=True)
                rows.append(json.loads(done.stdout))
                print(json.dumps(rows[-1]), flush=True)
    if args.out:
        args.out.write_text(json.dumps(rows, indent=1) + "\n")
    if args.table:
        args.table.write_text(seconds_table(rows))


if __name__ == "__main__":
    main()

"""Videos at equal rates: this build, x264 and x265 (medium, two passes) and SVT-AV1 (preset 6), on the same clips.

    python benchmarks/video.py CLIP... [--kbps 60 85 150 250] [--pictures 75] [--other PATH] [--out FILE]
        [--table FILE] [--speed-table FILE] [--reuse FILE] [--tune psnr|ssim]

All have a key picture every 10 s at the latest; the other encoders are those that PyAV brings along.

Rates are those that came out, of the pictures alone; PSNR (RGB, of all pictures together), PSNR of the differences
between pictures and MS-SSIM are measured against the pictures as they are read. Seconds are those of the processor,
with one thread, which say more than the clock on a machine that does other things as well; compiled code is compiled
before. `--table` writes all points and BD-rates as Markdown. `--other` is a checkout of another version, run in a
process of its own; `--speed-table` writes the seconds of both. `--reuse` takes the rows of the other encoders from a
file that `--out` wrote, where it has them.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from fractions import Fraction
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from video_codecs import PEERS, Coded

import josiecodec
from josiecodec import shipped
from josiecodec.media.video_reader import VideoReader
from josiecodec.metrics.bd_rate import CurvesError, bd_rate
from josiecodec.metrics.vision import frame_difference_psnr, ms_ssim, psnr
from josiecodec.settings import Tune

OURS = "josiecodec"
MODEL = "jovio-16-v7"


def read(path: Path, pictures: int) -> tuple[Tensor, Fraction]:
    """The first pictures of a clip [3, T, H, W], with even sides, and how many there are a second."""
    with VideoReader(path) as reader:
        found = []
        for picture in reader.pictures():
            found.append(picture[:, : reader.size[0] // 2 * 2, : reader.size[1] // 2 * 2])
            if len(found) == pictures:
                break
        return torch.stack(found, 1), reader.rate


def ours(x: Tensor, rate: Fraction, kbps: float, tune: Tune = "psnr") -> Coded:
    """By the package."""
    codec: Any = josiecodec.load(MODEL)
    settings = dataclasses.replace(codec.settings, tune=tune)
    begin = time.process_time()
    data = codec.compress(x, kbps=kbps, pictures_per_second=rate, settings=settings)
    middle = time.process_time()
    back = codec.decompress(data)
    return len(data), back, middle - begin, time.process_time() - middle


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


def origin() -> dict[str, str]:
    """What rows of this build say of it."""
    fingerprint = shipped.fingerprint_of(shipped.WEIGHTS / MODEL)[:16]
    return {"model": MODEL, "fingerprint": fingerprint, "version": version("josiecodec")}


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
        if codec != OURS or before is None:
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


MEASURES = {"psnr": "PSNR", "ms_ssim": "MS-SSIM", "difference_psnr": "PSNR of differences"}


def _bd(rows: list[dict[str, Any]], clip: str, codec: str, measure: str) -> float | None:
    """BD-rate of this build to a codec on a clip, in percent; None where curves have none."""
    curves = [[*{(r["kbps"], r[measure]) for r in rows if (r["clip"], r["codec"]) == (clip, c)}] for c in (codec, OURS)]
    try:
        return bd_rate(*curves)
    except CurvesError:
        return None


def _percent(value: float | None) -> str:
    return "none" if value is None else f"{value:+.1f}"


def field_table(rows: list[dict[str, Any]]) -> str:
    """All points, and BD-rates of this build to the other codecs, as Markdown."""
    lines = [__doc__.split("\n")[0], "", "Seconds of one processor core per second of video.", ""]
    lines += ["| clip | codec | kbit/s | PSNR | MS-SSIM | PSNR of differences | encode | decode |", "|---" * 8 + "|"]
    for r in rows:
        cells = [r["clip"], r["codec"], f"{r['kbps']:.1f}", f"{r['psnr']:.2f}", f"{r['ms_ssim']:.4f}"]
        cells += [f"{r['difference_psnr']:.2f}"] + [f"{r[k] / r['seconds']:.2f}" for k in ("encoding", "decoding")]
        lines.append(f"| {' | '.join(cells)} |")
    clips, codecs = list(dict.fromkeys(r["clip"] for r in rows)), dict.fromkeys(r["codec"] for r in rows)
    others = [c for c in codecs if c in PEERS]
    lines += [
        "",
        f"BD-rate of {OURS}, in percent: below 0 it takes fewer bits. Clips without one share no quality.",
        "",
    ]
    lines += [f"| measure | against | {' | '.join(clips)} | mean |", "|---" * (len(clips) + 3) + "|"]
    for measure, title in MEASURES.items():
        for codec in others:
            found = [_bd(rows, clip, codec, measure) for clip in clips]
            known = [v for v in found if v is not None]
            mean = _percent(float(np.mean(known))) if known else "none"
            mean += "" if len(known) == len(found) else f" ({len(known)} clips)"
            lines.append(f"| {title} | {codec} | {' | '.join(map(_percent, found))} | {mean} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument("--kbps", nargs="+", type=float, default=[60.0, 85.0, 150.0, 250.0])
    parser.add_argument("--pictures", type=int, default=75)
    parser.add_argument("--other", type=Path)
    parser.add_argument("--only", choices=("ours", "others"))
    parser.add_argument("--name", default=OURS)
    parser.add_argument("--tune", choices=("psnr", "ssim"), default="psnr")
    parser.add_argument("--reuse", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--table", type=Path)
    parser.add_argument("--speed-table", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    if args.only != "others":
        warm_up()
    known = {(r["clip"], r["codec"], r["wanted"]): r for r in json.loads(args.reuse.read_text())} if args.reuse else {}
    own = partial(ours, tune=args.tune)
    rows = []
    for clip in args.clips:
        for kbps in args.kbps:
            if args.only != "others":
                row = measured(args.name, own, clip, kbps, args.pictures)
                rows.append(row | origin() if args.name == OURS else row)
                print(json.dumps(rows[-1]), flush=True)
            if args.only != "ours":
                for name, peer in PEERS.items():
                    had = known.get((clip.stem, name, kbps))
                    rows.append(had or measured(name, peer, clip, kbps, args.pictures))
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
        args.table.write_text(field_table(rows))
    if args.speed_table:
        args.speed_table.write_text(seconds_table(rows))


if __name__ == "__main__":
    main()

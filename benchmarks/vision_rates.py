"""Rate and quality of pictures and clips beside JPEG, WebP, AVIF, x264 and x265, and beside a linear codec.

    python benchmarks/vision_rates.py VALID --train TRAIN --out benchmarks/results

VALID is a folder with `images/` and `clips/`, TRAIN one with pictures for the linear baseline: principal components
of patches, residual k-means codebooks, no network at all. It writes `vision_rates.json` (every point), a table in
Markdown, and `contact_sheet.webp` with originals, ours, JPEG and AVIF at equal size. All sizes are of whole files.
"""

from __future__ import annotations

import argparse
import dataclasses
import io
import itertools
import json
import math
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import torch
from PIL import Image
from torch import Tensor
from tqdm import tqdm

import josiecodec
from josiecodec import Jovio, Rate
from josiecodec.metrics.vision import frame_difference_psnr, ms_ssim, mse, to_psnr
from josiecodec.nn.residual import ResidualVectorQuantizer
from josiecodec.training.pictures import PictureConfig, Pictures, PictureSampler
from josiecodec.vision.convnet import ConvDecoder, ConvEncoder, start_linear
from josiecodec.vision.images import load_image, save_image, to_bytes_rgb
from josiecodec.vision.presets import preset
from josiecodec.vision.video import load_video

LEVELS = (1, 2, 4, 8, 16, 32)
RATES = (0.05, 0.1, 0.2, 0.4, 0.8)
SIDE = 320  # of the tiles of the contact sheet


def linear_codec(train: Path, patches: int) -> Jovio:
    """The baseline that any network must beat: what `jovio-16` is before its first step of training."""
    config = dataclasses.replace(preset("jovio-16"), name="linear")
    torch.manual_seed(0)
    codec = Jovio(config).eval().requires_grad_(False)
    sampler = PictureSampler(Pictures(train, videos=False), PictureConfig(), config.group)
    found = sampler.patches(patches, config.patch)
    assert isinstance(codec.encoder, ConvEncoder)
    assert isinstance(codec.decoder, ConvDecoder)
    start_linear(codec.encoder, codec.decoder, found)
    assert isinstance(codec.rvq, ResidualVectorQuantizer)
    groups = torch.cat([found, torch.zeros_like(found)], 1)[:, None]
    latents = torch.cat([codec.latent(g).reshape(len(g), -1) for g in groups.split(4096)])
    codec.rvq.initialise(latents, torch.Generator().manual_seed(0))
    return codec


def pillow(kind: str, quality: int) -> Callable[[Tensor], tuple[int, Tensor]]:
    """A codec of Pillow at a quality: picture -> bytes, decoded."""
    options = {"JPEG": {"optimize": True}, "WEBP": {"method": 6}, "AVIF": {"speed": 4}}[kind]

    def run(x: Tensor) -> tuple[int, Tensor]:
        file = io.BytesIO()
        Image.fromarray(to_bytes_rgb(x)).save(file, kind, quality=quality, **options)
        return file.tell(), load_image(io.BytesIO(file.getvalue()))

    return run


def ours(codec: Jovio, rate: Rate) -> Callable[[Tensor], tuple[int, Tensor]]:
    """Our codec at a rate."""

    def run(x: Tensor) -> tuple[int, Tensor]:
        data = codec.compress(x, rate)
        return len(data), (codec.decompress(data) * 255).round() / 255

    return run


def x26x(name: str, crf: int) -> Callable[[Tensor, Fraction], tuple[int, Tensor]]:
    """x264 or x265 without look-ahead, as a live encoder runs: video -> bytes, decoded."""

    def run(x: Tensor, rate: Fraction) -> tuple[int, Tensor]:
        file = io.BytesIO()
        # Both sides must be even; what is added is left out again.
        height, width = x.shape[-2:]
        padded = torch.nn.functional.pad(x, (0, width % 2, 0, height % 2), mode="replicate")
        with av.open(file, "w", format="matroska") as container:
            options = {"crf": str(crf), "preset": "medium", "tune": "zerolatency"}
            if name == "libx265":
                options["x265-params"] = "log-level=none"
            stream = container.add_stream(name, rate=rate, options=options)
            stream.height, stream.width = padded.shape[-2:]
            stream.pix_fmt = "yuv420p"
            for picture in padded.unbind(1):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(to_bytes_rgb(picture), format="rgb24")))
            container.mux(stream.encode(None))
        size = len(file.getvalue())
        file.seek(0)
        with av.open(file) as container:
            frames = [f.to_ndarray(format="rgb24") for f in container.decode(video=0)]
        decoded = torch.from_numpy(np.stack(frames)).permute(3, 0, 1, 2).float() / 255
        return size, decoded[..., :height, :width]

    return run


def judge_pictures(codecs: dict[str, Callable], pictures: list[Tensor]) -> list[dict]:
    """One line for each codec and setting: mean bits per pixel and scores over the pictures."""
    lines = []
    for name, run in tqdm(codecs.items(), unit="setting"):
        bpp, errors, similar = [], [], []
        for x in pictures:
            size, decoded = run(x)
            bpp.append(8 * size / (x.shape[-1] * x.shape[-2]))
            errors.append(mse(decoded, x))
            similar.append(ms_ssim(decoded, x))
        known = [s for s in similar if not math.isnan(s)]
        lines.append(
            {
                "codec": name,
                "bpp": round(sum(bpp) / len(bpp), 4),
                "psnr": round(sum(map(to_psnr, errors)) / len(errors), 3),
                "psnr_of_mean": round(to_psnr(sum(errors) / len(errors)), 3),
                "ms_ssim": round(sum(known) / max(len(known), 1), 4),
            }
        )
    return lines


def judge_clips(codecs: dict[str, Callable], clips: list[tuple[Tensor, Fraction]]) -> list[dict]:
    """The same for clips."""
    lines = []
    for name, run in tqdm(codecs.items(), unit="setting"):
        rows = []
        for x, rate in clips:
            size, decoded = run(x, rate)
            bits = 8 * size
            similar = [ms_ssim(a, b) for a, b in zip(decoded.unbind(1), x.unbind(1))]
            rows.append(
                (
                    bits / (x.numel() / 3),
                    bits * float(rate) / x.shape[1] / 1000,
                    to_psnr(mse(decoded, x)),
                    sum(similar) / len(similar),  # clips of less than 161 lines have none
                    frame_difference_psnr(decoded, x),
                )
            )
        means = [round(sum(r[i] for r in rows) / len(rows), 4) for i in range(5)]
        lines.append({"codec": name, **dict(zip(("bpp", "kbps", "psnr", "ms_ssim", "difference_psnr"), means))})
    return lines


def at_rate(lines: list[dict], family: str, bpp: float, score: str) -> float | None:
    """A score of a family of settings at a rate, on straight lines over the logarithm of the rate."""
    points = sorted((line["bpp"], line[score]) for line in lines if line["codec"].split()[0] == family)
    for (x0, y0), (x1, y1) in itertools.pairwise(points):
        if x0 <= bpp <= x1 and x1 > x0:
            share = (math.log(bpp) - math.log(x0)) / (math.log(x1) - math.log(x0))
            return y0 + share * (y1 - y0)
    return None


def contact_sheet(codec: Jovio, pictures: list[Tensor], path: Path, bpp: float) -> None:
    """Originals, ours, JPEG and AVIF at equal size, one picture in a row."""
    rows = []
    for x in pictures:
        size = 8 * bpp * x.shape[-1] * x.shape[-2] / 64
        shown = [x, ours(codec, Rate(bpp=bpp))(x)[1]]
        for kind in ("JPEG", "AVIF"):
            found = [pillow(kind, q)(x) for q in range(1, 60, 2)]
            shown.append(min(found, key=lambda f: abs(f[0] - size))[1])
        tiles = [torch.nn.functional.pad(s[:, :SIDE, :SIDE], (0, max(0, SIDE - s.shape[-1]))) for s in shown]
        rows.append(torch.cat(tiles, 2))
    save_image(torch.cat(rows, 1), path)


def table(lines: list[dict]) -> str:
    """Points as Markdown."""
    names = list(lines[0])
    out = ["| " + " | ".join(names) + " |", "|" + "---|" * len(names)]
    out += ["| " + " | ".join(str(line[n]) for n in names) + " |" for line in lines]
    return "\n".join(out)


def main() -> None:
    """Run everything that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("valid", type=Path)
    parser.add_argument("--train", type=Path, help="pictures for the linear baseline; without them it is left out")
    parser.add_argument("--model", default="jovio-16")
    parser.add_argument("--patches", type=int, default=60000, help="that the baseline learns from")
    parser.add_argument("--most", type=int, help="judge at most so many pictures")
    parser.add_argument("--no-clips", action="store_true")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    args = parser.parse_args()
    codec = josiecodec.load(args.model)
    paths = sorted((args.valid / "images").iterdir())[: args.most]
    pictures = [load_image(p) for p in paths]
    codecs: dict[str, Callable] = {}
    families = [("jovio", codec)] + ([("linear", linear_codec(args.train, args.patches))] if args.train else [])
    for name, model in families:
        codecs |= {f"{name} n_q {n}": ours(model, Rate(n_q=n)) for n in LEVELS}
        codecs |= {f"{name}-adaptive {r}": ours(model, Rate(bpp=r)) for r in RATES}
    for kind, qualities in (("JPEG", (1, 5, 10, 20, 40, 70)), ("WEBP", (0, 5, 20, 50, 80)), ("AVIF", (5, 20, 40, 60))):
        codecs |= {f"{kind} {q}": pillow(kind, q) for q in qualities}
    lines = judge_pictures(codecs, pictures)
    args.out.mkdir(parents=True, exist_ok=True)
    text = f"# Pictures\n\n{len(pictures)} pictures, means over them; sizes of whole files.\n\n{table(lines)}\n"
    families_shown = ["jovio-adaptive", "jovio", "linear-adaptive", "linear", "JPEG", "WEBP", "AVIF"]
    for score in ("psnr", "ms_ssim"):
        text += f"\nAt equal rate, {score}:\n\n| bpp | " + " | ".join(families_shown) + " |\n|" + "---|" * 8 + "\n"
        for rate in RATES:
            values = [at_rate(lines, family, rate, score) for family in families_shown]
            text += f"| {rate} | " + " | ".join("" if v is None else f"{v:.3f}" for v in values) + " |\n"
    result = {"pictures": lines}
    contact_sheet(codec, pictures[:: max(1, len(pictures) // 6)][:6], args.out / "contact_sheet.webp", 0.2)
    if not args.no_clips and (args.valid / "clips").is_dir():
        clips = [load_video(p) for p in sorted((args.valid / "clips").iterdir())]
        videos: dict[str, Callable] = {}
        for r in (0.01, 0.03, 0.1):
            videos[f"jovio {r}"] = lambda x, rate, r=r: (
                lambda data: (len(data), (codec.decompress(data) * 255).round() / 255)
            )(codec.compress(x, Rate(bpp=r), rate))
        for name in ("libx264", "libx265"):
            videos |= {f"{name} {crf}": x26x(name, crf) for crf in (24, 30, 36, 42, 48)}
        result["clips"] = judge_clips(videos, clips)
        text += f"\n# Clips\n\n{len(clips)} clips, whole files.\n\n{table(result['clips'])}\n"
    (args.out / "vision_rates.json").write_text(json.dumps(result, indent=1) + "\n")
    (args.out / "vision_rates.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()

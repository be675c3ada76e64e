"""Scores of many pictures and videos: one row for each of them and each rate, and their means."""

from __future__ import annotations

import math
import time
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor

from ..vision.jovio import Jovio
from ..vision.rate import Rate
from .vision import frame_difference_psnr, ms_ssim, mse, to_psnr

SCORES = ("bpp", "psnr", "ms_ssim", "difference_psnr", "encode_seconds", "decode_seconds")


@torch.no_grad()
def score_picture(codec: Jovio, picture: Tensor, rate: Rate, **labels: str) -> dict[str, Any]:
    """Compress a picture [3, H, W] to the bytes of a file, decompress and score it.

    Returns:
        a row with the labels, `kind`, `rate`, `bytes`, `bpp`, `mse`, `psnr`, `ms_ssim` and times in seconds.
    """
    begin = time.perf_counter()
    data = codec.compress(picture.to(codec.device), rate)
    middle = time.perf_counter()
    decoded = codec.decompress(data).cpu()
    end = time.perf_counter()
    row = _row("picture", rate, len(data), picture, decoded, labels)
    return row | {"encode_seconds": middle - begin, "decode_seconds": end - middle}


@torch.no_grad()
def score_clip(codec: Jovio, video: Tensor, per_second: Fraction, rate: Rate, **labels: str) -> dict[str, Any]:
    """As `score_picture` for a video [3, T, H, W], with `kbps` and `difference_psnr`."""
    begin = time.perf_counter()
    data = codec.compress(video.to(codec.device), rate, per_second)
    middle = time.perf_counter()
    decoded = codec.decompress(data).cpu()
    end = time.perf_counter()
    row = _row("video", rate, len(data), video, decoded, labels)
    row["kbps"] = round(8 * len(data) * float(per_second) / video.shape[1] / 1000, 3)
    row["difference_psnr"] = _known(frame_difference_psnr(decoded, video), 4)
    return row | {"encode_seconds": middle - begin, "decode_seconds": end - middle}


def _row(kind: str, rate: Rate, size: int, original: Tensor, decoded: Tensor, labels: dict[str, str]) -> dict[str, Any]:
    pictures = [(decoded, original)] if original.dim() == 3 else list(zip(decoded.unbind(1), original.unbind(1)))
    error = mse(decoded, original)
    similar = [ms_ssim(a, b) for a, b in pictures]
    return {
        **labels,
        "kind": kind,
        "rate": rate_name(rate),
        "bytes": size,
        "bpp": round(8 * size * 3 / original.numel(), 5),
        "mse": error,
        "psnr": _known(to_psnr(error), 4),
        "ms_ssim": _known(sum(similar) / len(similar), 5),
    }


def _known(value: float, digits: int) -> float | None:
    """None instead of nan and infinity, which JSON does not have."""
    return round(value, digits) if math.isfinite(value) else None


def rate_name(rate: Rate) -> str:
    """A rate in words."""
    given = {"n_q": rate.n_q, "bpp": rate.bpp, "kbps": rate.kbps, "weight": rate.weight}
    return next((f"{name} {value:g}" for name, value in given.items() if value is not None), "default")


def means(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Means of rows over the files, one line for each kind and rate.

    `psnr` is the mean of the files' PSNR; `psnr_of_mean` that of their mean squared error, which counts the bad
    ones for more.
    """
    out = []
    for kind, rate in dict.fromkeys((row["kind"], row["rate"]) for row in rows):
        chosen = [row for row in rows if (row["kind"], row["rate"]) == (kind, rate)]
        line: dict[str, Any] = {"kind": kind, "rate": rate, "files": len(chosen)}
        for name in SCORES:
            values = [row[name] for row in chosen if row.get(name) is not None]
            if values:
                line[name] = round(sum(values) / len(values), 4)
        line["psnr_of_mean"] = _known(to_psnr(sum(row["mse"] for row in chosen) / len(chosen)), 4)
        out.append(line)
    return out

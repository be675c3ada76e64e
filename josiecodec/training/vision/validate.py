"""Judging a vision codec in the course of training, always on the same pictures."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from ...coding.jovio import Jovio
from ...media.images import save_image
from ...metrics.vision import mse, to_psnr
from ...panels import labelled_columns
from ..core.usage import usage_scores
from .data import Pictures

SIDE = 512  # that is shown of a picture


def choose_pictures(pictures: Pictures, max_pictures: int = 24) -> list[Tensor]:
    """Evenly chosen pictures, float [3, H, W]; the first pictures of videos if there are no others."""
    count = len(pictures.images) or len(pictures.videos)
    get = pictures.image if pictures.images else pictures.video
    step = max(1, count // max_pictures)
    return [get(i)[:, 0].float() / 255 for i in range(0, count, step)][:max_pictures]


@torch.no_grad()
def validate(model: Jovio, pictures: list[Tensor], levels: tuple[int, ...]) -> dict[str, float]:
    """Mean of the pictures' PSNR at each number of levels (`psnr@8`), and how the codebooks are used.

    Keys of the latter are `entropy_bits/0`, `used/0` and so on, per level.
    """
    device = model.device
    scores: dict[int, list[float]] = {n: [] for n in levels}
    usage = torch.zeros(max(levels), model.codebook_size)
    for picture in pictures:
        size = (picture.shape[-2], picture.shape[-1])
        for n in levels:
            codes = model.encode(picture[None].to(device), n)
            if n == max(levels):
                for k in range(n):
                    usage[k] += torch.bincount(codes[0, k].flatten().cpu(), minlength=model.codebook_size)
            decoded = model.decode(codes, size)[0].cpu()
            scores[n].append(to_psnr(mse(decoded, picture)))
    out = {f"psnr@{n}": round(sum(v) / len(v), 4) for n, v in scores.items()}
    return out | usage_scores(usage)


@torch.no_grad()
def contact_sheet(model: Jovio, pictures: list[Tensor], path: str | Path, levels: tuple[int, ...]) -> None:
    """Save originals and what is left of them at some numbers of levels, a row for each picture."""
    pictures = [p[:, :SIDE, :SIDE] for p in pictures]
    height, width = max(p.shape[-2] for p in pictures), max(p.shape[-1] for p in pictures)
    sheet = torch.ones(3, len(pictures) * height, (1 + len(levels)) * width)
    for row, picture in enumerate(pictures):
        h, w = picture.shape[-2:]
        x = picture[None].to(model.device)
        shown = [picture] + [model.decode(model.encode(x, n), (h, w))[0].cpu() for n in levels]
        for column, x in enumerate(shown):
            sheet[:, row * height : row * height + h, column * width : column * width + w] = x
    save_image(labelled_columns(sheet, ["original", *(f"n_q {n}" for n in levels)]), path)

"""Pictures with axes and labels, of training: spectrograms below each other, and columns of a contact sheet."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from .display import HOP, mel_axis, mel_levels, spectrogram
from .media.images import to_bytes_rgb

LEFT, RIGHT, LINE = 44, 14, 18  # pixels beside and above what is shown
BANDS = 160  # of a spectrogram
TEXT, BACK = (30, 30, 30), (255, 255, 255)


def spectrogram_panels(waves: list[tuple[str, Tensor]], sample_rate: int) -> Tensor:
    """Mel spectrograms of waveforms [T] below each other: kHz over seconds, all on the scale of the first one.

    Returns:
        [3, H, W] in [0, 1].
    """
    from PIL import Image, ImageDraw

    top = float(mel_levels(waves[0][1], sample_rate, BANDS).max())
    pictures = [(name, spectrogram(wave, sample_rate, BANDS, top)) for name, wave in waves]
    width = max(p.shape[-1] for _, p in pictures)
    panel = LINE + BANDS
    sheet = Image.new("RGB", (LEFT + width + RIGHT, len(pictures) * panel + 2 * LINE), BACK)
    draw = ImageDraw.Draw(sheet)
    for number, (name, picture) in enumerate(pictures):
        y = number * panel + LINE
        draw.text((LEFT, y - 4), name, TEXT, anchor="ls")
        sheet.paste(Image.fromarray(to_bytes_rgb(picture)), (LEFT, y))
        for label, place in mel_axis(sample_rate):
            at = y + BANDS - 1 - round(place * (BANDS - 1))
            draw.line((LEFT - 4, at, LEFT - 1, at), TEXT)
            draw.text((LEFT - 6, min(max(at, y + 6), y + BANDS - 5)), label, TEXT, anchor="rm")
    below = len(pictures) * panel
    seconds = width * HOP / sample_rate
    step = next(s for s in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 60, math.inf) if seconds / s <= 12)
    for n in range(int(seconds / step) + 1 if step < math.inf else 1):
        x = LEFT + round(n * step * sample_rate / HOP) if n else LEFT
        draw.line((x, below, x, below + 3), TEXT)
        draw.text((x, below + 5), f"{n * step:g}" if n else "0", TEXT, anchor="ma")
    draw.text((LEFT + width, below + LINE + 4), "seconds", TEXT, anchor="ra")
    draw.text((2, 4), "kHz", TEXT)
    return _tensor(sheet)


def labelled_columns(sheet: Tensor, names: list[str]) -> Tensor:
    """A sheet [3, H, W] of equally wide columns with their names above them."""
    from PIL import Image, ImageDraw

    height, width = sheet.shape[-2:]
    out = Image.new("RGB", (width, height + LINE), BACK)
    out.paste(Image.fromarray(to_bytes_rgb(sheet)), (0, LINE))
    draw = ImageDraw.Draw(out)
    for number, name in enumerate(names):
        draw.text((number * width // len(names) + 3, LINE - 4), name, TEXT, anchor="ls")
    return _tensor(out)


def _tensor(picture: object) -> Tensor:
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1).float() / 255

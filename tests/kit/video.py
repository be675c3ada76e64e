"""Small videos."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import torch

from josiecodec.media.video_writer import VideoWriter
from kit.vision import scene


def write_video(path: Path, size=(48, 64), pictures: int = 20, rate=Fraction(10), audio: bool = False) -> torch.Tensor:
    """A video on disk; with audio it flashes and beeps in its second second."""
    x = scene(*size, pictures)[0]
    if audio:
        x = 0.5 * x
        x[:, int(rate) : int(rate) + 5] = 1.0
    with VideoWriter(path, size, rate, 24000 if audio else None) as writer:
        for picture in x.unbind(1):
            writer.write(picture)
        if audio:
            wave = torch.zeros(round(24000 * pictures / float(rate)))
            wave[24000:36000] = 0.5 * torch.sin(torch.arange(12000) * 0.2)
            for part in wave.split(1000):
                writer.write_audio(part)
    return x

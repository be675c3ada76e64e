"""VMAF (Netflix) of decoded videos, by an ffmpeg program that was built with libvmaf, where there is one.

The FFmpeg libraries of PyAV are not; many builds of the program are, that of the package imageio-ffmpeg among them.
"""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
import tempfile
from fractions import Fraction
from pathlib import Path

import torch
from torch import Tensor

from ..errors import CodecError

SWITCH = "JOSIECODEC_FFMPEG"  # of the environment: the program to use
SECONDS = 20  # within which a program says what it can do
# Both sides come as RGB and become 4:2:0 in the same way, as the model is of such pictures.
_GRAPH = "[0:v]format=yuv420p[a];[1:v]format=yuv420p[b];[a][b]libvmaf=log_fmt=json:log_path=log.json:n_threads=1"


@functools.cache
def ffmpeg_with_vmaf() -> str | None:
    """The ffmpeg program that knows VMAF: that of the environment, of the path, or of imageio-ffmpeg; else None."""
    for program in (os.environ.get(SWITCH), shutil.which("ffmpeg"), _of_imageio()):
        if program and _knows_vmaf(program):
            return program
    return None


def _of_imageio() -> str | None:
    try:
        import imageio_ffmpeg

        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except (ImportError, RuntimeError):
        return None


def _knows_vmaf(program: str) -> bool:
    try:
        done = subprocess.run([program, "-hide_banner", "-filters"], capture_output=True, text=True, timeout=SECONDS)
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return False
    return " libvmaf " in done.stdout


def vmaf(decoded: Tensor, original: Tensor, rate: Fraction) -> float:
    """VMAF of a video [3, T, H, W] in [0, 1], RGB: 0 to 100, higher is better; the mean over pictures.

    By the default model of libvmaf (v0.6.1), which is for 1080 lines watched from three heights away: of small pictures
    it says how they look as they are, not scaled up.

    Args:
        decoded, original: of the same shape.
        rate: pictures per second.

    Raises:
        CodecError: if there is no ffmpeg with libvmaf, or it fails.
    """
    program = ffmpeg_with_vmaf()
    if program is None:
        raise CodecError(f"VMAF needs an ffmpeg program with libvmaf; {SWITCH} names one")
    if decoded.shape != original.shape:
        raise CodecError(f"pictures of shapes {list(decoded.shape)} and {list(original.shape)} cannot be compared")
    height, width = original.shape[-2:]
    form = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", str(rate)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file, video in (("decoded", decoded), ("original", original)):
            with open(folder / file, "wb") as raw:
                for picture in video.unbind(1):
                    rgb = (picture.clamp(0, 1) * 255).round().to(torch.uint8)
                    raw.write(rgb.permute(1, 2, 0).cpu().numpy().tobytes())
        command = [program, "-v", "error", "-nostdin", *form, "-i", "decoded", *form, "-i", "original"]
        done = subprocess.run(
            [*command, "-lavfi", _GRAPH, "-f", "null", "-"], cwd=folder, capture_output=True, text=True
        )
        try:
            return float(json.loads((folder / "log.json").read_text())["pooled_metrics"]["vmaf"]["mean"])
        except (OSError, ValueError, KeyError, TypeError):
            reason = (done.stderr.strip().splitlines() or ["no result"])[-1]
            raise CodecError(f"VMAF by {program}: {reason}") from None

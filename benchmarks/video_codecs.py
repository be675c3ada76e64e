"""The video codecs of FFmpeg that PyAV brings along, at a rate and with one thread.

Planes of luma and chroma are made, and become RGB again, as in the package (full range), so that what is compared are
codecs: by FFmpeg's own conversions there and back, without any coding, 42 to 45 dB are left, by these 49.
"""

from __future__ import annotations

import tempfile
import time
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
from torch import Tensor

from josiecodec.vision.motion_planes import Planes, to_planes, to_rgb

Coded = tuple[int, Tensor, float, float]  # bytes, pictures [3, T, H, W], seconds of encoding and decoding
KEY_SECONDS = 10  # between key pictures, at most: as the package has it
AV1_TRIES = 5


def two_passes(encoder: str, x: Tensor, rate: Fraction, kbps: float) -> Coded:
    """By libx264 or libx265, preset medium, in two passes."""
    name = encoder.removeprefix("lib")
    threads = "threads=1" if name == "x264" else "pools=none:frame-threads=1:log-level=none"
    with tempfile.TemporaryDirectory() as folder:
        begin = time.process_time()
        for number in (1, 2):
            params = f"pass={number}:stats={folder}/stats:keyint={round(KEY_SECONDS * rate)}:{threads}"
            options = {"preset": "medium", f"{name}-params": params}
            _encode(x, rate, Path(folder) / "out.mkv", encoder, options, round(1000 * kbps))
        return _timed(Path(folder) / "out.mkv", time.process_time() - begin)


def svt_av1(x: Tensor, rate: Fraction, kbps: float) -> Coded:
    """By SVT-AV1, preset 6, at the constant quality that comes nearest to the rate; seconds are those of one try."""
    low, high = 1, 63
    best: Coded | None = None
    wanted = 125 * kbps * x.shape[1] / float(rate)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "out.mkv"
        for _ in range(AV1_TRIES):
            crf = (low + high) // 2
            options = {"preset": "6", "crf": str(crf), "svtav1-params": f"lp=1:keyint={round(KEY_SECONDS * rate)}"}
            begin = time.process_time()
            _encode(x, rate, file, "libsvtav1", options)
            coded = _timed(file, time.process_time() - begin)
            if best is None or abs(coded[0] - wanted) < abs(best[0] - wanted):
                best = coded
            low, high = (low, crf - 1) if coded[0] < wanted else (crf + 1, high)
            if low > high:
                break
    assert best is not None
    return best


def _encode(x: Tensor, rate: Fraction, file: Path, encoder: str, options: dict[str, str], bits: int = 0) -> None:
    with av.open(str(file), "w") as container:
        stream: Any = container.add_stream(encoder, rate=rate)
        stream.height, stream.width, stream.pix_fmt = x.shape[2], x.shape[3], "yuv420p"
        stream.codec_context.color_range = 2
        stream.gop_size = round(KEY_SECONDS * rate)
        if bits:
            stream.bit_rate = bits
        stream.options = options
        for picture in x.unbind(1):
            container.mux(stream.encode(_frame(picture.numpy())))
        container.mux(stream.encode())


def _frame(rgb: np.ndarray) -> av.VideoFrame:
    """A picture [3, H, W] with even sides as planes."""
    height, width = rgb.shape[1:]
    planes = to_planes(rgb)
    frame = av.VideoFrame(width, height, "yuv420p")
    for plane, values in zip(frame.planes, (planes.y, planes.u, planes.v)):
        rows = np.zeros((plane.height, plane.line_size), np.uint8)
        rows[:, : plane.width] = values[: plane.height, : plane.width]
        plane.update(rows)
    frame.color_range = 2  # of all 256 values
    return frame


def _picture(frame: av.VideoFrame) -> np.ndarray:
    """The planes of a frame as a picture [3, H, W]."""
    values = []
    for plane in frame.planes:
        rows = np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)
        values.append(np.ascontiguousarray(rows[:, : plane.width]))
    return to_rgb(Planes(*values), frame.height, frame.width)


def _timed(file: Path, encoding: float) -> Coded:
    begin = time.process_time()
    size, pictures = 0, []
    with av.open(str(file)) as container:
        for packet in container.demux(video=0):
            size += packet.size
            for frame in packet.decode():
                pictures.append(torch.from_numpy(_picture(frame)))  # type: ignore[arg-type]
    return size, torch.stack(pictures, 1), encoding, time.process_time() - begin


PEERS = {"x264": partial(two_passes, "libx264"), "x265": partial(two_passes, "libx265"), "svt-av1": svt_av1}

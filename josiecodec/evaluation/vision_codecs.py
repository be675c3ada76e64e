"""Image and video codecs, ours and others, each with the interface `codecs.Codec`."""

from __future__ import annotations

import io
from collections.abc import Callable
from fractions import Fraction
from functools import partial
from typing import Any

import av
import numpy as np
import torch
from torch import Tensor

from ..coding.jovio import Jovio
from ..errors import CodecError
from ..hub.store import load
from ..media.images import to_bytes_rgb
from ..settings import Rate
from . import picture_codecs
from .audio_codecs import josie_payload_bytes


class JovioCodec:
    """A JOVIO model. The setting is bits per pixel, or kbit/s and `k`, or `n` and a number of levels, or empty."""

    kinds = ("image", "video")

    def __init__(self, name: str, setting: str, device: str):
        self.codec: Any = load(name, device)
        if not isinstance(self.codec, Jovio):
            raise CodecError(f"{name} is not an image and video codec")
        if setting.startswith("n"):
            self.rate = Rate(n_q=int(setting[1:]))
        elif setting.endswith("k"):
            self.rate = Rate(kbps=float(setting[:-1]))
        else:
            self.rate = Rate(bpp=float(setting)) if setting else Rate()

    def encode(self, media: Tensor, rate: Fraction) -> bytes:
        return self.codec.compress(media.to(self.codec.device), rate=self.rate, pictures_per_second=rate)

    def decode(self, data: bytes, rate: Fraction) -> Tensor:
        return self.codec.decompress(data).cpu()

    def payload_bytes(self, data: bytes) -> int:
        return josie_payload_bytes(data)


KEY_SECONDS = 10  # between key pictures at most, of codecs as files are made: as a `.josie` file has it


class FFmpegVideo:
    """A video codec of FFmpeg. The setting is its CRF.

    Args:
        encoder: its name in FFmpeg.
        setting: the CRF.
        file: as files are made: with look-ahead, and a key picture every ten seconds at the latest; else as the options
            have it.
        options: of the encoder.
    """

    kinds = ("video",)

    def __init__(self, encoder: str, setting: str, *, file: bool = False, **options: Any):
        self.file = file
        try:
            av.codec.Codec(encoder, "w")
        except ValueError:
            raise CodecError(f"PyAV has no encoder {encoder} here") from None
        self.encoder = encoder
        self.options = {"crf": str(int(setting)), **options}

    def encode(self, media: Tensor, rate: Fraction) -> bytes:
        height, width = media.shape[-2:]
        # Both sides must be even for 4:2:0; the padding is cut off again.
        padded = torch.nn.functional.pad(media, (0, width % 2, 0, height % 2), mode="replicate")
        file = io.BytesIO()
        container: Any
        with av.open(file, "w", format="matroska") as container:
            stream: Any = container.add_stream(self.encoder, rate=rate, options=self.options)
            stream.height, stream.width = padded.shape[-2:]
            stream.pix_fmt = "yuv420p"
            if self.file:
                stream.gop_size = max(1, round(KEY_SECONDS * rate))
            container.metadata["size"] = f"{height}x{width}"
            for picture in padded.unbind(1):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(to_bytes_rgb(picture), format="rgb24")))
            container.mux(stream.encode(None))
        return file.getvalue()

    def decode(self, data: bytes, rate: Fraction) -> Tensor:
        container: Any
        with av.open(io.BytesIO(data)) as container:
            tags = {name.lower(): value for name, value in container.metadata.items()}
            height, width = map(int, tags["size"].split("x"))
            frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
        video = torch.from_numpy(np.stack(frames)).permute(3, 0, 1, 2).float() / 255
        return video[..., :height, :width]

    def payload_bytes(self, data: bytes) -> int:
        container: Any
        with av.open(io.BytesIO(data)) as container:
            return sum(packet.size for packet in container.demux(video=0))


QUIET: dict[str, Any] = {"x265-params": "log-level=none"}
KNOWN: dict[str, tuple[Callable[[str], Any], tuple[str, ...]]] = {
    **picture_codecs.KNOWN,
    "x264": (partial(FFmpegVideo, "libx264", preset="medium", tune="zerolatency"), ("24", "30", "36", "42")),
    "x265": (
        partial(FFmpegVideo, "libx265", preset="medium", tune="zerolatency", **QUIET),
        ("24", "30", "36", "42"),
    ),
    "av1": (partial(FFmpegVideo, "libsvtav1", preset="8"), ("30", "40", "50", "60")),
    "x264-file": (partial(FFmpegVideo, "libx264", file=True, preset="medium"), ("24", "30", "36", "42")),
    "x265-file": (
        partial(FFmpegVideo, "libx265", file=True, preset="medium", **QUIET),
        ("24", "30", "36", "42"),
    ),
    "av1-file": (partial(FFmpegVideo, "libsvtav1", file=True, preset="6"), ("30", "40", "50", "60")),
}

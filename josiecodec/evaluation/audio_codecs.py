"""Audio codecs, ours and others, each with the interface `codecs.Codec`."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
from torch import Tensor

from ..bitstream.container import TokenReader
from ..coding.jodio import Jodio
from ..errors import CodecError
from ..hub.remote import PREFIX, cached_kind
from ..hub.store import load
from ..media.audio_reader import resample
from ..settings import Rate
from .transformers_codec import ADAPTERS, transformers_codec

CODEC2 = ("700C", "1200", "2400", "3200")
# Delay of the audio that Codec 2 decodes, in seconds: the lag at which its STOI is best.
CODEC2_DELAY = {"700C": 0.03, "1300": 0.015}


class JodioCodec:
    """A JODIO model. The setting is a number of levels, a rate of whole files in kbit/s ("2.4k"), or empty for the
    default of the model.
    """

    kinds = ("audio",)

    def __init__(self, name: str, setting: str, device: str):
        self.codec: Any = load(name, device)
        if not isinstance(self.codec, Jodio):
            raise CodecError(f"{name} is not an audio codec")
        self.rate: Rate | None = None
        if setting.endswith("k"):
            self.rate = Rate(kbps=float(setting[:-1]))
        elif setting:
            self.rate = Rate(n_q=self.codec.levels(int(setting)))

    def encode(self, wave: Tensor, sample_rate: int) -> bytes:
        x = resample(wave[None], sample_rate, self.codec.sample_rate)
        return self.codec.compress(x.to(self.codec.device), rate=self.rate)

    def decode(self, data: bytes, sample_rate: int) -> Tensor:
        decoded = self.codec.decompress(data).cpu()
        return resample(decoded, self.codec.sample_rate, sample_rate)[0]

    def payload_bytes(self, data: bytes) -> int:
        return josie_payload_bytes(data)


def josie_payload_bytes(data: bytes) -> int:
    """Bytes of the codes in a `.josie` file."""
    with TokenReader(data, codes=False) as reader:
        return sum(block.size for block in reader.blocks())


class FFmpegAudio:
    """An audio codec of FFmpeg, one channel. The setting is a bitrate in kbit/s."""

    kinds = ("audio",)

    def __init__(self, encoder: str, container: str, rate: int, kbps: str, options: dict[str, str] | None = None):
        self.encoder, self.container, self.rate = encoder, container, rate
        self.bits = round(1000 * float(kbps))
        self.options = options or {}
        try:
            av.codec.Codec(encoder, "w")
        except ValueError:
            raise CodecError(f"PyAV has no encoder {encoder} here") from None

    def encode(self, wave: Tensor, sample_rate: int) -> bytes:
        x = resample(wave[None], sample_rate, self.rate)[0].clamp(-1, 1)
        file = io.BytesIO()
        container: Any
        with av.open(file, "w", format=self.container) as container:
            stream: Any = container.add_stream(self.encoder, rate=self.rate, layout="mono", options=self.options)
            stream.bit_rate = self.bits
            frame = av.AudioFrame.from_ndarray((x * 32767).round().to(torch.int16).numpy()[None], "s16", "mono")
            frame.sample_rate = self.rate
            for packet in [*stream.encode(frame), *stream.encode(None)]:
                container.mux(packet)
        return file.getvalue()

    def decode(self, data: bytes, sample_rate: int) -> Tensor:
        container: Any
        resampler = av.AudioResampler(format="fltp", layout="mono", rate=self.rate)
        parts = [np.zeros(0, np.float32)]
        with av.open(io.BytesIO(data)) as container:
            for frame in [*container.decode(audio=0), None]:
                parts += [part.to_ndarray()[0] for part in resampler.resample(frame)]
        return resample(torch.from_numpy(np.concatenate(parts))[None], self.rate, sample_rate)[0]

    def payload_bytes(self, data: bytes) -> int:
        container: Any
        with av.open(io.BytesIO(data)) as container:
            return sum(packet.size for packet in container.demux(audio=0))


def opus(setting: str) -> FFmpegAudio:
    """Opus in Ogg."""
    return FFmpegAudio("libopus", "ogg", 48000, setting, {"vbr": "on", "application": "audio"})


def mp3(setting: str) -> FFmpegAudio:
    """MP3."""
    return FFmpegAudio("libmp3lame", "mp3", 24000, setting)


class Codec2:
    """Codec 2 at 8 kHz, frames without a container. The setting is a mode, its bitrate in bit/s."""

    kinds = ("audio",)

    def __init__(self, setting: str):
        try:
            import pycodec2
        except ImportError:
            raise CodecError("Codec 2 needs the package pycodec2 (extra 'eval')") from None
        if setting not in (*CODEC2, "1300", "1400", "1600"):
            raise CodecError(f"Codec 2 has no mode {setting!r}")
        self._make = lambda: pycodec2.Codec2(int(setting.rstrip("C")))
        self.delay = CODEC2_DELAY.get(setting, 0.02)

    def encode(self, wave: Tensor, sample_rate: int) -> bytes:
        codec = self._make()
        size = codec.samples_per_frame()
        x = resample(wave[None], sample_rate, 8000)[0].clamp(-1, 1)
        x = torch.nn.functional.pad(x, (0, round(8000 * self.delay)))
        x = torch.nn.functional.pad(x, (0, -len(x) % size))
        pcm = (x * 32767).round().to(torch.int16).numpy()
        return b"".join(codec.encode(frame) for frame in pcm.reshape(-1, size))

    def decode(self, data: bytes, sample_rate: int) -> Tensor:
        codec = self._make()
        size = -(-codec.bits_per_frame() // 8)
        frames = [codec.decode(data[i : i + size]) for i in range(0, len(data), size)]
        pcm = np.concatenate([np.zeros(0, np.int16), *frames])
        wave = torch.from_numpy(pcm[round(8000 * self.delay) :]).float() / 32768
        return resample(wave[None], 8000, sample_rate)[0]


RUN_BY_TRANSFORMERS = tuple(kind for kind in ADAPTERS if kind != "mimi")  # which jodio runs itself


def from_repository(name: str, setting: str, device: str) -> Any:
    """The codec of "hf:org/repo", or of "hf:FOLDER", which is always run by transformers."""
    repository = name.removeprefix(PREFIX)
    if Path(repository).is_dir() or cached_kind(name) in RUN_BY_TRANSFORMERS:
        return transformers_codec(repository, setting, device)
    return JodioCodec(name, setting, device)


KNOWN: dict[str, tuple[Callable[[str], Any], tuple[str, ...]]] = {
    "opus": (opus, ("6", "9", "12", "16")),
    "mp3": (mp3, ("8", "16", "24")),
    "codec2": (Codec2, CODEC2),
}

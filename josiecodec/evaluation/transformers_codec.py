"""Audio codecs of the package transformers, with the interface `codecs.Codec`."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from ..bitstream.bitpacking import code_bits, pack, unpack
from ..errors import CodecError, ModelError
from ..media.audio_reader import resample


class TransformersCodec:
    """A codec of the package transformers whose weights are on this machine; fixed-length codes without a header.

    The setting is a number of codebooks, for EnCodec a bandwidth in kbit/s. A model of two channels is given the same
    on both, and the mean of what comes back counts. Of a model that codes in chunks (EnCodec at 48 kHz), files begin
    with the number of chunks and the loudness of each.
    """

    kinds = ("audio",)

    def __init__(self, repository: str, setting: str, device: str):
        try:
            from transformers import AutoModel
        except ImportError:
            raise CodecError(f"hf:{repository} needs the package transformers") from None
        try:
            self.model: Any = AutoModel.from_pretrained(repository, local_files_only=True).to(device).eval()
        except (OSError, ValueError) as error:
            raise ModelError(f"hf:{repository}: {str(error).splitlines()[0]}") from None
        self.config = self.model.config
        self.rate = self.config.sampling_rate
        self.device = device
        kind = self.config.model_type
        arguments: dict[str, Callable[[], dict[str, Any]]] = {
            "encodec": lambda: {"bandwidth": float(setting) if setting else None},
            "mimi": lambda: {"num_quantizers": int(setting) if setting else None},
            "dac": lambda: {"n_quantizers": int(setting) if setting else None},
        }
        if kind not in arguments:
            raise CodecError(f"hf:{repository} is of kind {kind}, not one of {', '.join(arguments)}")
        self.arguments = arguments[kind]()
        self.channels = getattr(self.config, "audio_channels", 1)
        self.chunked = kind == "encodec" and self.config.chunk_length is not None
        self.normalized = kind == "encodec" and self.config.normalize
        self.levels = 0

    @torch.no_grad()
    def encode(self, wave: Tensor, sample_rate: int) -> bytes:
        x = resample(wave[None], sample_rate, self.rate)[None]
        if self.config.model_type == "dac":  # it drops what is no whole frame
            x = pad(x, (0, -x.shape[-1] % self.config.hop_length))
        out = self.model.encode(x.expand(-1, self.channels, -1).to(self.device), **self.arguments)
        codes = out.audio_codes
        codes = codes[:, 0] if codes.dim() == 4 else codes  # EnCodec has chunks first, then the batch
        last = getattr(out, "last_frame_pad_length", 0) or 0
        head = b""
        if self.chunked or self.normalized:
            scales = [1.0 if scale is None else float(scale) for scale in out.audio_scales]
            head = struct.pack(f"<H{len(scales)}f", len(scales), *scales)
        codes = torch.cat(list(codes), -1)
        codes = codes[:, : codes.shape[-1] - last]
        self.levels = len(codes)
        return head + pack(codes.t().cpu().numpy(), self.config.codebook_size)

    @torch.no_grad()
    def decode(self, data: bytes, sample_rate: int) -> Tensor:
        scales: list[Tensor | None] = [None]
        if self.chunked or self.normalized:
            count = struct.unpack_from("<H", data)[0]
            scales = list(torch.tensor(struct.unpack_from(f"<{count}f", data, 2)).view(-1, 1, 1).to(self.device))
            data = data[2 + 4 * count :]
        size = self.config.codebook_size
        frames = 8 * len(data) // (self.levels * code_bits(size))
        codes = torch.from_numpy(unpack(data, frames, self.levels, size).astype(np.int64)).t()[None].to(self.device)
        if self.config.model_type == "encodec":
            decoded = self._chunks(codes, scales)
        elif self.config.model_type == "dac":
            decoded = self.model.decode(audio_codes=codes).audio_values
        else:
            decoded = self.model.decode(codes).audio_values
        mono = decoded.reshape(self.channels, -1).mean(0, keepdim=True)
        return resample(mono.float().cpu(), self.rate, sample_rate)[0]

    def _chunks(self, codes: Tensor, scales: list[Tensor | None]) -> Tensor:
        """What EnCodec decodes codes [1, levels, frames] of so many chunks to."""
        per = codes.shape[-1]
        if self.chunked:  # all chunks but the last have as many frames
            per = -(-self.config.chunk_length // self.config.hop_length)
        last = len(scales) * per - codes.shape[-1]
        whole = pad(codes, (0, last)).unflatten(-1, (len(scales), per)).permute(2, 0, 1, 3)
        used = scales if self.normalized else [None] * len(scales)
        return self.model.decode(whole, used, last_frame_pad_length=last).audio_values

"""Neural codecs of other packages behind the interface `codecs.Codec`: what all of them share.

A clip is encoded alone and whole. Codes of several models depend on what stands behind a clip in a batch (zeros, or a
mask that is taken for speech), and others drop the end that fills no frame: it is filled up with zeros before, and the
count of samples says how many frames there are.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from ..bitstream.bitpacking import code_bits, pack, unpack
from ..errors import CodecError
from ..media.audio_reader import resample


class NeuralCodec(ABC):
    """A codec whose files are a head, empty for most, and codes of fixed length or latents of 16-bit floats.

    Subclasses give `codes_of` and `sound_of`.

    Attributes:
        rate, output_rate: samples per second of what is encoded, and of what comes back.
        size: codes of each codebook; 0 of latents that are no codes.
        frame: samples that a clip is filled up to a multiple of; 1 for models that do so themselves.
        levels: codebooks, or numbers of a latent, of the last clip that was encoded.
    """

    kinds = ("audio",)

    def __init__(self, device: str, rate: int, size: int, frame: int = 1, output_rate: int | None = None):
        self.device, self.rate, self.size, self.frame = device, rate, size, frame
        self.output_rate = output_rate or rate
        self.levels = 0

    @abstractmethod
    def codes_of(self, x: Tensor) -> tuple[bytes, Tensor]:
        """Head and codes [K, F] (or latents) of samples [1, 1, T], T being a multiple of `frame`."""

    @abstractmethod
    def sound_of(self, head: bytes, codes: Tensor) -> Tensor:
        """Samples [..., T] of codes [1, K, F] (or latents)."""

    def head_size(self, data: bytes) -> int:
        """Bytes of the head of a file."""
        return 0

    @torch.no_grad()
    def encode(self, wave: Tensor, sample_rate: int) -> bytes:
        x = resample(wave[None], sample_rate, self.rate)[None]
        head, codes = self.codes_of(pad(x, (0, -x.shape[-1] % self.frame)).to(self.device))
        if codes.dim() != 2 or not codes.numel():
            raise CodecError(f"too short for this codec: {wave.shape[-1]} samples")
        self.levels = len(codes)
        if self.size:
            return head + pack(codes.t().cpu().numpy(), self.size)
        return head + codes.t().float().cpu().numpy().astype("<f2").tobytes()

    @torch.no_grad()
    def decode(self, data: bytes, sample_rate: int) -> Tensor:
        size = self.head_size(data)
        head, body = data[:size], data[size:]
        if self.size:
            frames = 8 * len(body) // (self.levels * code_bits(self.size))
            codes = torch.from_numpy(unpack(body, frames, self.levels, self.size).astype(np.int64))
        else:
            codes = torch.from_numpy(np.frombuffer(body, "<f2").reshape(-1, self.levels).astype(np.float32))
        decoded = self.sound_of(head, codes.t()[None].to(self.device))
        mono = decoded.reshape(-1, decoded.shape[-1]).mean(0, keepdim=True)
        return resample(mono.float().cpu(), self.output_rate, sample_rate)[0]


def one_of(names: Any) -> str:
    """Names as a list for messages."""
    return ", ".join(sorted(names))

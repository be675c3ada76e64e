"""JODIO as users have it: the network, and the bytes of files."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ..audio.network import JodioNetwork
from ..bitstream.header import AudioInfo, StreamInfo, find_stream
from ..bitstream.josie_file import TokenFile, TokenStream
from ..errors import CodesError, FormatError
from .codec import TokenCodec


class Jodio(JodioNetwork, TokenCodec):
    """A neural audio codec. See `JodioConfig` for its parts and `josiecodec.load` for trained ones."""

    def compress(self, x: Tensor, n_q: int | None = None) -> bytes:
        """Encode one waveform [T], [1, T] or [1, 1, T] to the bytes of a `.josie` file."""
        x = self.waveform(x)
        if len(x) != 1:
            raise CodesError(f"compress takes one waveform at a time, not {len(x)}")
        codes = self.encode(x, n_q)[0]
        info = self.stream_info(len(codes), x.shape[-1])
        stream = TokenStream(info, codes.cpu().numpy().astype(np.uint16))
        return TokenFile([stream]).to_bytes(self.known_tables)

    def decompress(self, data: bytes) -> Tensor:
        """Decode the bytes of a `.josie` file to the waveform [1, 1, T], exactly as long as it was."""
        file = TokenFile.from_bytes(data, tables=self.known_tables)
        stream = file.streams[find_stream([s.info for s in file.streams], "audio")]
        self.check_stream(stream.info)
        codes = torch.from_numpy(np.asarray(stream.codes).astype(np.int64))[None]
        return self.decode(codes.to(self.device), stream.info.length)

    def stream_info(
        self, n_q: int, length: int | None, original_rate: int | None = None, original_channels: int = 1
    ) -> AudioInfo:
        """The header of a stream of `n_q` levels and `length` samples that this model makes."""
        return AudioInfo(
            model=self.config.name,
            fingerprint=self.fingerprint,
            levels=n_q,
            codebook_size=self.codebook_size,
            sample_rate=self.sample_rate,
            frame_size=self.frame_size,
            length=length,
            original_rate=original_rate or self.sample_rate,
            original_channels=original_channels,
        )

    def check_stream(self, info: StreamInfo) -> AudioInfo:
        """Make sure that this is the model that made a stream, and return its header.

        Raises:
            ModelError: if it is not.
            FormatError: if the stream contradicts the model.
        """
        self.check_maker(info)
        if not isinstance(info, AudioInfo):
            raise FormatError(f"a stream of kind {info.kind!r} is not sound")
        settings = (info.codebook_size, info.sample_rate, info.frame_size)
        if settings != (self.codebook_size, self.sample_rate, self.frame_size) or info.levels > self.n_q:
            raise FormatError("the stream's settings contradict its model's")
        return info

"""A `Jodio` on NumPy arrays, as `audio_coder.py` describes: its streams, or all at once if it looks ahead."""

from __future__ import annotations

import numpy as np
import torch

from ..audio.network import JodioNetwork
from ..audio.resume import EnteredStream, ResumedStream, meet_phase, phase_of
from ..audio.stream import AudioStream
from ..settings import EncoderSettings
from .audio_coder import Ahead


class TensorEncoder:
    """An `ArrayEncoder` of a `Jodio`."""

    def __init__(self, codec: JodioNetwork, n_q: int, settings: EncoderSettings | None = None):
        self.codec, self.n_q, self.settings = codec, n_q, settings
        self._stream = codec.streaming(n_q=n_q, settings=settings) if codec.config.causal else None
        self._whole: list[np.ndarray] = []  # of a codec that has to see everything at once

    @property
    def phase(self) -> int | None:
        """See `ArrayEncoder`."""
        return None if self._stream is None else phase_of(self.codec, self._stream.encoder_state)

    def encode(self, samples: np.ndarray) -> np.ndarray:
        """See `ArrayEncoder`."""
        if self._stream is None:
            self._whole.append(samples)
            return np.zeros((0, self.n_q), np.int64)
        wave = torch.from_numpy(np.ascontiguousarray(samples))[None, None].to(self.codec.device)
        return self._stream.encode(wave)[0].t().cpu().numpy()

    def flush(self) -> np.ndarray:
        """See `ArrayEncoder`."""
        if self._stream is not None:
            return self._stream.flush()[0].t().cpu().numpy()
        wave = torch.from_numpy(np.concatenate([np.zeros(0, np.float32), *self._whole]))
        return self.codec.encode(wave.to(self.codec.device), self.n_q, self.settings)[0].t().cpu().numpy()


class TensorDecoder:
    """An `ArrayDecoder` of a `Jodio`."""

    def __init__(
        self,
        codec: JodioNetwork,
        first: int = 0,
        stream: ResumedStream | EnteredStream | None = None,
        ahead: Ahead | None = None,
    ):
        self.codec = codec
        self._stream: AudioStream | ResumedStream | EnteredStream | None = stream
        if stream is None and codec.config.causal:
            self._stream = ResumedStream(codec, first) if first else codec.streaming()
            if ahead is not None and isinstance(self._stream, ResumedStream):
                codes = torch.from_numpy(ahead.codes[:, : ahead.levels].astype(np.int64)).t()[None]
                self._stream.count_back(codes.to(codec.device), ahead.phase)
        self._whole: list[torch.Tensor] = []  # of a codec that has to see everything at once

    @property
    def found(self) -> bool:
        """See `ArrayDecoder`."""
        return not isinstance(self._stream, ResumedStream) or self._stream.found

    def meet(self, phase: int) -> None:
        """See `ArrayDecoder`."""
        if isinstance(self._stream, AudioStream):
            meet_phase(self.codec, self._stream.decoder_state, phase)
        elif self._stream is not None and self.found:
            meet_phase(self.codec, self._stream.state, phase)

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """See `ArrayDecoder`."""
        rows = torch.from_numpy(codes.astype(np.int64)).t()[None].to(self.codec.device)
        if self._stream is not None:
            return self._stream.decode(rows)[0, 0].cpu().numpy()
        self._whole.append(rows)
        return np.zeros(0, np.float32)

    def finish(self) -> np.ndarray:
        """See `ArrayDecoder`."""
        if self._stream is not None:
            return self._stream.finish()[0, 0].cpu().numpy()
        whole, self._whole = self._whole, []
        return self.codec.decode(torch.cat(whole, -1))[0, 0].cpu().numpy() if whole else np.zeros(0, np.float32)

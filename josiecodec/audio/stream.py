"""Run a codec on live audio: chunks of any size in, codes out, and codes in, audio out."""

from __future__ import annotations

from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import CodecError, CodesError
from ..nn.streaming import State
from ..settings import EncoderSettings


class FrameCodec(Protocol):
    """What a codec must offer to be run on a stream: whole frames, with the stream's memory handed in."""

    config: Any

    @property
    def frame_size(self) -> int: ...
    @property
    def base_levels(self) -> int: ...
    def waveform(self, x: Tensor) -> Tensor: ...
    def checked_codes(self, codes: Tensor) -> Tensor: ...
    def prepared(self, x: Tensor, state: State | None = None) -> Tensor: ...
    def encode_frames(
        self, x: Tensor, n_q: int, state: State | None = None, settings: EncoderSettings | None = None
    ) -> Tensor: ...
    def decode_frames(self, codes: Tensor, state: State | None = None) -> Tensor: ...
    def finish_frames(self, state: State, batch_size: int) -> Tensor: ...


class AudioStream:
    """Two independent directions, encoding and decoding, each with its own memory.

        stream = codec.streaming()
        for chunk in microphone:                 # [1, 1, any number of samples]
            codes = stream.encode(chunk)         # [1, n_q, the frames that are complete]
            speaker.play(stream.decode(codes))   # [1, 1, frames * frame_size]
        codes = stream.flush()                   # the last, incomplete frame, padded with silence
        speaker.play(stream.decode(codes))
        speaker.play(stream.finish())            # what is still to come

    With levels after the base `decode` is some frames late, and `finish` gives the last ones. Else samples come at
    once, and `finish` has nothing to give.

    On the CPU the codes and samples are those of `Jodio.encode` and `Jodio.decode` on the whole
    recording. The codec itself is not changed: any number of streams can share it.
    """

    def __init__(
        self,
        codec: FrameCodec,
        batch_size: int,
        n_q: int,
        device: torch.device | None = None,
        settings: EncoderSettings | None = None,
    ):
        if not codec.config.causal:
            raise CodecError(f"{codec.config.name} looks ahead and cannot run on a stream")
        self.codec = codec
        self.batch_size = batch_size
        self.n_q = n_q
        self.device = device
        self.settings = settings
        self.reset()

    def reset(self) -> None:
        """Forget everything, as if the stream had just been opened."""
        self._encoder = State()
        self._decoder = State()
        self._waiting = torch.zeros(self.batch_size, 1, 0, device=self.device)
        self._late: bool | None = None  # whether decoding began with codes of a waveform layer

    @torch.no_grad()
    def encode(self, chunk: Tensor) -> Tensor:
        """Take samples [B, 1, any]; return the codes [B, n_q, f] of the f frames now complete."""
        chunk = self.codec.waveform(chunk)
        if len(chunk) != self.batch_size:
            raise CodesError(f"this stream runs {self.batch_size} waveforms, not {len(chunk)}")
        waiting = torch.cat([self._waiting, chunk], -1)
        ready = waiting.shape[-1] // self.codec.frame_size * self.codec.frame_size
        self._waiting = waiting[..., ready:].clone()
        return self._codes(waiting[..., :ready])

    @property
    def encoder_state(self) -> State:
        """What the encoding side remembers, its decoded base among it where there are levels after the base."""
        return self._encoder

    @torch.no_grad()
    def flush(self) -> Tensor:
        """End the recording: codes [B, n_q, 0 or 1] of the samples that still wait for their frame."""
        missing = -self._waiting.shape[-1] % self.codec.frame_size
        waiting, self._waiting = F.pad(self._waiting, (0, missing)), self._waiting[..., :0]
        return self._codes(waiting)

    def _codes(self, frames: Tensor) -> Tensor:
        frames = self.codec.prepared(frames, self._encoder)
        return self.codec.encode_frames(frames, self.n_q, self._encoder, self.settings)

    @torch.no_grad()
    def decode(self, codes: Tensor) -> Tensor:
        """Take codes [B, K, f]; return their samples [B, 1, f * frame_size].

        A stream that began with more levels than the base has (`codec.base_levels`) comes late: what comes out
        is what is complete now, nothing for its first frame. It may go on with fewer levels.

        Raises:
            CodesError: if these are no codes of the model, or have levels of the waveform layer on a stream that began
                without.
        """
        codes = self.codec.checked_codes(codes)
        if len(codes) != self.batch_size:
            raise CodesError(f"this stream runs {self.batch_size} waveforms, not {len(codes)}")
        more = codes.shape[1] > self.codec.base_levels
        if more and self._late is False:
            raise CodesError(f"a stream that began without levels above {self.codec.base_levels} goes on without them")
        if self._late is None and codes.shape[-1]:
            self._late = more
        return self.codec.decode_frames(codes, self._decoder)

    @torch.no_grad()
    def finish(self) -> Tensor:
        """End the decoding: samples [B, 1, any] that `decode` still owes, nothing without a waveform layer.

        What is decoded after that is a new stream.
        """
        last = self.codec.finish_frames(self._decoder, self.batch_size)
        self._decoder, self._late = State(), None
        return last

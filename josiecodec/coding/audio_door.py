"""The network of audio as callers meet it: other sample rates, arrays, any length, rates of files."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ..audio.network import JodioNetwork, JodioOutput
from ..bitstream.josie_file import TokenFile
from ..errors import CodesError
from ..media.audio_reader import Audio
from ..nn.conv import pad_to_multiple
from ..settings import EncoderSettings, Rate, asked_rate
from .door import FileDoor, as_codes, audio_tensor, check_precision, check_samples

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


class AudioDoor(FileDoor, JodioNetwork):
    """What `Jodio` takes from callers; the network takes checked tensors."""

    def encode(
        self,
        x: Tensor | ArrayLike | Audio,
        n_q: int | None = None,
        settings: EncoderSettings | None = None,
        *,
        lengths: Tensor | ArrayLike | None = None,
        sample_rate: int | None = None,
        kbps: float | None = None,
        rate: Rate | None = None,
    ) -> Tensor:
        """Turn waveforms into codes.

        Args:
            x: [B, 1, T] (or [B, T] or [T]) in [-1, 1], tensor or NumPy array, T any length; or what `load_audio` gives.
            n_q: levels to compute, 1 .. self.n_q; None for those of the settings.
            settings: of the encoder for this call; None for `self.settings`.
            lengths: [B], samples of each item when shorter ones were padded; what lies beyond is not heard, and the
                codes of frames beyond `frames(length)` are zero. They count samples at the model's rate.
            sample_rate: of `x` in Hz, which is resampled where it is not the model's; None if it is.
            kbps: thousands of bits per second of the whole `.josie` file of these codes, in place of `n_q`; of one
                waveform at a time. The codes are those of `compress` at this rate, without a gain.
            rate: the same as a `Rate`.

        Returns:
            int64 [B, n_q, F], the semantic level first, F = frames(T). An item's codes are the same alone and in a
            padded batch. With a beam search (`settings.beams`) the codes of fewer levels need not be the first ones of
            more: `trim` gives those, `encode` better ones.

        Raises:
            CodesError: on a wrong shape or type, or `n_q` out of range.
            CodecError: if both `n_q` and a rate are given, or a rate that audio cannot have or keep.
        """
        rate = asked_rate(rate, kbps)
        x = audio_tensor(x, sample_rate, self.sample_rate)
        if lengths is not None:
            lengths = torch.as_tensor(lengths)
        if rate is None:
            return super().encode(x, n_q, settings, lengths=lengths)
        if lengths is not None:
            raise CodesError("with a rate one waveform is encoded at a time, without lengths")
        data = self.compress(x, n_q, rate=rate, settings=settings, gain=0)
        codes = TokenFile.from_bytes(data, tables=self.known_tables).streams[0].codes
        return torch.from_numpy(np.asarray(codes).astype(np.int64))[None].to(self.device)

    def decode(self, codes: Tensor | ArrayLike, length: int | None = None) -> Tensor:
        """Turn codes back into waveforms.

        Args:
            codes: integers of any type [B, K, F] (or [K, F]), tensor or NumPy array, K in 1 .. self.n_q: the first K
                levels.
            length: samples to return; None for all F * frame_size.

        Returns:
            [B, 1, length], about [-1, 1] (not clipped), at `sample_rate`.

        Raises:
            CodesError: on a wrong shape or type, codes out of range, or too great a length.
        """
        return super().decode(as_codes(codes, self.n_q, self.device), length)

    def forward(
        self, x: Tensor, n_q: Tensor | None = None, quantize: Tensor | None = None, pitch: Tensor | None = None
    ) -> JodioOutput:
        """Encode, quantize and decode for training, see `JodioNetwork.forward`; T may be any length."""
        if not isinstance(x, Tensor) or x.dim() != 3 or x.shape[-1] % self.frame_size == 0:
            return super().forward(x, n_q, quantize, pitch)
        out = super().forward(pad_to_multiple(x, self.frame_size), n_q, quantize, pitch)
        return replace(out, audio=out.audio[..., : x.shape[-1]])

    def describe(self) -> str:
        """What it codes, in a few words."""
        return f"audio of {self.sample_rate} Hz, {self.frame_rate:g} frames/s"

    def waveform(self, x: Any) -> Tensor:
        """`x` as float32 [B, 1, T] on the model's device; raises CodesError if it cannot be that.

        What is not finite becomes silence, with a warning; so is a peak warned of that integers have, not samples.
        """
        check_precision(self)
        x = audio_tensor(x, None, self.sample_rate)
        if not x.is_floating_point():
            raise CodesError(
                f"waveforms must be floating point in [-1, 1], not {x.dtype}; divide 16-bit samples by 32768"
            )
        return check_samples(super().waveform(x.to(self.device)))

    def checked_codes(self, codes: Any) -> Tensor:
        """`codes` as int64 [B, K, F] on the model's device; raises CodesError if they are not codes of this model."""
        check_precision(self)
        return super().checked_codes(as_codes(codes, self.n_q, self.device))

    if TYPE_CHECKING:  # of Jodio

        def compress(
            self,
            x: Any,
            n_q: int | None = None,
            *,
            rate: Rate | None = None,
            settings: EncoderSettings | None = None,
            gain: int | None = None,
        ) -> bytes: ...
        @property
        def known_tables(self) -> Any: ...

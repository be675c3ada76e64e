"""JODIO as users have it: the network, and the bytes of files."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from ..audio.network import CHUNK_FRAMES
from ..bitstream.header import AudioInfo, StreamInfo, find_stream
from ..bitstream.josie_file import TokenFile, TokenStream
from ..errors import CodesError, FormatError
from ..media.audio_reader import Audio
from ..nn.conv import pad_to_multiple
from ..nn.streaming import State
from ..settings import EncoderSettings, Rate, fitting_rate
from .audio_door import AudioDoor
from .audio_rate_control import PROBE_SECONDS, fit_levels, level_rates
from .codec import TokenCodec
from .door import asked_rate, audio_tensor
from .layer_rate import LayerAnalysis, fit_layers


class Jodio(AudioDoor, TokenCodec):
    """A neural audio codec. See `JodioConfig` for its parts and `josiecodec.load` for trained ones."""

    kind = "audio"

    def compress(
        self,
        x: Tensor | np.ndarray | Audio,
        n_q: int | None = None,
        *,
        rate: Rate | None = None,
        settings: EncoderSettings | None = None,
        sample_rate: int | None = None,
        kbps: float | None = None,
    ) -> bytes:
        """Encode one waveform to the bytes of a `.josie` file.

        Args:
            x: [T], [1, T] or [1, 1, T], in [-1, 1], tensor or NumPy array; or what `load_audio` gives.
            n_q: levels, of which those that no decoder would use are left out (`JodioConfig.useful_levels`); None for
                those of the settings, or of `rate`.
            rate: what the file may take, in place of `n_q`.
            settings: of the encoder; None for `self.settings`.
            sample_rate: of `x` in Hz, which is resampled where it is not the model's; None if it is.
            kbps: the same as `rate=Rate(kbps=...)`.

        Raises:
            CodesError: on a wrong shape or type, or `n_q` out of range.
            CodecError: if both `n_q` and `rate` are given, or a rate that audio cannot have or keep.
        """
        rate = fitting_rate("audio", n_q, asked_rate(rate, kbps))
        x = self.waveform(audio_tensor(x, sample_rate, self.sample_rate))
        if len(x) != 1:
            raise CodesError(f"compress takes one waveform at a time, not {len(x)}")
        if rate.kbps is None:
            return self._file(x, self.config.useful_levels(self.levels(rate.n_q, settings)), settings)
        seconds = x.shape[-1] / self.sample_rate
        if self.by_frame and x.shape[-1]:
            parts = [self.analysis(x, settings)]
            data = self.fit_layers(lambda s: (self._file(x, self.n_q, s), seconds), parts, rate.kbps, settings)
            if data is not None:
                return data
        probe = self.encode(x[..., : round(PROBE_SECONDS * self.sample_rate)], self.n_q, settings)
        rates = level_rates(probe[0].t().cpu().numpy(), self.codebook_size, self.frame_rate, self.tables)
        useful = self.config.useful_levels
        return fit_levels(lambda n: (self._file(x, n, settings), seconds), rates, rate.kbps, useful)[1]

    @property
    def by_frame(self) -> bool:
        """Whether frames can have different numbers of levels: there are layers that code so, and tables for them."""
        return bool(self.config.waveform and self.config.waveform.by_frame and self.tables is not None)

    def analysis(
        self, x: Tensor, settings: EncoderSettings | None = None, state: State | None = None
    ) -> tuple[np.ndarray, ...]:
        """Of whole or padded frames of a waveform [1, 1, T]: the three arrays of a `LayerAnalysis`."""
        state, x = State() if state is None else state, pad_to_multiple(x, self.frame_size)
        parts = [self.analyse_frames(part, state, settings) for part in x.split(CHUNK_FRAMES * self.frame_size, -1)]
        codes, waveform, envelope = (torch.cat(part, -1)[0].cpu().numpy() for part in zip(*parts, strict=True))
        return codes.T, waveform, envelope

    def fit_layers(
        self,
        encode: Callable[[EncoderSettings], tuple[bytes, float]],
        parts: Sequence[tuple[np.ndarray, ...]],
        kbps: float,
        settings: EncoderSettings | None,
    ) -> bytes | None:
        """The file of a model `by_frame` that keeps to a bitrate; None if there is no room for its layers.

        Args:
            encode: makes the file with some settings; also says the seconds of audio in it.
            parts: `analysis` of one part of the audio after the other.
            kbps: thousands of bits per second of the whole file.
            settings: of the encoder.
        """
        if self.tables is None or self.config.waveform is None or not parts:
            return None
        base, waveform, envelope = zip(*parts, strict=True)
        found = LayerAnalysis(
            np.concatenate(base),
            np.concatenate(waveform, 1),
            np.concatenate(envelope, 1),
            min(self.config.waveform.min_levels, self.config.waveform.levels),
        )
        chosen = settings or self.settings
        return fit_layers(encode, found, chosen, kbps, self.codebook_size, self.frame_rate, self.tables)

    def _file(self, x: Tensor, n_q: int, settings: EncoderSettings | None) -> bytes:
        """A waveform [1, 1, T] as the bytes of a file with `n_q` levels."""
        codes = self.encode(x, n_q, settings)[0]
        stream = TokenStream(self.stream_info(n_q, x.shape[-1]), codes.cpu().numpy().astype(np.uint16))
        return TokenFile([stream]).to_bytes(self.known_tables)

    def decompress(self, data: bytes, n_q: int | None = None) -> Tensor:
        """Decode the bytes of a `.josie` file: the waveform [1, T], exactly as long as it was.

        Args:
            data: the file.
            n_q: use at most so many levels.

        Raises:
            CodesError: if `n_q` is less than 1.
            FormatError: on damaged data.
            ModelError: if another model made it.
        """
        if n_q is not None and n_q < 1:
            raise CodesError(f"at least one level must be used, not {n_q}")
        file = TokenFile.from_bytes(data, tables=self.known_tables)
        stream = file.streams[find_stream([s.info for s in file.streams], "audio")]
        self.check_stream(stream.info)
        codes = torch.from_numpy(np.asarray(stream.codes)[:n_q].astype(np.int64))[None]
        return self.decode(codes.to(self.device), stream.info.length)[0]

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
            raise FormatError(f"a stream of kind {info.kind!r} is not audio")
        settings = (info.codebook_size, info.sample_rate, info.frame_size)
        if settings != (self.codebook_size, self.sample_rate, self.frame_size) or info.levels > self.n_q:
            raise FormatError("the stream's settings contradict its model's")
        return info

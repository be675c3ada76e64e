"""JODIO as users have it: the network, and the bytes of files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

import numpy as np
import torch
from torch import Tensor

from ..audio.config import CHUNK_FRAMES
from ..audio.layers import LayerInput
from ..audio.resume import phase_of
from ..bitstream.header import find_stream, image_of
from ..bitstream.josie_file import TokenFile, TokenStream
from ..bitstream.marks import Mark
from ..errors import CodesError
from ..media.audio_reader import Audio
from ..nn.conv import pad_to_multiple
from ..nn.streaming import State
from ..settings import EncoderSettings, Rate, fitting_rate
from .array_streams import TensorDecoder, TensorEncoder
from .audio_coder import Ahead
from .audio_door import AudioDoor
from .audio_identity import AudioStreams
from .audio_rate_control import PROBE_SECONDS, fit_levels, level_rates
from .codec import TokenCodec
from .door import asked_rate, audio_tensor
from .layer_rate import Fitted, Write, fit_layers
from .layer_search import LayerSearch
from .stereo import image_file, merged, placed, room_for_mono


class Jodio(AudioDoor, AudioStreams, TokenCodec):
    """A neural audio codec. See `JodioConfig` for its parts and `josiecodec.load` for trained ones."""

    kind = "audio"

    @property
    def fingerprint(self) -> str:
        """sha256 (hex) of the model whose codes these are: of an adapted model that from which it was made."""
        adapted = self.config.adapted
        return super().fingerprint if adapted is None else adapted.fingerprint

    def compress(
        self,
        x: Tensor | np.ndarray | Audio,
        n_q: int | None = None,
        *,
        rate: Rate | None = None,
        settings: EncoderSettings | None = None,
        sample_rate: int | None = None,
        kbps: float | None = None,
        stereo: bool = False,
    ) -> bytes:
        """Encode one waveform to the bytes of a `.josie` file.

        Args:
            x: [T], [1, T] or [1, 1, T], in [-1, 1], tensor or NumPy array; or what `load_audio` gives. With `stereo`
                [2, T], left and right.
            n_q: levels, of which those that no decoder would use are left out (`JodioConfig.useful_levels`); None for
                those of the settings, or of `rate`.
            rate: what the file may take, in place of `n_q`.
            settings: of the encoder; None for `self.settings`.
            sample_rate: of `x` in Hz, which is resampled where it is not the model's; None if it is.
            kbps: the same as `rate=Rate(kbps=...)`.
            stereo: keep where sounds are between two channels; channels that are equally loud become mono. `n_q` is of
                their mix, a rate of the whole file.

        Raises:
            CodesError: on a wrong shape or type, or `n_q` out of range.
            CodecError: if both `n_q` and `rate` are given, or a rate that audio cannot have or keep.
        """
        rate = fitting_rate("audio", n_q, asked_rate(rate, kbps))
        x = self.waveform(audio_tensor(x, sample_rate, self.sample_rate))
        if len(x) != 1 + stereo:
            what = "left and right [2, T]" if stereo else "one waveform at a time"
            raise CodesError(f"compress takes {what}, not {len(x)} waveforms")
        return self._stereo(x[:, 0], rate, settings) if stereo else self._mono(x, rate, settings)

    def _stereo(self, x: Tensor, rate: Rate, settings: EncoderSettings | None) -> bytes:
        """Left and right [2, T] as the bytes of a file of their mix and the stereo image."""
        image = image_file([x.cpu()], self.stream_info(1, None, None, 2))
        if image is not None and rate.kbps is not None:
            rate = Rate(kbps=room_for_mono(rate.kbps, image))
        mono = self._mono(x.mean(0)[None, None], rate, settings, 2)
        return mono if image is None else merged(mono, image, self.known_tables)

    def _mono(self, x: Tensor, rate: Rate, settings: EncoderSettings | None, channels: int = 1) -> bytes:
        """A waveform [1, 1, T] as the bytes of a file, of an original of so many channels."""
        if rate.kbps is None:
            return self._file(x, self.config.useful_levels(self.levels(rate.n_q, settings)), settings, channels)
        seconds, levels = x.shape[-1] / self.sample_rate, self.n_q
        if self.by_frame and x.shape[-1]:
            step, phases = CHUNK_FRAMES * self.frame_size, dict[int, int | None]()

            def pieces() -> Iterator[LayerInput]:
                frames = 0
                for piece in self.layer_inputs(x.split(step, -1), settings):
                    frames += piece.codes.shape[-1]
                    phases[frames] = piece.phase
                    yield piece

            def write(codes: np.ndarray) -> tuple[bytes, float]:
                return self._bytes(codes.T, x.shape[-1], channels, phases), seconds

            fitted = self.fit_layers(pieces, write, rate.kbps, settings)
            if fitted is not None:
                return fitted.data
            levels = self.base_levels
        probe = self.encode(x[..., : round(PROBE_SECONDS * self.sample_rate)], levels, settings)
        rates = level_rates(probe[0].t().cpu().numpy(), self.codebook_size, self.frame_rate, self.tables)
        useful = self.config.useful_levels
        return fit_levels(lambda n: (self._file(x, n, settings, channels), seconds), rates, rate.kbps, useful)[1]

    @property
    def by_frame(self) -> bool:
        """Whether frames can have different numbers of levels: there are layers that code so, and tables for them."""
        return bool(self.config.waveform and self.config.waveform.by_frame and self.tables is not None)

    def layer_inputs(self, blocks: Iterable[Tensor], settings: EncoderSettings | None = None) -> Iterator[LayerInput]:
        """What there is to code of a waveform in blocks [1, 1, T] of whole frames, the last of which may be any."""
        state = State()
        for block in blocks:
            padded = pad_to_multiple(self.waveform(block).to(self.device), self.frame_size)
            piece = self.analyse_frames(self.prepared(padded, state), state, settings)
            piece.phase = phase_of(self, state)
            yield piece

    def fit_layers(
        self,
        pieces: Callable[[], Iterable[LayerInput]],
        write: Write,
        kbps: float,
        settings: EncoderSettings | None,
    ) -> Fitted | None:
        """The file of a model `by_frame` that keeps to a bitrate; None if there is no room for its layers.

        Args:
            pieces: `layer_inputs` of the recording, once or more often.
            write: makes a file of codes.
            kbps: thousands of bits per second of the whole file.
            settings: of the encoder.
        """
        assert self.tables is not None
        search = LayerSearch(self, pieces, (settings or self.settings).beams)
        sizes = self.codebook_size, self.frame_rate, self.tables
        return fit_layers(search.codes, write, search.analysis, kbps, *sizes)

    def _file(self, x: Tensor, n_q: int, settings: EncoderSettings | None, channels: int) -> bytes:
        """A waveform [1, 1, T] as the bytes of a file with `n_q` levels."""
        if n_q <= self.base_levels or not self.config.causal:
            codes = self.encode(x, n_q, settings)[0].cpu().numpy().astype(np.uint16)
            return self._bytes(codes, x.shape[-1], channels)
        stream, parts, phases, frames = self.streaming(n_q=n_q, settings=settings), [], {}, 0
        for part in x.to(self.device).split(CHUNK_FRAMES * self.frame_size, -1):
            parts.append(stream.encode(part))
            frames += parts[-1].shape[-1]
            phases[frames] = phase_of(self, stream.encoder_state)
        codes = torch.cat([*parts, stream.flush()], -1)[0].cpu().numpy().astype(np.uint16)
        return self._bytes(codes, x.shape[-1], channels, phases)

    def _bytes(
        self, codes: np.ndarray, length: int, channels: int = 1, phases: Mapping[int, int | None] | None = None
    ) -> bytes:
        """Codes [levels, frames] of so many samples as the bytes of a file, with marks where phases are known."""
        info = self.stream_info(len(codes), length, None, channels)
        marks = {
            frame: Mark(self.base_levels, phase)
            for frame, phase in (phases or {}).items()
            if phase is not None and 0 < frame < codes.shape[1]
        }
        return TokenFile([TokenStream(info, codes, marks)]).to_bytes(self.known_tables)

    def decompress(self, data: bytes, n_q: int | None = None, *, mono: bool = False) -> Tensor:
        """Decode the bytes of a `.josie` file: the waveform [1, T], exactly as long as it was; of stereo [2, T].

        Args:
            data: the file.
            n_q: use at most so many levels.
            mono: of a stereo recording, the mix of both channels, [1, T].

        Raises:
            CodesError: if `n_q` is less than 1.
            FormatError: on damaged data.
            ModelError: if another model made it.
        """
        if n_q is not None and n_q < 1:
            raise CodesError(f"at least one level must be used, not {n_q}")
        file = TokenFile.from_bytes(data, tables=self.known_tables)
        infos = [s.info for s in file.streams]
        index = find_stream(infos, "audio")
        info = self.check_stream(infos[index])
        codes = torch.from_numpy(np.asarray(file.streams[index].codes)[:n_q].astype(np.int64))[None]
        wave = self.decode(codes.to(self.device), info.length)[0]
        place = None if mono else image_of(infos, index)
        return wave if place is None else placed(wave[0], file.streams[place])

    def array_encoder(self, n_q: int, settings: EncoderSettings | None = None) -> TensorEncoder:
        """What encodes one recording, given as arrays, with so many levels."""
        return TensorEncoder(self, n_q, settings)

    def array_decoder(self, first: int = 0, ahead: Ahead | None = None) -> TensorDecoder:
        """What decodes a recording to arrays, from its frame `first` on; see `AudioCoder`."""
        return TensorDecoder(self, first, ahead=ahead)

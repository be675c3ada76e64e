"""JODIO as users have it: the network, and the bytes of files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from ..audio.config import CHUNK_FRAMES
from ..audio.layers import LayerInput, search_layers
from ..audio.loudness import factor, gain_of
from ..audio.resume import EnteredStream, phase_of, run_up
from ..audio.source import HarmonicNoiseSource
from ..bitstream.header import AudioInfo, find_stream, image_of
from ..bitstream.josie_file import TokenFile, TokenStream
from ..bitstream.marks import Mark
from ..errors import CodesError
from ..media.audio_reader import Audio
from ..nn.conv import pad_to_multiple
from ..nn.streaming import State
from ..settings import EncoderSettings, Rate, asked_rate, fitting_rate
from .array_streams import TensorDecoder, TensorEncoder
from .audio_coder import Ahead
from .audio_door import AudioDoor
from .audio_identity import AudioStreams
from .audio_rate_control import PROBE_SECONDS, fit_levels, level_rates
from .codec import TokenCodec
from .door import audio_tensor
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
        gain: int | None = None,
    ) -> bytes:
        """Encode one waveform to the bytes of a `.josie` file, at the usual level of the codec (`audio/loudness.py`).

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
            gain: decibels by which it is amplified before it is coded, which decoders of files undo; None for what
                brings a quiet or loud recording to the usual level (`audio/loudness.py`), which is 0 for most.

        Raises:
            CodesError: on a wrong shape or type, or `n_q` out of range.
            CodecError: if both `n_q` and `rate` are given, or a rate that audio cannot have or keep.
            FormatError: if a file cannot hold the gain.
        """
        rate = fitting_rate("audio", n_q, asked_rate(rate, kbps))
        x = self.waveform(audio_tensor(x, sample_rate, self.sample_rate))
        if len(x) != 1 + stereo:
            what = "left and right [2, T]" if stereo else "one waveform at a time"
            raise CodesError(f"compress takes {what}, not {len(x)} waveforms")
        return self._stereo(x[:, 0], rate, settings, gain) if stereo else self._mono(x, rate, settings, gain)

    def _stereo(self, x: Tensor, rate: Rate, settings: EncoderSettings | None, gain: int | None) -> bytes:
        """Left and right [2, T] as the bytes of a file of their mix and the stereo image."""
        image = image_file([x.cpu().float().numpy()], self.stream_info(1, None, None, 2))
        if image is not None and rate.kbps is not None:
            rate = Rate(kbps=room_for_mono(rate.kbps, image))
        mono = self._mono(x.mean(0)[None, None], rate, settings, gain, 2)
        return mono if image is None else merged(mono, image, self.known_tables)

    def _mono(
        self, x: Tensor, rate: Rate, settings: EncoderSettings | None, gain: int | None, channels: int = 1
    ) -> bytes:
        """A waveform [1, 1, T] as the bytes of a file, of an original of so many channels."""
        if gain is None:
            usual = self.config.has_usual_level
            gain = gain_of([x[0, 0].cpu().float().numpy()], self.sample_rate) if usual else 0
        info = replace(self.stream_info(1, x.shape[-1], None, channels), gain=gain)
        if gain:
            x = x * float(factor(gain))
        if rate.kbps is None:
            return self._file(x, self.config.useful_levels(self.levels(rate.n_q, settings)), settings, info)
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
                return self._bytes(codes.T, info, phases), seconds

            fitted = self.fit_layers(pieces, write, rate.kbps, settings)
            if fitted is not None:
                return fitted.data
            levels = self.base_levels
        probe = self.encode(x[..., : round(PROBE_SECONDS * self.sample_rate)], levels, settings)
        rates = level_rates(probe[0].t().cpu().numpy(), self.codebook_size, self.frame_rate, self.tables)
        useful = self.config.useful_levels
        return fit_levels(lambda n: (self._file(x, n, settings, info), seconds), rates, rate.kbps, useful)[1]

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

    def layer_arrays(self, piece: LayerInput) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """See `LayeredCodec`."""
        base, waveform, envelope = (part[0].cpu().numpy() for part in (piece.codes, piece.waveform, piece.envelope))
        return base.T, waveform, envelope

    def layer_paths(
        self, piece: LayerInput, waveform: np.ndarray, envelope: np.ndarray, beams: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """See `LayeredCodec`."""
        most, most_envelope = (torch.from_numpy(c).to(piece.codes.device) for c in (waveform, envelope))
        own, others = search_layers(self, piece, most, most_envelope, beams)
        return own.cpu().numpy(), others.cpu().numpy()

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

    def _file(self, x: Tensor, n_q: int, settings: EncoderSettings | None, info: AudioInfo) -> bytes:
        """A waveform [1, 1, T] as the bytes of a file with `n_q` levels."""
        if n_q <= self.base_levels or not self.config.causal:
            codes = self.encode(x, n_q, settings)[0].cpu().numpy().astype(np.uint16)
            return self._bytes(codes, info)
        stream, parts, phases, frames = self.streaming(n_q=n_q, settings=settings), [], {}, 0
        for part in x.to(self.device).split(CHUNK_FRAMES * self.frame_size, -1):
            parts.append(stream.encode(part))
            frames += parts[-1].shape[-1]
            phases[frames] = phase_of(self, stream.encoder_state)
        codes = torch.cat([*parts, stream.flush()], -1)[0].cpu().numpy().astype(np.uint16)
        return self._bytes(codes, info, phases)

    def _bytes(self, codes: np.ndarray, info: AudioInfo, phases: Mapping[int, int | None] | None = None) -> bytes:
        """Codes [levels, frames] as the bytes of a file of such a stream, with marks where phases are known."""
        info = replace(info, levels=len(codes))
        marks = {
            frame: Mark(self.base_levels, phase)
            for frame, phase in (phases or {}).items()
            if phase is not None and 0 < frame < codes.shape[1]
        }
        return TokenFile([TokenStream(info, codes, marks)]).to_bytes(self.known_tables)

    def decompress(self, data: bytes, n_q: int | None = None, *, mono: bool = False) -> Tensor:
        """Decode the bytes of a `.josie` file: the waveform [1, T], as long and as loud as it was; of stereo [2, T].

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
        if info.gain:
            wave = wave * float(factor(-info.gain))
        place = None if mono else image_of(infos, index)
        if place is None:
            return wave
        return torch.from_numpy(placed(wave[0].cpu().numpy(), file.streams[place])).to(wave.device)

    def array_encoder(self, n_q: int, settings: EncoderSettings | None = None) -> TensorEncoder:
        """What encodes one recording, given as arrays, with so many levels."""
        return TensorEncoder(self, n_q, settings)

    def array_decoder(self, first: int = 0, ahead: Ahead | None = None) -> TensorDecoder:
        """What decodes a recording to arrays, from its frame `first` on; see `AudioCoder`."""
        return TensorDecoder(self, first, ahead=ahead)

    def encode_batch(self, waves: Sequence[np.ndarray], n_q: int) -> list[np.ndarray]:
        """See `AudioCoder`."""
        x = torch.nn.utils.rnn.pad_sequence([torch.from_numpy(wave) for wave in waves], batch_first=True)
        sizes = torch.tensor([len(wave) for wave in waves])
        codes = self.encode(x[:, None].to(self.device), n_q, lengths=sizes).transpose(1, 2).cpu().numpy()
        return [rows[: self.frames(len(wave))] for rows, wave in zip(codes, waves)]

    @property
    def run_up(self) -> int:
        """See `AudioCoder`."""
        return run_up(self)

    @property
    def counts_phase(self) -> bool:
        """See `AudioCoder`."""
        return any(isinstance(module, HarmonicNoiseSource) for module in self.modules())

    def entered_decoder(self, first: int, layers_from: int, mark: tuple[int, int] | None) -> TensorDecoder:
        """See `AudioCoder`."""
        return TensorDecoder(self, stream=EnteredStream(self, first, layers_from, mark))

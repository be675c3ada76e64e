"""From codes of one recording to samples, without torch: an `ArrayDecoder` (`coding/audio_coder.py`)."""

from __future__ import annotations

import numpy as np

from ..audio.network_configs import SpectralDecoderConfig
from ..audio.pitch_classes import TURN, WARM_UP
from ..coding.audio_coder import Ahead
from ..errors import CodesError
from .graphs import ACOUSTIC, SEMANTIC, STEP_FRAMES
from .layers import LayersDecoder
from .light_codec import LightCodec
from .source import HarmonicNoise, polar
from .spectra import OverlapAdd


class Decoder:
    """Codes of one recording, any number of frames -> samples, whole frames.

    Levels after the base are late; `finish` gives the rest. Behind a gap they are left out, unless a mark of the file
    tells the phase that they need.

    Args:
        codec: the model.
        first: frame that the recording is entered at.

    Attributes:
        found: whether levels of the waveform are used, if there are any.
    """

    def __init__(self, codec: LightCodec, first: int = 0):
        self.found = first == 0
        config = codec.config.decoder
        assert isinstance(config, SpectralDecoderConfig)
        self.codec = codec
        self._shape = config.hop, config.window
        self._embedding = codec.weights["decoder.coarseness.weight"].astype(np.float32)
        self._begin(first * (codec.frame_size // config.hop))

    @property
    def phase(self) -> int:
        """Of the pulse train after the frames so far, in turns / `TURN`."""
        return self._source.turns

    def _begin(self, window: int) -> None:
        self._memory = self.codec.decoder.beginning()
        self._source = HarmonicNoise(*self._shape, self.codec.sample_rate, window)
        self._synthesis = OverlapAdd(*self._shape)
        self._layers: LayersDecoder | None = None
        self._early = 0  # frames that are still decoded to the base alone

    def meet(self, phase: int) -> None:
        """See `ArrayDecoder`."""
        if self.found:
            self._source.turns = phase

    def count_back(self, ahead: Ahead) -> None:
        """Learn the phase from one that is known later on, before anything is decoded: see `ResumedStream`."""
        codes = np.asarray(ahead.codes)[:, : ahead.levels]
        if len(codes) < WARM_UP:
            return
        counting = Decoder(self.codec)
        counting.decode(codes)
        self._source.turns = (ahead.phase - counting.phase) % TURN
        self.found, self._early = True, WARM_UP

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """See `ArrayDecoder`.

        Raises:
            CodesError: if these are no codes of the model.
        """
        codes = np.asarray(codes).astype(np.int64)
        if codes.ndim != 2 or not 1 <= codes.shape[1] <= self.codec.n_q:
            raise CodesError(f"codes must be [F, 1..{self.codec.n_q}], not {list(codes.shape)}")
        if codes.size and not 0 <= int(codes.min()) <= int(codes.max()) < self.codec.codebook_size:
            raise CodesError(f"codes must be in 0..{self.codec.codebook_size - 1}")
        parts = [np.zeros(0, np.float32)]
        while len(codes):
            count = min(STEP_FRAMES, self._early or STEP_FRAMES)
            parts.append(self._frames(codes[:count]))
            codes, self._early = codes[count:], max(self._early - len(codes[:count]), 0)
        return np.concatenate(parts)

    def finish(self) -> np.ndarray:
        """See `ArrayDecoder`."""
        rest = np.zeros(0, np.float32) if self._layers is None else self._layers.finish()
        self._begin(0)
        return rest

    def _frames(self, codes: np.ndarray) -> np.ndarray:
        """Samples of at least one frame, as far as they are there."""
        codes, rest = codes[:, : self.codec.base_levels], codes[:, self.codec.base_levels :]
        base = self._base(codes)
        if not self.found or not (rest.shape[1] or self._layers):
            return base
        if self._layers is None:
            self._layers = self.codec.layers_decoder()
        return self._layers.decode(rest[:, :0] if self._early else rest, base)

    def _base(self, codes: np.ndarray) -> np.ndarray:
        semantic, acoustic = self.codec.quantizer.sums(codes)
        level = self._embedding[codes.shape[1]]
        inputs = {SEMANTIC: semantic[None], ACOUSTIC: acoustic[None], "level": level}
        out, self._memory = self.codec.decoder(inputs, self._memory)
        log_magnitude, phase = np.split(out["spectrum"][0], 2, -1)
        spectrum = polar(np.exp(np.clip(log_magnitude, -16, 4)), phase)
        spectrum += self._source(out["curves"][0], out["pitch"][0])
        return self._synthesis(spectrum)


class EnteredDecoder(Decoder):
    """As `Decoder`, where the phase at a later frame is known, or nothing needs it: see `EnteredStream`.

    Args:
        codec: the model.
        first: frame at which decoding begins, on the base alone.
        layers_from: frame from which on layers after the base are used, at the same or a later one.
        mark: a frame, and the phase of the pulse train before it.
    """

    def __init__(self, codec: LightCodec, first: int, layers_from: int, mark: tuple[int, int] | None = None):
        super().__init__(codec, first)
        self.found = True
        self.frame, self.layers_from, self.mark = first, layers_from, mark

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """See `ArrayDecoder`."""
        codes, parts = np.asarray(codes), [np.zeros(0, np.float32)]
        while len(codes):
            if self.mark is not None and self.mark[0] == self.frame:
                self.meet(self.mark[1])
            turns = [f for f in (self.layers_from, *(self.mark or ())[:1]) if f > self.frame]
            count = min([len(codes), *(f - self.frame for f in turns)])
            now, codes = codes[:count], codes[count:]
            early = self.frame < self.layers_from
            parts.append(super().decode(now[:, : self.codec.base_levels] if early else now))
            self.frame += count
        return np.concatenate(parts)

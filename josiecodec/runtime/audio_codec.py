"""A codec of audio without torch, as files meet it (`coding/audio_coder.py`): a `Jodio` that encodes its base alone."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ..audio.config import JodioConfig
from ..audio.network_configs import FINE_SPECTRA, SpectralDecoderConfig, SpectralEncoderConfig
from ..audio.offset import OffsetMemory, offsets
from ..bitstream.model_tables import read_once
from ..coding.audio_coder import Ahead
from ..coding.audio_identity import AudioIdentity
from ..coding.checks import checked_peak
from ..entropy.code_tables import EntropyTables
from ..entropy.tables_file import read_tables
from ..errors import CodecError, CodesError, ModelError
from ..fingerprint import TABLES_FILE
from ..settings import EncoderSettings
from ..shipped import fingerprint_of
from ..weight_files import WEIGHTS
from .graphs import Graph
from .layers import LayersDecoder, needed_graphs
from .model_files import Weights, audio_config
from .quantizer import Quantizer
from .source import HarmonicNoise, polar
from .spectra import LogSpectra, OverlapAdd

STEP_FRAMES = 50  # frames that are run through a graph at once; the results do not depend on it
SEMANTIC, ACOUSTIC = "semantic", "acoustic"


class AudioCodec(AudioIdentity):
    """A trained model. It encodes the base, and decodes all levels.

    Args:
        folder: of the model; `choose.fits` says whether it can be run.
        threads: of the CPU; None for as many as there are.

    Raises:
        ModelError: if its files cannot be read, or its networks are others than the graphs'.
    """

    kind = "audio"

    def __init__(self, folder: Path, threads: int | None = None):
        config = audio_config(folder)
        if config is None:
            raise ModelError(f"{folder}: only models of audio run without torch")
        self.config: JodioConfig = config
        self.settings: EncoderSettings = config.encoding
        self.folder, self.threads = folder, threads
        self.weights = Weights(folder)
        self._layer_graphs: dict[str, Graph] | None = None
        self.quantizer = Quantizer(config.quantizer, self.weights)

    @cached_property
    def tables(self) -> EntropyTables | None:  # type: ignore[override]
        """Read when they are needed; of a model of the package once."""
        path = self.folder / TABLES_FILE
        if not path.is_file():
            return None
        return read_once(path) if path.parent.parent == WEIGHTS else read_tables(path)

    @cached_property
    def fingerprint(self) -> str:
        """sha256 (hex) of configuration and weights."""
        return fingerprint_of(self.folder)

    @property
    def by_frame(self) -> bool:
        """Never: that is of levels after the base."""
        return False

    @cached_property
    def encoder(self) -> Graph:
        """Opened when it is needed."""
        return Graph("encoder", self.weights, self.threads)

    @cached_property
    def decoder(self) -> Graph:
        """Opened when it is needed."""
        return Graph("decoder", self.weights, self.threads)

    def layer_graphs(self) -> dict[str, Graph]:
        """The graphs that decode the levels after the base; opened once."""
        if self._layer_graphs is None:
            names = needed_graphs(self.config)
            self._layer_graphs = {name: Graph(name, self.weights, self.threads) for name in names}
        return self._layer_graphs

    def array_encoder(self, n_q: int, settings: EncoderSettings | None = None) -> Encoder:
        """What encodes one recording with so many levels.

        Raises:
            CodecError: if some are after the base.
        """
        if n_q > self.base_levels:
            raise CodecError(f"levels above {self.base_levels} need torch")
        return Encoder(self, n_q, (settings or self.settings).beams)

    def array_decoder(self, first: int = 0, ahead: Ahead | None = None) -> Decoder:
        """What decodes a recording from its frame `first` on, where that is not 0 on the base alone."""
        return Decoder(self, first)

    def layer_inputs(self, blocks: Any, settings: EncoderSettings | None = None) -> Any:
        """Not of this codec, see `by_frame`."""
        raise CodecError("levels after the base need torch")

    def fit_layers(self, pieces: Any, write: Any, kbps: float, settings: EncoderSettings | None) -> Any:
        """Not of this codec, see `by_frame`."""
        raise CodecError("levels after the base need torch")


class Encoder:
    """Samples of one recording, chunks of any size -> codes of the frames that are complete.

    Attributes:
        phase: None, see `ArrayEncoder`: codes of the base do not depend on how it is decoded.
    """

    phase = None

    def __init__(self, codec: AudioCodec, n_q: int, beams: int):
        config = codec.config.encoder
        assert isinstance(config, SpectralEncoderConfig)
        self.codec, self.n_q, self.beams = codec, n_q, beams
        self._spectra = LogSpectra(config.hop, config.window)
        self._fine = LogSpectra(config.hop // FINE_SPECTRA, config.fine)
        self._memory = codec.encoder.beginning()
        self._waiting = np.zeros(0, np.float32)
        self._offset = OffsetMemory()

    def encode(self, samples: np.ndarray) -> np.ndarray:
        """See `ArrayEncoder`."""
        samples = checked_samples(np.asarray(samples, np.float32))
        waiting = np.concatenate([self._waiting, samples])
        ready = len(waiting) // self.codec.frame_size * self.codec.frame_size
        self._waiting = waiting[ready:]
        step = STEP_FRAMES * self.codec.frame_size
        parts = [self._frames(waiting[first : min(first + step, ready)]) for first in range(0, ready, step)]
        return np.concatenate([np.zeros((0, self.n_q), np.int64), *parts])

    def flush(self) -> np.ndarray:
        """See `ArrayEncoder`."""
        missing = -len(self._waiting) % self.codec.frame_size
        return self.encode(np.zeros(missing, np.float32))

    def _frames(self, samples: np.ndarray) -> np.ndarray:
        offset, self._offset = offsets(samples[None], self.codec.frame_size, self._offset)
        samples = samples if offset is None else samples - offset[0]
        spectra, fine = self._spectra(samples), self._fine(samples)
        inputs = {"spectra": spectra[None], "fine": fine.reshape(1, len(spectra), -1)}
        out, self._memory = self.codec.encoder(inputs, self._memory)
        return self.codec.quantizer.search(out[SEMANTIC][0], out[ACOUSTIC][0], self.n_q, self.beams)


class Decoder:
    """Codes of one recording, any number of frames -> samples, whole frames.

    Levels after the base are late; `finish` gives the rest. Behind a gap they are left out.

    Attributes:
        found: whether levels of the waveform are used, if there are any.
    """

    def __init__(self, codec: AudioCodec, first: int = 0):
        self.found = first == 0
        config = codec.config.decoder
        assert isinstance(config, SpectralDecoderConfig)
        self.codec = codec
        self._shape = config.hop, config.window
        self._embedding = codec.weights["decoder.coarseness.weight"].astype(np.float32)
        self._begin(first * (codec.frame_size // config.hop))

    def _begin(self, window: int) -> None:
        self._memory = self.codec.decoder.beginning()
        self._source = HarmonicNoise(*self._shape, self.codec.sample_rate, window)
        self._synthesis = OverlapAdd(*self._shape)
        self._layers: LayersDecoder | None = None

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
        parts = [self._frames(codes[first : first + STEP_FRAMES]) for first in range(0, len(codes), STEP_FRAMES)]
        return np.concatenate([np.zeros(0, np.float32), *parts])

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
            self._layers = LayersDecoder(self.codec.config, self.codec.layer_graphs(), self.codec.weights)
        return self._layers.decode(rest, base)

    def _base(self, codes: np.ndarray) -> np.ndarray:
        semantic, acoustic = self.codec.quantizer.sums(codes)
        level = self._embedding[codes.shape[1]]
        inputs = {SEMANTIC: semantic[None], ACOUSTIC: acoustic[None], "level": level}
        out, self._memory = self.codec.decoder(inputs, self._memory)
        log_magnitude, phase = np.split(out["spectrum"][0], 2, -1)
        spectrum = polar(np.exp(np.clip(log_magnitude, -16, 4)), phase)
        spectrum += self._source(out["curves"][0], out["pitch"][0])
        return self._synthesis(spectrum)


def checked_samples(x: np.ndarray) -> np.ndarray:
    """Samples without those that are not finite, which become silence; with a warning, as of a peak far too high."""
    if not len(x):
        return x
    if not checked_peak(float(np.abs(x).max())):
        x = np.nan_to_num(x, nan=0.0, posinf=0.0, neginf=0.0)
        checked_peak(float(np.abs(x).max()))
    return x

"""From samples of one recording to codes, without torch: an `ArrayEncoder` (`coding/audio_coder.py`)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..audio.network_configs import FINE_SPECTRA, SpectralEncoderConfig
from ..audio.offset import OffsetMemory, offsets
from ..coding.checks import checked_peak
from ..settings import EncoderSettings
from .audio_decoder import Decoder
from .graphs import ACOUSTIC, SEMANTIC, STEP_FRAMES
from .layers_encoder import LayerPiece
from .light_codec import LightCodec
from .spectra import LogSpectra


class Encoder:
    """Samples of one recording, chunks of any size -> codes of the frames that are complete.

    Args:
        codec: the model.
        n_q: levels.
        settings: of the search.
    """

    def __init__(self, codec: LightCodec, n_q: int, settings: EncoderSettings):
        config = codec.config.encoder
        assert isinstance(config, SpectralEncoderConfig)
        self.codec, self.n_q, self.settings = codec, n_q, settings
        self._spectra = LogSpectra(config.hop, config.window)
        self._fine = LogSpectra(config.hop // FINE_SPECTRA, config.fine)
        self._memory = codec.encoder.beginning()
        self._waiting = np.zeros(0, np.float32)
        self._offset = OffsetMemory()
        self._layers = None if n_q <= codec.base_levels else codec.layers_encoder()
        self._base = None if self._layers is None else Decoder(codec)

    @property
    def phase(self) -> int | None:
        """See `ArrayEncoder`; None of a base alone, whose codes do not depend on how it is decoded."""
        return None if self._base is None else self._base.phase

    def encode(self, samples: np.ndarray) -> np.ndarray:
        """See `ArrayEncoder`."""
        return np.concatenate([np.zeros((0, self.n_q), np.int64), *map(self._codes, self._pieces(samples))])

    def flush(self) -> np.ndarray:
        """See `ArrayEncoder`."""
        return self.encode(np.zeros(self._missing, np.float32))

    def analyse(self, samples: np.ndarray) -> Iterator[LayerPiece]:
        """What there is to code of whole frames, or of the last ones of a recording; in pieces."""
        assert self._layers is not None
        samples = np.concatenate([samples, np.zeros(-len(samples) % self.codec.frame_size, np.float32)])
        for piece in self._pieces(samples):
            codes, base = self._decoded(piece)
            found = self._layers.analyse(piece, base, codes)
            found.phase = self.phase
            yield found

    @property
    def _missing(self) -> int:
        """Samples that the last frame wants."""
        return -len(self._waiting) % self.codec.frame_size

    def _pieces(self, samples: np.ndarray) -> Iterator[np.ndarray]:
        """Whole frames of what came so far, some at a time."""
        waiting = np.concatenate([self._waiting, checked_samples(np.asarray(samples, np.float32))])
        ready = len(waiting) // self.codec.frame_size * self.codec.frame_size
        self._waiting = waiting[ready:]
        step = STEP_FRAMES * self.codec.frame_size
        for first in range(0, ready, step):
            piece = waiting[first : min(first + step, ready)]
            offset, self._offset = offsets(piece[None], self.codec.frame_size, self._offset)
            yield piece if offset is None else piece - offset[0]

    def _codes(self, samples: np.ndarray) -> np.ndarray:
        """All codes of whole frames."""
        if self._layers is None:
            return self._base_codes(samples, self.n_q)
        codes, base = self._decoded(samples)
        rest = self._layers.encode(samples, base, self.n_q - self.codec.base_levels, self.settings)
        return np.concatenate([codes, rest], 1)

    def _decoded(self, samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Codes of the base, and what they decode to."""
        assert self._base is not None
        codes = self._base_codes(samples, self.codec.base_levels)
        return codes, self._base.decode(codes)

    def _base_codes(self, samples: np.ndarray, levels: int) -> np.ndarray:
        spectra, fine = self._spectra(samples), self._fine(samples)
        inputs = {"spectra": spectra[None], "fine": fine.reshape(1, len(spectra), -1)}
        out, self._memory = self.codec.encoder(inputs, self._memory)
        return self.codec.quantizer.search(out[SEMANTIC][0], out[ACOUSTIC][0], levels, self.settings.beams)


def checked_samples(x: np.ndarray) -> np.ndarray:
    """Samples without those that are not finite, which become silence; with a warning, as of a peak far too high."""
    if not len(x):
        return x
    if not checked_peak(float(np.abs(x).max())):
        x = np.nan_to_num(x, nan=0.0, posinf=0.0, neginf=0.0)
        checked_peak(float(np.abs(x).max()))
    return x

"""A codec of audio without torch, as files meet it (`coding/audio_coder.py`), as they meet a `Jodio`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ..audio.config import JodioConfig
from ..audio.pitch_classes import WARM_UP
from ..bitstream.model_tables import read_once
from ..coding.audio_coder import Ahead
from ..coding.audio_identity import AudioIdentity
from ..coding.layer_rate import Fitted, Write, fit_layers
from ..coding.layer_search import LayerSearch
from ..entropy.code_tables import EntropyTables
from ..entropy.tables_file import read_tables
from ..errors import ModelError
from ..settings import EncoderSettings
from ..shipped import fingerprint_of
from ..weight_files import WEIGHTS, tables_file
from .audio_decoder import Decoder, EnteredDecoder
from .audio_encoder import Encoder
from .graphs import Graph, Graphs
from .layers import LayersDecoder
from .layers_encoder import LayerPiece, LayersEncoder
from .model_files import audio_config, weights_of
from .quantizer import Quantizer


class AudioCodec(AudioIdentity):
    """A trained model.

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
        self.weights = weights_of(folder)
        self._layer_graphs = Graphs(self.weights, threads)
        self.quantizer = Quantizer(config.quantizer, self.weights)

    @cached_property
    def tables(self) -> EntropyTables | None:  # type: ignore[override]
        """Read when they are needed; of a model of the package once."""
        path = tables_file(self.folder)
        if not path.is_file():
            return None
        return read_once(path) if path.parent.parent == WEIGHTS else read_tables(path)

    @cached_property
    def fingerprint(self) -> str:
        """sha256 (hex) of configuration and weights."""
        return fingerprint_of(self.folder)

    @property
    def by_frame(self) -> bool:
        """Whether frames can have different numbers of levels, see `Jodio`."""
        return bool(self.config.waveform and self.config.waveform.by_frame and self.tables is not None)

    @cached_property
    def encoder(self) -> Graph:
        """Opened when it is needed."""
        return Graph("encoder", self.weights, self.threads)

    @cached_property
    def decoder(self) -> Graph:
        """Opened when it is needed."""
        return Graph("decoder", self.weights, self.threads)

    def layers_encoder(self) -> LayersEncoder:
        """What encodes the levels after the base of one recording."""
        return LayersEncoder(self.config, self._layer_graphs, self.weights)

    def layers_decoder(self) -> LayersDecoder:
        """What decodes the levels after the base of one recording."""
        return LayersDecoder(self.config, self._layer_graphs, self.weights)

    def array_encoder(self, n_q: int, settings: EncoderSettings | None = None) -> Encoder:
        """What encodes one recording with so many levels."""
        return Encoder(self, n_q, settings or self.settings)

    def array_decoder(self, first: int = 0, ahead: Ahead | None = None) -> Decoder:
        """What decodes a recording from its frame `first` on, see `AudioCoder`; without `ahead` on the base alone."""
        decoder = Decoder(self, first)
        if ahead is not None:
            decoder.count_back(ahead)
        return decoder

    def entered_decoder(self, first: int, layers_from: int, mark: tuple[int, int] | None) -> EnteredDecoder:
        """See `AudioCoder`."""
        return EnteredDecoder(self, first, layers_from, mark)

    def encode_batch(self, waves: Sequence[np.ndarray], n_q: int) -> list[np.ndarray]:
        """See `AudioCoder`; one after the other."""
        encoders = (self.array_encoder(n_q) for _ in waves)
        return [np.concatenate([e.encode(wave), e.flush()]) for e, wave in zip(encoders, waves)]

    @property
    def run_up(self) -> int:
        """See `AudioCoder`."""
        return WARM_UP

    @property
    def counts_phase(self) -> bool:
        """See `AudioCoder`."""
        return True

    def layer_inputs(self, blocks: Iterable[np.ndarray], settings: EncoderSettings | None = None) -> Iterator[Any]:
        """What there is to code of a waveform in blocks [1, 1, T] of whole frames, the last of which may be any."""
        encoder = Encoder(self, self.n_q, settings or self.settings)
        for block in blocks:
            yield from encoder.analyse(np.asarray(block, np.float32).reshape(-1))

    def layer_arrays(self, piece: LayerPiece) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """See `LayeredCodec`."""
        return piece.codes[0].T, piece.waveform, piece.envelope

    def layer_paths(
        self, piece: LayerPiece, waveform: np.ndarray, envelope: np.ndarray, beams: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """See `LayeredCodec`."""
        return self.layers_encoder().paths(piece, waveform, envelope, beams)

    def fit_layers(
        self,
        pieces: Callable[[], Iterable[LayerPiece]],
        write: Write,
        kbps: float,
        settings: EncoderSettings | None,
    ) -> Fitted | None:
        """The file of a model `by_frame` that keeps to a bitrate, see `Jodio.fit_layers`."""
        assert self.tables is not None
        search = LayerSearch(self, pieces, (settings or self.settings).beams)
        return fit_layers(search.codes, write, search.analysis, kbps, self.codebook_size, self.frame_rate, self.tables)

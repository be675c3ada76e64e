"""What a codec of audio offers to those who drive it with files, whatever runs its networks.

`Jodio` does it with torch, `runtime.audio_codec.AudioCodec` without. Samples and codes are NumPy arrays here; neither
this module nor what drives it (`audio.py`, `sample_decoder.py`) imports torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from ..bitstream.header import AudioInfo, StreamInfo
from ..entropy.code_tables import EntropyTables
from ..entropy.tables_file import Tables
from ..settings import EncoderSettings


class ArrayEncoder(Protocol):
    """One recording on its way to codes.

    Attributes:
        phase: of the pulse train of the decoder after the frames so far, in whole numbers (`audio/resume.py`), where
            the codes need it; else None.
    """

    @property
    def phase(self) -> int | None: ...

    def encode(self, samples: np.ndarray) -> np.ndarray:
        """Take samples, float32 [any]; give the codes of the frames that are complete, int64 [frames, n_q]."""

    def flush(self) -> np.ndarray:
        """End the recording: codes of what still waits for its frame."""


class ArrayDecoder(Protocol):
    """Codes on their way to samples.

    Attributes:
        found: of decoding that began behind a gap, whether levels of the waveform can be used (`audio/resume.py`).
    """

    @property
    def found(self) -> bool: ...

    def meet(self, phase: int) -> None:
        """Go on with the phase of the pulse train that the encoder had here, if it is counted (`bitstream/marks.py`).

        Runtimes and machines round pitches differently, so that their phases drift apart; levels after the base are
        relative to that of the encoder.
        """

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """Take codes, integers [frames, levels]; give the samples that are ready, float32 [any]."""

    def finish(self) -> np.ndarray:
        """The samples that `decode` still owes. What is decoded after that is a new stream."""


class Ahead(NamedTuple):
    """Codes that come next, and the mark behind them.

    Attributes:
        codes: integers [frames, levels].
        phase: of the pulse train after them, decoded from `levels` levels.
        levels: of the base.
    """

    codes: np.ndarray
    phase: int
    levels: int


class AudioCoder(Protocol):
    """A codec of audio as files meet it. Its members are those of `Jodio`, if nothing else is said."""

    config: Any
    settings: EncoderSettings
    tables: EntropyTables | None

    @property
    def fingerprint(self) -> str: ...
    @property
    def sample_rate(self) -> int: ...
    @property
    def frame_size(self) -> int: ...
    @property
    def frame_rate(self) -> float: ...
    @property
    def codebook_size(self) -> int: ...
    @property
    def n_q(self) -> int: ...
    @property
    def base_levels(self) -> int: ...
    @property
    def by_frame(self) -> bool: ...
    @property
    def known_tables(self) -> Tables: ...
    def levels(self, n_q: int | None, settings: EncoderSettings | None = None) -> int: ...
    def stream_info(
        self, n_q: int, length: int | None, original_rate: int | None = None, original_channels: int = 1
    ) -> AudioInfo: ...
    def check_stream(self, info: StreamInfo) -> AudioInfo: ...

    def array_encoder(self, n_q: int, settings: EncoderSettings | None = None) -> ArrayEncoder:
        """What encodes one recording with so many levels."""

    def array_decoder(self, first: int = 0, ahead: Ahead | None = None) -> ArrayDecoder:
        """What decodes a recording from its frame `first` on; `ahead` is what is known of how it goes on."""

    def encode_batch(self, waves: Sequence[np.ndarray], n_q: int) -> Sequence[np.ndarray]:
        """Codes [frames, n_q] of waveforms [T], each as if it were alone."""

    @property
    def run_up(self) -> int:
        """Frames after which no layer of the decoder remembers what came before, but for what is counted."""

    @property
    def counts_phase(self) -> bool:
        """Whether the decoder counts the phase of a pulse train."""

    def entered_decoder(self, first: int, layers_from: int, mark: tuple[int, int] | None) -> ArrayDecoder:
        """What decodes a recording from its frame `first` on, exact from `layers_from` on; see `EnteredStream`.

        Args:
            mark: a frame, and the phase of the pulse train before it.
        """

    # Of codecs `by_frame`, see `Jodio`; others are never asked.
    def layer_inputs(self, blocks: Any, settings: EncoderSettings | None = None) -> Any: ...
    def fit_layers(self, pieces: Any, write: Any, kbps: float, settings: EncoderSettings | None) -> Any: ...

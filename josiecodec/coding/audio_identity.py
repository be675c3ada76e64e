"""What a codec of audio is and makes, as headers of files say it, whatever runs its networks."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ..audio.config import JodioConfig
from ..bitstream.header import AudioInfo, StreamInfo
from ..entropy.code_tables import EntropyTables
from ..entropy.tables_file import Tables
from ..errors import FormatError, ModelError
from ..fingerprint import same_fingerprint
from ..settings import EncoderSettings, checked_levels


def check_maker(info: StreamInfo, name: str, fingerprint: str) -> None:
    """Make sure that the model of this name and fingerprint made a stream.

    Raises:
        ModelError: if it did not.
    """
    if not same_fingerprint(info.fingerprint, fingerprint):
        raise ModelError(
            f"the file was made by model {info.model} ({info.fingerprint[:12]}), "
            f"not by this {name} ({fingerprint[:12]})"
        )


class AudioStreams:
    """Headers of the streams of a codec of audio; a part of `Jodio` and of `AudioIdentity`."""

    config: JodioConfig

    if TYPE_CHECKING:  # of the codec

        @property
        def fingerprint(self) -> str: ...

    def stream_info(
        self, n_q: int, length: int | None, original_rate: int | None = None, original_channels: int = 1
    ) -> AudioInfo:
        """The header of a stream of `n_q` levels and `length` samples that this model makes."""
        return AudioInfo(
            model=self.config.name,
            fingerprint=self.fingerprint,
            levels=n_q,
            codebook_size=self.config.quantizer.codebook_size,
            sample_rate=self.config.sample_rate,
            frame_size=self.config.frame_size,
            length=length,
            original_rate=original_rate or self.config.sample_rate,
            original_channels=original_channels,
        )

    def check_stream(self, info: StreamInfo) -> AudioInfo:
        """Make sure that this is the model that made a stream, and return its header.

        Raises:
            ModelError: if it is not.
            FormatError: if the stream contradicts the model.
        """
        config = self.config
        check_maker(info, config.name, self.fingerprint)
        if not isinstance(info, AudioInfo):
            raise FormatError(f"a stream of kind {info.kind!r} is not audio")
        settings = (info.codebook_size, info.sample_rate, info.frame_size)
        own = (config.quantizer.codebook_size, config.sample_rate, config.frame_size)
        if settings != own or info.levels > config.n_q:
            raise FormatError("the stream's settings contradict its model's")
        return info


class AudioIdentity(AudioStreams):
    """The properties of a `Jodio` that follow from its configuration, for codecs without torch.

    Attributes:
        config: of the model.
        settings: of the encoder where a call gives no others.
        tables: of how likely codes are, if the model has any.
    """

    settings: EncoderSettings
    tables: EntropyTables | None

    @property
    def sample_rate(self) -> int:
        """Samples per second of the waveforms that go in and come out."""
        return self.config.sample_rate

    @property
    def frame_size(self) -> int:
        """Samples per frame."""
        return self.config.frame_size

    @property
    def frame_rate(self) -> float:
        """Frames per second."""
        return self.sample_rate / self.frame_size

    @property
    def codebook_size(self) -> int:
        """Codes in each codebook."""
        return self.config.quantizer.codebook_size

    @property
    def n_q(self) -> int:
        """Levels that the model has."""
        return self.config.n_q

    @property
    def base_levels(self) -> int:
        """Levels of semantic and acoustic codes."""
        return self.config.base_levels

    @property
    def known_tables(self) -> Tables:
        """Its entropy tables by its fingerprint."""
        return {} if self.tables is None else {self.fingerprint: self.tables}

    def layer_rows(self, n_q: int) -> tuple[list[int], list[int]]:
        """Which of the levels after the base are the envelope layer's and the waveform layer's, of n_q in all."""
        positions = self.config.envelope.positions if self.config.envelope else ()
        rows = range(n_q - self.base_levels)
        return [k for k in rows if k in positions], [k for k in rows if k not in positions]

    def bitrate(self, n_q: int | None = None) -> float:
        """Bits per second of the codes of `n_q` levels, before any entropy coding."""
        return self.levels(n_q) * math.log2(self.codebook_size) * self.frame_rate

    def levels(self, n_q: int | None, settings: EncoderSettings | None = None) -> int:
        """`n_q`, or for None that of the settings.

        Raises:
            CodesError: if it is no number of levels of this model.
        """
        return checked_levels(n_q, settings or self.settings, self.n_q)

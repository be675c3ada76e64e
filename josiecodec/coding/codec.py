"""What the codecs of audio and of vision have in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from ..bitstream.header import StreamInfo
from ..entropy.code_tables import EntropyTables
from ..entropy.tables_file import Tables
from ..errors import ModelError
from ..fingerprint import of_module, same_fingerprint
from ..network import CodecNetwork

Progress = Callable[[float], None]


@dataclass(frozen=True)
class Result:
    """What became of a file.

    Attributes:
        seconds: length of the audio or video; 0 of an image.
        size: bytes of the file that was written.
        problems: what was wrong with a salvaged file.
        pixels: of all pictures.
        n_q: levels of the audio, or of all patches; None if patches have as many as each is worth, and of decoding.
        psnr: of an image that was to have a PSNR, the one that it has, in dB.
        full: of audio that was to keep to a bitrate, whether it has all the levels that it can have.
    """

    seconds: float
    size: int
    problems: tuple[str, ...] = ()
    pixels: int = 0
    n_q: int | None = None
    full: bool = False
    psnr: float | None = None


@dataclass(frozen=True)
class Origin:
    """Files that a model was loaded from: what it takes to write the same bytes, and so the same fingerprint, again.

    Attributes:
        config: what `config.json` says, with the encoder settings that hold where no others are given.
        config_file: its bytes.
        dtype: of the floating-point tensors of `model.safetensors`.
    """

    config: Any
    config_file: bytes
    dtype: torch.dtype


class TokenCodec(CodecNetwork):
    """Base of `Jodio` and `Jovio`: a network with an identity, and tables for coding its codes.

    Attributes:
        kind: "audio" or "vision".
        saved_fingerprint, origin, tables: set by `josiecodec.load`; tables of how likely codes are, if the model has
            any.
    """

    kind: ClassVar[str]
    saved_fingerprint: str | None
    origin: Origin | None
    tables: EntropyTables | None

    def __init__(self, config: Any):
        super().__init__(config)
        self.saved_fingerprint = None
        self.origin = None
        self.tables = None

    @property
    def fingerprint(self) -> str:
        """sha256 (hex) of configuration and weights; files can only be decoded with the same one."""
        return self.saved_fingerprint or of_module(self, self.config)

    @property
    def known_tables(self) -> Tables:
        """Its entropy tables by its fingerprint, as files are read and written with."""
        return {} if self.tables is None else {self.fingerprint: self.tables}

    def __repr__(self) -> str:
        """One line; `torch.nn.Module.__repr__(codec)` lists all modules."""
        c = self.config
        parameters = sum(p.numel() for p in self.parameters()) / 1e6
        return (
            f"{type(self).__name__}({c.name!r}, {self.describe()}, {self.n_q} levels of {self.codebook_size} codes, "
            f"{parameters:.1f} M parameters, {self.device})"
        )

    @abstractmethod
    def describe(self) -> str:
        """What it codes, in a few words."""

    @property
    @abstractmethod
    def codebook_size(self) -> int:
        """Codes in each codebook."""

    def check_maker(self, info: StreamInfo) -> None:
        """Make sure that this is the model that made a stream.

        Raises:
            ModelError: if it is not.
        """
        if not same_fingerprint(info.fingerprint, self.fingerprint):
            raise ModelError(
                f"the file was made by model {info.model} ({info.fingerprint[:12]}), "
                f"not by this {self.config.name} ({self.fingerprint[:12]})"
            )

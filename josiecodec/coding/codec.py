"""What sound and picture codecs have in common."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

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
        seconds: length of the recording or video; 0 of a picture.
        size: bytes of the file that was written.
        problems: what was wrong with a salvaged file.
        pixels: of all pictures.
    """

    seconds: float
    size: int
    problems: tuple[str, ...] = ()
    pixels: int = 0


class TokenCodec(CodecNetwork):
    """Base of `Jodio` and `Jovio`: a network with an identity, and tables for coding its codes.

    Attributes:
        saved_fingerprint, tables: set by `josiecodec.load`; tables of how likely codes are, if the model has any.
    """

    saved_fingerprint: str | None
    tables: EntropyTables | None

    def __init__(self, config: Any):
        super().__init__(config)
        self.saved_fingerprint = None
        self.tables = None

    @property
    def fingerprint(self) -> str:
        """sha256 (hex) of configuration and weights; files can only be decoded with the same one."""
        return self.saved_fingerprint or of_module(self, self.config)

    @property
    def known_tables(self) -> Tables:
        """Its entropy tables by its fingerprint, as files are read and written with."""
        return {} if self.tables is None else {self.fingerprint: self.tables}

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

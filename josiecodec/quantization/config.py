"""Settings of codebooks, as they stand in the configurations of models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from ..errors import ConfigError

MAX_LEVELS = 64  # that the header of a file can name


@dataclass(frozen=True)
class CodebookConfig:
    """What the codebooks of a model have in common.

    Attributes:
        codebook_size: codes in each codebook, 2 to 65536.
        code_dim: width in which each codebook compares; 0 for that of its vectors (else factorised codes).
        normalize: compare directions only.
        update: how codes are learnt, "ema" or "gradient".
        decay: of the moving averages.
        window: vectors per code that they reach back over at least, see `VectorQuantizer`.
        shared_from: from this level of a stack on (the first is 0) one codebook serves all, see
            `ResidualVectorQuantizer`; -1 for none.
        restart_below: usage, in fair shares, below which a code is restarted.
        commitment: weight of the commitment loss.
    """

    codebook_size: int = 2048
    code_dim: int = 0
    normalize: bool = False
    update: Literal["ema", "gradient"] = "ema"
    decay: float = 0.99
    window: int = 0
    shared_from: int = -1
    restart_below: float = 0.1
    commitment: float = 0.25

    def __post_init__(self) -> None:
        if not 2 <= self.codebook_size <= 65536:
            raise ConfigError("quantizer: codebook_size must be in 2..65536")
        if self.code_dim < 0 or self.window < 0 or self.shared_from < -1:
            raise ConfigError("quantizer: code_dim and window must be at least 0, shared_from at least -1")

    @property
    def codebook(self) -> dict[str, Any]:
        """The arguments of each `VectorQuantizer` but its widths."""
        return {
            "codebook_size": self.codebook_size,
            "normalize": self.normalize,
            "update": self.update,
            "decay": self.decay,
            "window": self.window,
            "restart_below": self.restart_below,
            "commitment": self.commitment,
        }


@dataclass(frozen=True)
class ResidualQuantizerConfig(CodebookConfig):
    """Settings of a stack of codebooks.

    Attributes:
        levels: codebooks of the stack, 1 to 64.
        window, shared_from: see `CodebookConfig`.
    """

    levels: int = 32
    window: int = 100
    shared_from: int = 12

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.levels <= MAX_LEVELS:
            raise ConfigError(f"quantizer: levels must be in 1..{MAX_LEVELS}")


@dataclass(frozen=True)
class SplitQuantizerConfig(CodebookConfig):
    """Settings of a semantic codebook and an acoustic stack.

    Attributes:
        mode: "split": both code the latent itself, and their vectors are added (Mimi, Moshi table 3);
            "residual": the acoustic stack codes what the semantic codebook left over;
            "mimi": as "split", with no bias in the linear maps around the semantic and the acoustic part.
        acoustic_levels: codebooks of the acoustic stack, 1 to 63; the model has one level more in all.
        dim: width of the spaces in which the two quantizers work; 0 for the latent's own.
        semantic_dim: width of the semantic quantizer's space if it is another one; 0 for `dim`.
    """

    mode: Literal["split", "residual", "mimi"] = "split"
    acoustic_levels: int = 31
    dim: int = 48
    semantic_dim: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.acoustic_levels < MAX_LEVELS:
            raise ConfigError(f"quantizer: acoustic_levels must be in 1..{MAX_LEVELS - 1}")
        if self.dim < 0 or self.semantic_dim < 0:
            raise ConfigError("quantizer: dim and semantic_dim must be at least 0")

"""Configuration of a training run of a vision codec."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...config import from_dict
from ...errors import ConfigError
from ...metrics.vision import MIN_SIDE
from ...vision.config import JovioConfig
from ...vision.presets import preset
from ..core.settings import OptimizerConfig, RunConfig, read_toml, with_preset
from .data import DataConfig


@dataclass(frozen=True)
class LossConfig:
    """Weights of the terms of the loss.

    Attributes:
        log_mse: logarithm of the squared error of each item, so that sharp and coarse items count alike.
        mse: squared error.
        ms_ssim: 1 - MS-SSIM of the first pictures.
        vq: commitment and codebook losses.
        difference: squared error of the half differences of groups, beside that of their means.
    """

    log_mse: float = 0.05
    mse: float = 10.0
    ms_ssim: float = 0.0
    vq: float = 1.0
    difference: float = 1.0


@dataclass(frozen=True)
class LevelsConfig:
    """How many levels are used in training.

    Attributes:
        adaptive: share of the items in which rate-distortion optimisation chooses the levels of every patch, as in
            use, at a random lambda.
        rd_lambda: range of these lambdas, [low, high], drawn evenly on a logarithmic scale.
        start_patches: patches that principal components and codebooks are placed over.
        encoder_until: share of the run after which the encoder stays as it is, so that codebooks can settle.
        freeze_after: share of the run after which the decoder alone is trained.
        slow: learning rate of the encoder, in units of the decoder's.
        beams: hypotheses of the beam search for codes while the decoder alone is trained. Its codes are what the
            decoder meets in use.
        reuse: times that a batch's codes are used, on average, while the decoder alone is trained: to find them
            takes as long as to learn from them. A run that is resumed begins with none.
    """

    adaptive: float = 0.5
    rd_lambda: tuple[float, ...] = (0.001, 0.3)
    start_patches: int = 60000
    encoder_until: float = 0.4
    freeze_after: float = 0.85
    slow: float = 0.5
    beams: int = 1
    reuse: int = 1


@dataclass(frozen=True, kw_only=True)
class TrainConfig(RunConfig):
    """A whole run; `batch` items are those of each process.

    Attributes:
        model: configuration of the codec.
        loss, levels, optimizer, data: see the classes.
    """

    model: JovioConfig
    loss: LossConfig = field(default_factory=LossConfig)
    levels: LevelsConfig = field(default_factory=LevelsConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    data: DataConfig = field(default_factory=DataConfig)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.levels.reuse < 1 or self.levels.beams < 1:
            raise ConfigError("training: beams and reuse must be positive")
        if len(self.levels.rd_lambda) != 2 or not 0 < self.levels.rd_lambda[0] <= self.levels.rd_lambda[1]:
            raise ConfigError("training: levels.rd_lambda must be [low, high], both positive")
        if self.loss.ms_ssim and self.data.size < MIN_SIDE:
            raise ConfigError(f"training: MS-SSIM needs crops of at least {MIN_SIDE} pixels")
        if self.data.size % self.model.patch:
            raise ConfigError("training: the size of crops must be a multiple of the patch")


def read_train_config(path: str | Path, changes: tuple[str, ...] = ()) -> TrainConfig:
    """Read an experiment, a TOML file or the name of one that came with the package.

    `changes` are single lines of TOML like `optimizer.lr = 1e-3` that override the file.

    Raises:
        ConfigError: if it is not there, is no TOML, or has a key that does not exist.
    """
    values, where = read_toml(path, changes)
    return train_config(values, where)


def train_config(values: dict[str, Any], where: str = "experiment") -> TrainConfig:
    """`TrainConfig` from a dict as a TOML file gives it."""
    values = dict(values)
    values["model"] = with_preset(values.get("model", "jovio-16"), preset)
    return from_dict(TrainConfig, values, where)

"""Configuration of a training run of a codec of pictures."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ...config import from_dict
from ...errors import ConfigError
from ...metrics.vision import MIN_SIDE
from ...vision.config import JovioConfig
from ...vision.presets import preset
from ..audio.config import OptimizerConfig, read_toml, with_preset
from .data import PictureConfig


@dataclass(frozen=True)
class PictureLossConfig:
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
        uneven: share of the items in which every patch has as many levels as are worth their bits, as the rate
            control makes it, at a random weight of a bit.
        weights: range of these weights.
        start_patches: patches that principal components and codebooks are placed over.
        encoder_until: share of the run after which the encoder stays as it is, so that codebooks can settle.
        freeze_after: share of the run after which the decoder alone is trained.
        slow: learning rate of the encoder, in units of the decoder's.
        beams: sums that are kept in the search for codes while the decoder alone is trained. Its
            codes are what the decoder meets in use.
        reuse: times that a batch's codes are used, on average, while the decoder alone is trained: to find them
            takes as long as to learn from them. A run that is resumed begins with none.
    """

    uneven: float = 0.5
    weights: tuple[float, ...] = (0.001, 0.3)
    start_patches: int = 60000
    encoder_until: float = 0.4
    freeze_after: float = 0.85
    slow: float = 0.5
    beams: int = 1
    reuse: int = 1


@dataclass(frozen=True)
class VisionTrainConfig:
    """A whole run.

    Attributes:
        model: configuration of the codec.
        steps: length of the run, unless the command line gives minutes.
        batch: items per step (and process).
        precision: "bf16" runs convolutions and matrix products in bfloat16.
        seed: of everything random.
        validate_minutes, save_minutes: how often.
        loss, levels, optimizer, data: see the classes.
    """

    model: JovioConfig
    steps: int = 20000
    batch: int = 8
    precision: Literal["fp32", "bf16"] = "fp32"
    seed: int = 0
    validate_minutes: float = 10.0
    save_minutes: float = 10.0
    loss: PictureLossConfig = field(default_factory=PictureLossConfig)
    levels: LevelsConfig = field(default_factory=LevelsConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    data: PictureConfig = field(default_factory=PictureConfig)

    def __post_init__(self) -> None:
        if self.steps < 1 or self.batch < 1:
            raise ConfigError("training: steps and batch must be positive")
        if self.levels.reuse < 1 or self.levels.beams < 1:
            raise ConfigError("training: beams and reuse must be positive")
        if self.loss.ms_ssim and self.data.size < MIN_SIDE:
            raise ConfigError(f"training: MS-SSIM needs crops of at least {MIN_SIDE} pixels")
        if self.data.size % self.model.patch:
            raise ConfigError("training: the size of crops must be a multiple of the patch")


def read_vision_config(path: str | Path, changes: tuple[str, ...] = ()) -> VisionTrainConfig:
    """Read an experiment, as `read_train_config` does.

    Raises:
        ConfigError: if it is not there, is no TOML, or has a key that does not exist.
    """
    values, where = read_toml(path, changes)
    return vision_config(values, where)


def vision_config(values: dict[str, Any], where: str = "experiment") -> VisionTrainConfig:
    """`VisionTrainConfig` from a dict as a TOML file gives it."""
    values = dict(values)
    values["model"] = with_preset(values.get("model", "jovio-16"), preset)
    return from_dict(VisionTrainConfig, values, where)

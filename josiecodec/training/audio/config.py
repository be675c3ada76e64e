"""Configuration of a training run: one TOML file per experiment."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...audio.config import JodioConfig
from ...audio.presets import preset
from ...config import from_dict
from ...errors import ConfigError
from ..core.settings import OptimizerConfig, RunConfig, read_toml, with_preset
from .data import DataConfig
from .discriminators import AdversaryConfig
from .teacher import TeacherConfig


@dataclass(frozen=True)
class LossConfig:
    """Weights of the terms of the codec's loss.

    Attributes:
        mel, magnitude, fine, complex: distances of spectra, see `losses.SpectralLoss`.
        pesq: differentiable PESQ of speech items.
        pesq_from: levels that an item needs to have a share in it. With one level alone, which does not make speech
            yet, the term is better served by a hum.
        stoi: differentiable intelligibility of speech items.
        pesq_start: share of the run after which these two set in (with a short ramp).
        vq: commitment and codebook losses.
        pitch: cross-entropy of the pitch, for decoders with a source.
        semantic: distance from the semantic level that is kept, see `TrainConfig.semantic_anchor`.
        overlap: analysis windows over each sample in the spectral losses, 2 or 4.
    """

    mel: float = 1.0
    magnitude: float = 0.3
    fine: float = 0.5
    complex: float = 0.0
    pesq: float = 0.5
    pesq_from: int = 3
    stoi: float = 0.0
    pesq_start: float = 0.15
    vq: float = 1.0
    pitch: float = 0.3
    semantic: float = 1.0
    overlap: int = 4


@dataclass(frozen=True)
class QuantizationConfig:
    """How the codebooks come in.

    Attributes:
        continuous: share of the run without codebooks, at its start.
        buffer: latent vectors to collect for k-means (the last ones of that time).
        bypass_start, bypass_end: share of the items that skip the codebooks, falling linearly over
            the first half of the run.
        fewer: share of the items with a random number of levels below the default.
        more: share of the items with a random number of levels above it.
    """

    continuous: float = 0.05
    buffer: int = 30000
    bypass_start: float = 0.0
    bypass_end: float = 0.0
    fewer: float = 0.3
    more: float = 0.15


@dataclass(frozen=True, kw_only=True)
class TrainConfig(RunConfig):
    """A whole run; `batch` items are those of each process.

    Attributes:
        model: configuration of the codec.
        seconds: length of each item.
        pitch: file of pitch labels (`train pitch`), which a decoder with a source learns from; "auto" to
            have them made in the run's folder; "" for none.
        pitch_given: share of the run in which the source is given the true pitch, fading out in its second
            half; so filters are learnt before pitch is.
        semantic_anchor: a trained model of the same kind, whose semantic level the run keeps: the codebook is taken
            over and stays, and the encoder is held to what that model's gives. "" for none.
        freeze_codes: train the decoder alone: encoder and codebooks stay as they are.
        loss, quantization, optimizer, data, teacher, adversary: see the classes.
    """

    model: JodioConfig
    seconds: float = 1.6
    pitch: str = "auto"
    pitch_given: float = 0.3
    semantic_anchor: str = ""
    freeze_codes: bool = False
    loss: LossConfig = field(default_factory=LossConfig)
    quantization: QuantizationConfig = field(default_factory=QuantizationConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    data: DataConfig = field(default_factory=DataConfig)
    teacher: TeacherConfig = field(default_factory=TeacherConfig)
    adversary: AdversaryConfig = field(default_factory=AdversaryConfig)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.seconds <= 0:
            raise ConfigError("training: seconds must be positive")
        if self.loss.stoi and self.seconds < 0.6:
            raise ConfigError("training: the intelligibility term needs items of at least 0.6 seconds")
        if len(self.data.gain_db) != 2:
            raise ConfigError("training: data.gain_db takes two numbers")


def read_train_config(path: str | Path, changes: tuple[str, ...] = ()) -> TrainConfig:
    """Read an experiment: a TOML file, or the name of one that came with the package.

    `changes` are single lines of TOML like `optimizer.lr = 1e-3` that override the file.

    `model` is the name of a preset, or a table with the settings of `JodioConfig`; in a table the key
    `preset` may name where the settings start from.

    Raises:
        ConfigError: if it is not there, is no TOML, or has a key that does not exist.
    """
    values, where = read_toml(path, changes)
    return train_config(values, where)


def train_config(values: dict[str, Any], where: str = "experiment") -> TrainConfig:
    """`TrainConfig` from a dict as a TOML file gives it."""
    values = dict(values)
    values["model"] = with_preset(values.get("model", "jodio-24k"), preset)
    return from_dict(TrainConfig, values, where)

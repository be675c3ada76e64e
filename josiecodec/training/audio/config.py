"""Configuration of a training run: one TOML file per experiment."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ...audio.config import JodioConfig
from ...audio.presets import preset
from ...config import from_dict, to_dict
from ...errors import ConfigError
from .data import DataConfig
from .discriminators import AdversaryConfig
from .teacher import TeacherConfig

CONFIGS = Path(__file__).parents[1] / "configs"


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
        semantic: distance from the semantic level that is kept, see `TrainConfig.keep_semantic`.
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


@dataclass(frozen=True)
class DescentConfig:
    """AdamW and its schedule.

    Attributes:
        lr: peak learning rate.
        final: share of it that is left at the end of the cosine.
        warmup: steps of linear rise, also after a change of the schedule.
        betas: of AdamW.
        weight_decay: on matrices only.
        clip: greatest norm of the gradient.
    """

    lr: float = 7e-4
    final: float = 0.03
    warmup: int = 200
    betas: tuple[float, ...] = (0.8, 0.99)
    weight_decay: float = 0.01
    clip: float = 1.0


@dataclass(frozen=True)
class OptimizerConfig(DescentConfig):
    """The same, with averaged weights.

    Attributes:
        ema: decay of the averaged weights, which are those that are evaluated and saved.
    """

    ema: float = 0.999


@dataclass(frozen=True)
class TrainConfig:
    """A whole run.

    Attributes:
        model: configuration of the codec.
        steps: length of the run, unless the command line gives minutes.
        batch: items per step (and process).
        seconds: length of each.
        precision: "bf16" runs convolutions and matrix products in bfloat16.
        pitch: file of pitch labels (`train pitch`), which a decoder with a source learns from; "auto" to
            have them made in the run's folder; "" for none.
        pitch_given: share of the run in which the source is given the true pitch, fading out in its second
            half; so filters are learnt before pitch is.
        keep_semantic: a trained model of the same kind, whose semantic level the run keeps: the codebook is taken
            over and stays, and the encoder is held to what that model's says. "" for none.
        freeze_codes: train the decoder alone: encoder and codebooks stay as they are.
        seed: of everything random.
        validate_minutes, save_minutes: how often.
        loss, quantization, optimizer, data, teacher, adversary: see the classes.
    """

    model: JodioConfig
    steps: int = 20000
    batch: int = 8
    seconds: float = 1.6
    precision: Literal["fp32", "bf16"] = "fp32"
    pitch: str = "auto"
    pitch_given: float = 0.3
    keep_semantic: str = ""
    freeze_codes: bool = False
    seed: int = 0
    validate_minutes: float = 10.0
    save_minutes: float = 10.0
    loss: LossConfig = field(default_factory=LossConfig)
    quantization: QuantizationConfig = field(default_factory=QuantizationConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    data: DataConfig = field(default_factory=DataConfig)
    teacher: TeacherConfig = field(default_factory=TeacherConfig)
    adversary: AdversaryConfig = field(default_factory=AdversaryConfig)

    def __post_init__(self) -> None:
        if self.steps < 1 or self.batch < 1 or self.seconds <= 0:
            raise ConfigError("training: steps, batch and seconds must be positive")
        if self.loss.stoi and self.seconds < 0.6:
            raise ConfigError("training: the intelligibility term needs items of at least 0.6 seconds")
        for name, pair in (("optimizer.betas", self.optimizer.betas), ("data.gain_db", self.data.gain_db)):
            if len(pair) != 2:
                raise ConfigError(f"training: {name} takes two numbers")


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


def read_toml(path: str | Path, changes: tuple[str, ...]) -> tuple[dict[str, Any], str]:
    """The settings of an experiment with `changes` put in, and the file they are from."""
    file = Path(path)
    if not file.exists():
        file = CONFIGS / f"{path}.toml"
    try:
        values = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError:
        known = ", ".join(sorted(p.stem for p in CONFIGS.glob("*.toml")))
        raise ConfigError(f"no experiment {str(path)!r} (there are {known})") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{file}: {error}") from None
    return with_changes(values, changes), str(file)


def with_changes(values: dict[str, Any], changes: tuple[str, ...]) -> dict[str, Any]:
    """`values` with lines of TOML like `optimizer.lr = 1e-3` put in.

    Raises:
        ConfigError: if a line is no TOML.
    """
    for change in changes:
        try:
            values = merged(values, tomllib.loads(change))
        except tomllib.TOMLDecodeError as error:
            raise ConfigError(f"setting {change!r}: {error}") from None
    return values


def train_config(values: dict[str, Any], where: str = "experiment") -> TrainConfig:
    """`TrainConfig` from a dict as a TOML file gives it."""
    values = dict(values)
    values["model"] = with_preset(values.get("model", "jodio-24k"), preset)
    return from_dict(TrainConfig, values, where)


def with_preset(model: Any, preset: Callable[[str], Any]) -> Any:
    """The settings of a model that is given by the name of a preset, or as changes to one."""
    if isinstance(model, str):
        return to_dict(preset(model))
    if isinstance(model, dict) and "preset" in model:
        return merged(to_dict(preset(model["preset"])), {k: v for k, v in model.items() if k != "preset"})
    return model


def merged(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """`base` with the (nested) values of `changes` put in. A change of `kind` replaces the table."""
    out = dict(base)
    for key, value in changes.items():
        old = out.get(key)
        same = (
            isinstance(old, dict) and isinstance(value, dict) and value.get("kind", old.get("kind")) == old.get("kind")
        )
        out[key] = merged(old, value) if same else value  # type: ignore[arg-type]
    return out

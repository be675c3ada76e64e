"""Settings that all training runs share, and how an experiment is read from TOML."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ...config import to_dict
from ...errors import ConfigError

CONFIGS = Path(__file__).parents[1] / "configs"


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

    def __post_init__(self) -> None:
        if len(self.betas) != 2 or self.lr <= 0:
            raise ConfigError("training: optimizer.lr must be positive, and optimizer.betas takes two numbers")


@dataclass(frozen=True)
class OptimizerConfig(DescentConfig):
    """The same, with averaged weights.

    Attributes:
        ema: decay of the averaged weights, which are those that are evaluated and saved.
    """

    ema: float = 0.999


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """What every run has; each kind of training adds its own settings, `model` and `optimizer` among them.

    Attributes:
        steps: length of the run, unless the command line gives minutes.
        batch: items per step.
        precision: "bf16" runs convolutions and matrix products in bfloat16; weights and losses stay float32.
        seed: of everything random.
        log_every: steps between entries of the log.
        save_minutes, validate_minutes: minutes between checkpoints, and between validations.
        save_every, validate_every: steps between them, if those are done first; 0 to go by the clock alone.
    """

    steps: int = 20000
    batch: int = 8
    precision: Literal["fp32", "bf16"] = "fp32"
    seed: int = 0
    log_every: int = 50
    save_minutes: float = 10.0
    validate_minutes: float = 10.0
    save_every: int = 0
    validate_every: int = 0

    def __post_init__(self) -> None:
        if min(self.steps, self.batch, self.log_every) < 1:
            raise ConfigError("training: steps, batch and log_every must be positive")
        if min(self.save_every, self.validate_every) < 0 or not min(self.save_minutes, self.validate_minutes) > 0:
            raise ConfigError("training: save_minutes and validate_minutes must be positive, save_every and "
                              "validate_every not negative")  # fmt: skip


def read_toml(path: str | Path, changes: tuple[str, ...]) -> tuple[dict[str, Any], str]:
    """The settings of an experiment with `changes` put in, and the file that they are from.

    Args:
        path: a TOML file, or the name of an experiment that came with the package.
        changes: see `with_changes`.

    Raises:
        ConfigError: if it is not there, or is no TOML.
    """
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
        values = merged(values, _parsed(change))
    return values


def changed_names(changes: tuple[str, ...]) -> tuple[str, ...]:
    """Dotted names of the settings that lines like `optimizer.lr = 1e-3` change.

    A change of `kind` replaces the whole table, so then it is the table that is named.

    Raises:
        ConfigError: if a line is no TOML.
    """
    names = [name for change in changes for name in flat(_parsed(change))]
    return tuple(name.removesuffix(".kind") for name in names)


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


def flat(values: Any, name: str = "") -> dict[str, Any]:
    """Nested settings by their dotted names; lists count as values."""
    if not isinstance(values, dict):
        return {name: values}
    parts = (flat(value, f"{name}.{key}" if name else key) for key, value in values.items())
    return {k: v for part in parts for k, v in part.items()}


def _parsed(change: str) -> dict[str, Any]:
    try:
        return tomllib.loads(change)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"setting {change!r}: {error}") from None

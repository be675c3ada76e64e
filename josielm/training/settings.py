"""Experiments: a preset or a TOML file, with changes, fitted to the data at hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from josiecodec.config import from_dict
from josiecodec.datasets.dataset import DatasetInfo
from josiecodec.errors import ConfigError
from josiecodec.training.audio.config import read_toml, with_changes, with_preset

from ..model.config import ModelConfig, TrainConfig, VisionConfig
from ..model.presets import PRESETS, preset


def read_experiment(experiment: str | Path, changes: tuple[str, ...] = ()) -> TrainConfig:
    """The settings of a run.

    Args:
        experiment: name of a preset, or a TOML file whose `model` is a preset's name or a table (which may have
            `preset` to start from).
        changes: lines of TOML like `optimizer.lr = 1e-3` or `model.temporal.layers = 2`.

    Raises:
        ConfigError: if it is not there, or has a key that does not exist.
    """
    if str(experiment) in PRESETS:
        values, where = with_changes({"model": {"preset": str(experiment)}}, changes), str(experiment)
    elif Path(experiment).is_file():
        values, where = read_toml(experiment, changes)
    else:
        raise ConfigError(f"no experiment {str(experiment)!r}: neither a file nor one of {', '.join(PRESETS)}")
    values = {**values, "model": with_preset(values.get("model", "small"), preset)}
    return from_dict(TrainConfig, values, where)


def fitted(
    config: TrainConfig, info: DatasetInfo, n_q: int, text_size: int, pictures: DatasetInfo | None = None
) -> TrainConfig:
    """The settings for the data at hand: levels, size of the codebooks, text and pictures.

    Args:
        config: as read.
        info: of the sound.
        n_q: levels to learn.
        text_size: ids of the tokenizer; 0 for a model without text.
        pictures: of the pictures, or None.

    Raises:
        ConfigError: if the data do not have so many levels, or turns are to be learnt without text.
    """
    if n_q > info.n_q:
        raise ConfigError(f"{n_q} levels cannot be learnt from data with {info.n_q}")
    if config.mode == "turns" and not text_size:
        raise ConfigError("turns are learnt with text: give a tokenizer")
    model = config.model.with_levels(n_q, info.codebook_size)
    head = ("temporal" if model.text_head == "none" else model.text_head) if text_size else "none"
    model = replace(model, text_size=text_size, text_head=head, text_column=model.text_column and text_size > 0)
    return replace(config, model=replace(model, vision=_seen(model, pictures)))


def _seen(model: ModelConfig, pictures: DatasetInfo | None) -> VisionConfig | None:
    if pictures is None:
        return None
    vision = model.vision or VisionConfig()
    return replace(vision, n_q=min(vision.n_q, pictures.n_q), codebook_size=pictures.codebook_size)

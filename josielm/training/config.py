"""Configuration of a training run: a preset or a TOML file, with changes, fitted to the data at hand."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from josiecodec.config import from_dict
from josiecodec.errors import ConfigError
from josiecodec.training.core.settings import DescentConfig, RunConfig, read_toml, with_changes, with_preset

from ..data.modalities import MissingConfig
from ..model.config import Mode, ModelConfig, VisionConfig
from ..model.presets import PRESETS, preset

if TYPE_CHECKING:
    from josiecodec.datasets.dataset import DatasetInfo


@dataclass(frozen=True)
class LossConfig:
    """Weights of the cross-entropies; each is a mean over all that it counts.

    Attributes:
        text: of ids that are words; text_silence: of those that are not (there are many more of them).
        semantic, acoustic: of a code of the first level, and of any other.
        recon: of the squared distance between the code vector that is expected and the true one, as a share of the
            variance of the level's vectors; needs the codec, see `start_from_codec`. 0 leaves it out.
        learnt: weights are learnt beside the model (Kendall et al. 2018, arXiv 1705.07115): the mean of each kind of id
            counts exp(-s) times, and s is added; those above are factors of that.
    """

    text: float = 1.0
    text_silence: float = 0.5
    semantic: float = 1.0
    acoustic: float = 1.0
    recon: float = 0.0
    learnt: bool = False


def _descent() -> DescentConfig:
    return DescentConfig(lr=1e-3, final=0.05, warmup=50, betas=(0.9, 0.95), weight_decay=0.05)


@dataclass(frozen=True, kw_only=True)
class TrainConfig(RunConfig):
    """A whole run; `batch` clips are those of all processes and parts together.

    Attributes:
        model: what is trained.
        frames: of each clip.
        accumulate: parts that a step's batch is run in, to save memory.
        depth_frame_fraction: share of the frames that the depth transformer learns from, drawn anew every step.
        mode: "stream" learns from pieces of clips as they come; "turns" from conversations packed as ChatML.
        start_from_counts: biases of the heads begin as the frequencies of the codes.
        start_from_codec: tables and heads begin as images of the codec's code vectors, if the codec is at hand.
        missing: how often clips lack a modality, see the class.
        loss, optimizer: see the classes.
        validate_frames: greatest number of frames that are judged while training.
    """

    model: ModelConfig = field(default_factory=ModelConfig)
    steps: int = 1000
    batch: int = 16
    frames: int = 64
    accumulate: int = 1
    depth_frame_fraction: float = 1.0
    mode: Mode = "stream"
    start_from_counts: bool = True
    start_from_codec: bool = True
    missing: MissingConfig = field(default_factory=MissingConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    optimizer: DescentConfig = field(default_factory=_descent)
    log_every: int = 20
    save_every: int = 500
    validate_every: int = 500
    validate_frames: int = 4000

    def __post_init__(self) -> None:
        super().__post_init__()
        if min(self.frames, self.accumulate) < 1:
            raise ConfigError("training: frames and accumulate must be positive")
        if self.batch % self.accumulate:
            raise ConfigError(f"training: a batch of {self.batch} cannot be run in {self.accumulate} equal parts")
        if not 0 < self.depth_frame_fraction <= 1:
            raise ConfigError("training: depth_frame_fraction must be in (0, 1]")


def read_train_config(experiment: str | Path, changes: tuple[str, ...] = ()) -> TrainConfig:
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
        info: of the audio.
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
    # else the first frame would be zero, or those of which everything is missing
    bias = model.frame_bias or config.missing.any or not (text_size or model.learned_specials)
    return replace(config, model=replace(model, vision=_fitted_vision(model, pictures), frame_bias=bias))


def _fitted_vision(model: ModelConfig, pictures: DatasetInfo | None) -> VisionConfig | None:
    if pictures is None:
        return None
    vision = model.vision or VisionConfig()
    return replace(vision, n_q=min(vision.n_q, pictures.n_q), codebook_size=pictures.codebook_size)

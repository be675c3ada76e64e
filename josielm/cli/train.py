"""`josielm train`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from josiecodec_cli.options import Path_, use_device

from .options import AMOUNT

if TYPE_CHECKING:
    from josiecodec.datasets.dataset import TokenDataset
    from josielm.data.batches import Pieces
    from josielm.data.text import TextRows
    from josielm.training.config import TrainConfig

SET = "Change a setting, as in TOML; those of the model begin with model."
CHANGE = "With --resume: change a setting of the run. The log records it."


@click.command()
@click.argument("experiment")
@click.option("--data", type=Path_, required=True, multiple=True, help="Dataset of tokens to train on.")
@click.option("--weight", "weights", type=click.FloatRange(0), multiple=True, help="Sampling weight of each --data.")
@click.option("--valid", type=Path_, multiple=True, help="Dataset of tokens to validate on.")
@click.option("--out", type=Path_, required=True, help="Folder of the run.")
@click.option("--steps", type=click.IntRange(1), help="Length of the run; schedules follow it.")
@click.option("--minutes", type=AMOUNT, help="Length of the run in minutes.")
@click.option("--resume", is_flag=True, help="Continue the run in --out, with its settings.")
@click.option("--n-q", type=click.IntRange(1), help="Number of levels.  [default: those of preset and data]")
@click.option("--tokenizer", help='A tokenizer.json, or "bytes"; without it there is no text.')
@click.option("--text-offset", type=int, default=0, help="Frames from a spoken word to its text; negative: text first.")
@click.option("--vision", type=Path_, help="Dataset of images or videos that share a group with the audio.")
@click.option("--codec", help="Name or folder of the codec to start from, if it does not ship with the package.")
@click.option("--set", "changes", multiple=True, metavar="KEY=VALUE", help=SET)
@click.option("--change", "resume_changes", multiple=True, metavar="KEY=VALUE", help=CHANGE)
@click.option("--device", default="cpu", show_default=True, help="cpu, cuda, ...")
@click.option("--threads", type=click.IntRange(1), help="CPU threads to use.")
def train(**options: Any) -> None:
    """Train the model of EXPERIMENT, a preset (tiny, small) or a TOML file, on datasets of tokens.

    Ctrl-C finishes the step and writes a checkpoint; a second one ends at once. Under torchrun every process takes its
    share of a batch. `train speak` trains a voice from recordings with texts; `josielm train speak --help` says how.
    """
    run = _Run(**options)
    run.check()
    run.go()


@dataclass(frozen=True)
class _Run:
    """The options of `train`."""

    experiment: str
    data: tuple[Path, ...]
    weights: tuple[float, ...]
    valid: tuple[Path, ...]
    out: Path
    steps: int | None
    minutes: float | None
    resume: bool
    n_q: int | None
    tokenizer: str | None
    text_offset: int
    vision: Path | None
    codec: str | None
    changes: tuple[str, ...]
    resume_changes: tuple[str, ...]
    device: str
    threads: int | None

    def check(self) -> None:
        """Refuse options that do not fit together."""
        if self.resume_changes and not self.resume:
            raise click.UsageError("--change needs --resume; --set changes a setting of a new run")
        if self.steps and self.minutes:
            raise click.UsageError("give --steps or --minutes, not both")
        if self.weights and len(self.weights) != len(self.data):
            raise click.UsageError("give a --weight for every --data, or none")
        if (self.out / "checkpoint.safetensors").exists() and not self.resume:
            raise click.UsageError(f"{self.out} already holds a run; --resume continues it")

    def go(self) -> None:
        """Train to the end; Ctrl-C stops after the step that is being done."""
        from josiecodec.training.core.distributed import distributed_device, leave_group
        from josiecodec.training.core.interrupt import run_until_interrupted
        from josiecodec.training.core.settings import changed_names
        from josielm.data.batches import open_datasets
        from josielm.training.trainer import Trainer

        device = distributed_device(use_device(self.device, self.threads))
        opened = open_datasets([*self.data, *self.valid])  # all by one codec
        datasets, others = opened[: len(self.data)], opened[len(self.data) :]
        config, rows = self._settled(datasets)
        pieces = self._pieces(config, datasets, rows, self.weights or None)
        valid = self._pieces(config, others, rows, None) if others else None
        frames = sum(int(d.lengths.sum()) for d in datasets)
        clips, rate = sum(map(len, datasets)), datasets[0].info.frame_rate
        vectors = self._vectors(config, datasets[0])
        trainer = Trainer(config, pieces, self.out, valid, self.minutes, device, vectors, report=click.echo)
        if vectors is None and config.start_from_codec:
            trainer.report(f"{datasets[0].info.codec} was not found (see --codec): tables start at random")
        trainer.report(
            f"{frames / (rate[0] / rate[1]) / 3600:.2f} h in {clips} clips, "
            f"{trainer.model.parameter_count() / 1e6:.1f} M parameters"
        )
        if self.resume:
            trainer.resume(changed_names(self.resume_changes))
        run_until_interrupted(trainer)
        trainer.report(f"model in {self.out / 'model'}")
        leave_group()

    def _settled(self, datasets: list[TokenDataset]) -> tuple[TrainConfig, TextRows | None]:
        """The configuration with the options in it and fitted to the data, and what makes text."""
        from josielm.data.text import TextRows, load_tokenizer, vocabulary_size
        from josielm.model.ids import Ids
        from josielm.training.config import fitted, read_train_config

        config = read_train_config(self.experiment, (*self.changes, *self.resume_changes))
        if self.steps:
            config = replace(config, steps=self.steps)
        info, stored = datasets[0].info, min(d.n_q for d in datasets)
        tokenizer = load_tokenizer(self.tokenizer) if self.tokenizer else None
        size = vocabulary_size(tokenizer) if tokenizer else 0
        config = fitted(config, info, self.n_q or min(config.model.n_q, stored), size, self._pictures_info())
        rows = None
        if tokenizer is not None:
            rate = info.frame_rate[0] / info.frame_rate[1]
            rows = TextRows(tokenizer, Ids(info.codebook_size, size), rate, self.text_offset)
        return config, rows

    def _vectors(self, config: TrainConfig, dataset: TokenDataset) -> Any:
        """What tables start from; None if the codec does not ship and was not named."""
        from josiecodec.errors import ModelError
        from josielm.store import load_codec
        from josielm.training.start import code_vectors

        if not config.start_from_codec:
            return None
        try:
            return code_vectors(load_codec(dataset.info, self.codec), config.model.n_q)
        except ModelError:
            if self.codec:
                raise
            return None

    def _pictures_info(self) -> Any:
        from josiecodec.datasets.dataset import TokenDataset

        return TokenDataset(self.vision).info if self.vision else None

    def _pieces(
        self,
        config: TrainConfig,
        datasets: list[TokenDataset],
        rows: TextRows | None,
        weights: tuple[float, ...] | None,
    ) -> Pieces:
        from josiecodec.datasets.dataset import TokenDataset
        from josielm.data.batches import Pieces
        from josielm.data.vision import Pictures

        pictures = None
        if self.vision is not None and config.model.vision is not None:
            rate = datasets[0].info.frame_rate
            pictures = Pictures(TokenDataset(self.vision), config.model.vision, rate[0] / rate[1])
        return Pieces(datasets, config.model, config.frames, rows, weights, pictures, turns=config.mode == "turns")

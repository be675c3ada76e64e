"""`train audio`, `train vision`, labels for the training of audio, and what is made once a model is trained."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .entry import Suggesting
from .options import Path_, use_device

if TYPE_CHECKING:
    from josiecodec.training.audio.config import TrainConfig
    from josiecodec.training.audio.data import Recordings


@click.group("train", cls=Suggesting)
def train_group() -> None:
    """Train a codec on your own recordings, images or videos."""


def _run_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Options of all runs."""
    minutes = "Length of the whole run in minutes; schedules follow it."
    stop = "Stop after this many minutes; --resume continues."
    change = "With --resume: change a setting of the run. The log records it."
    for option in (
        click.option("--threads", type=click.IntRange(1), help="CPU threads to use."),
        click.option("--device", default="cpu", show_default=True, help="cpu, cuda, ..."),
        click.option("--set", "changes", multiple=True, metavar="KEY=VALUE", help="Change a setting, as in TOML."),
        click.option("--change", "resume_changes", multiple=True, metavar="KEY=VALUE", help=change),
        click.option("--from", "start", help="Model to start from: a name or a folder."),
        click.option("--resume", is_flag=True, help="Continue the run in --out, with its settings."),
        click.option("--stop-after", type=click.FloatRange(0, min_open=True), help=stop),
        click.option("--steps", type=click.IntRange(1), help="Length of the run in steps."),
        click.option("--minutes", type=click.FloatRange(0, min_open=True), help=minutes),
        click.option("--valid", type=Path_, help="Folder of files to validate on."),
        click.option("--out", type=Path_, required=True, help="Folder of the run."),
        click.option("--data", type=Path_, required=True, multiple=True, help="Folder of files to train on."),
        click.argument("experiment"),
    ):
        function = option(function)
    return function


@dataclass(frozen=True)
class _Run:
    """The options of `_run_options`."""

    experiment: str
    data: tuple[Path, ...]
    out: Path
    valid: Path | None
    minutes: float | None
    steps: int | None
    stop_after: float | None
    resume: bool
    start: str | None
    changes: tuple[str, ...]
    resume_changes: tuple[str, ...]
    device: str
    threads: int | None

    def check(self) -> None:
        """Refuse options that do not fit together."""
        if self.resume_changes and not self.resume:
            raise click.UsageError("--change needs --resume; --set changes a setting of a new run")
        if self.minutes and self.steps:
            raise click.UsageError("give --minutes or --steps, not both")
        if (self.out / "checkpoint.safetensors").exists() and not self.resume:
            raise click.UsageError(f"{self.out} already holds a run; --resume continues it")

    def config(self, read: Callable[[str, tuple[str, ...]], Any]) -> Any:
        """The experiment with the options in it."""
        config = read(self.experiment, (*self.changes, *self.resume_changes))
        return dataclasses.replace(config, steps=self.steps) if self.steps else config

    def torch_device(self) -> Any:
        """Where this process trains."""
        import torch

        from josiecodec.training.core.distributed import distributed_device

        return torch.device(distributed_device(use_device(self.device, self.threads)))

    def go(self, trainer: Any) -> None:
        """Train to the end; Ctrl-C stops after the step that is being done."""
        from josiecodec.hub.store import load_for_training
        from josiecodec.training.core.distributed import leave_group
        from josiecodec.training.core.interrupt import run_until_interrupted
        from josiecodec.training.core.settings import changed_names

        if self.start:
            trainer.start_from(load_for_training(self.start))
        if self.resume:
            trainer.resume(changed_names(self.resume_changes))
        run_until_interrupted(trainer, self.stop_after)
        click.echo(f"model in {self.out / 'model'}")
        leave_group()


@train_group.command("audio")
@_run_options
def audio(**options: Any) -> None:
    """Train the model of EXPERIMENT, a TOML file or the name of one in the package, on recordings.

    The folder may have a manifest.tsv, see `josiecodec/training/audio/data.py`. Ctrl-C finishes the
    step and writes a checkpoint; a second one ends at once. Under torchrun every process takes its share of a batch.
    """
    from josiecodec.training.audio.config import read_train_config
    from josiecodec.training.audio.data import load_recordings
    from josiecodec.training.audio.pitch import make_pitch_labels
    from josiecodec.training.audio.teacher import make_teacher
    from josiecodec.training.audio.trainer import AudioTrainer

    run = _Run(**options)
    run.check()
    if len(run.data) > 1:
        raise click.UsageError("give --data once for audio")
    config = run.config(read_train_config)
    device = run.torch_device()
    recordings = load_recordings(run.data[0], config.model.sample_rate)
    valid = load_recordings(run.valid, config.model.sample_rate) if run.valid else None
    hours = recordings.seconds() / 3600
    click.echo(f"{hours:.2f} h in {len(recordings.segments)} segments by {recordings.voices} voices")
    # The settings of the run keep "auto": its folder may be moved before it is resumed.
    pitch_file, phones_file = _label_files(config, recordings, run.out)
    teacher_config = dataclasses.replace(config.teacher, phones=phones_file)
    teacher = make_teacher(recordings, teacher_config, config.model.frame_size, device)
    pitch = make_pitch_labels(pitch_file, recordings, config.model.decoder, device)
    run.go(AudioTrainer(config, recordings, run.out, teacher, run.minutes, valid, pitch, device, report=click.echo))


@train_group.command("vision")
@_run_options
def vision(**options: Any) -> None:
    """Train the model of EXPERIMENT, a TOML file or the name of one in the package, on images and videos.

    All images in the folders are used, and all videos if the experiment uses video; --data may be given more than
    once. Ctrl-C finishes the step and writes a checkpoint; a second one ends at once. Under torchrun every process
    takes its share of a batch.
    """
    from josiecodec.training.vision.config import read_train_config
    from josiecodec.training.vision.data import Pictures
    from josiecodec.training.vision.trainer import VisionTrainer

    run = _Run(**options)
    run.check()
    config = run.config(read_train_config)
    device = run.torch_device()
    pictures = Pictures(*run.data, videos=config.data.video > 0)
    click.echo(f"{len(pictures.images)} pictures and {len(pictures.videos)} videos")
    valid = Pictures(run.valid) if run.valid else None
    run.go(VisionTrainer(config, pictures, run.out, run.minutes, valid, device, report=click.echo))


def _label_files(config: TrainConfig, recordings: Recordings, out: Path) -> tuple[str, str]:
    """Files of pitch and phone labels, "" for none; what the config has as "auto" is made if it is not there."""
    from josiecodec.training.audio import phones, pitch
    from josiecodec.training.audio.labels import labels_file

    spoken = labels_file(config.teacher.phones, out, "phones", phones.label_recordings, recordings)
    tonal = ""
    if getattr(config.model.decoder, "source", False):
        tonal = labels_file(config.pitch, out, "pitch", pitch.label_recordings, recordings)
    return tonal, spoken


@train_group.command("pitch")
@click.argument("data", type=Path_)
@click.argument("out", type=Path_)
@click.option("--workers", type=click.IntRange(1), default=2, show_default=True)
def pitch(data: Path, out: Path, workers: int) -> None:
    """Label the pitch of the speech and music in DATA for a decoder with a harmonic source.

    OUT is a .safetensors file, for the setting `pitch` of an experiment.
    """
    from josiecodec.training.audio.data import load_recordings
    from josiecodec.training.audio.pitch import label_recordings

    label_recordings(load_recordings(data), out, workers)
    click.echo(f"labels in {out}")


@train_group.command("phones")
@click.argument("data", type=Path_)
@click.argument("out", type=Path_)
@click.option("--workers", type=click.IntRange(1), default=2, show_default=True)
def phones(data: Path, out: Path, workers: int) -> None:
    """Label the phones of the English speech in DATA for the semantic level.

    OUT is a .safetensors file, for the setting `teacher.phones` of an experiment.
    """
    from josiecodec.training.audio.data import load_recordings
    from josiecodec.training.audio.phones import label_recordings

    label_recordings(load_recordings(data), out, workers)
    click.echo(f"labels in {out}")


@train_group.command("codebooks")
@click.argument("model")
@click.argument("out", type=Path_)
@click.option("--data", type=Path_, required=True, help="Folder of recordings.")
@click.option("--max-frames", type=click.IntRange(1), default=300_000, show_default=True, help="Frames to use.")
@click.option("--threads", type=click.IntRange(1), help="CPU threads to use.")
def codebooks(model: str, out: Path, data: Path, max_frames: int, threads: int | None) -> None:
    """Fit the acoustic codebooks of MODEL again by k-means over whole recordings; write the new model to OUT.

    This helps whenever the encoder has been trained. Afterwards the decoder can be trained alone
    (--set freeze_codes=true).
    """
    from josiecodec.coding.jodio import Jodio
    from josiecodec.hub.store import load_for_training, save
    from josiecodec.training.audio.codebooks import collect_latents, place_codebooks
    from josiecodec.training.audio.data import DataConfig, load_recordings

    use_device("cpu", threads)
    codec = load_for_training(model)
    if not isinstance(codec, Jodio):
        raise click.UsageError(f"{model} is not an audio codec")
    latents = collect_latents(codec, load_recordings(data, codec.sample_rate), DataConfig().gain_db, max_frames)
    place_codebooks(codec, latents, report=click.echo)
    click.echo(f"model in {save(codec, out)}")


@train_group.command("entropy")
@click.argument("model", type=Path_)
@click.option(
    "--data",
    type=Path_,
    multiple=True,
    required=True,
    help="Folder of recordings, images or videos whose codes are counted.",
)
@click.option(
    "--limit",
    type=click.FloatRange(0, min_open=True),
    default=1e9,
    help="Use at most this many seconds of audio, or pictures.",
)
@click.option("--minutes", type=click.FloatRange(0), default=0.0, help="Train a context model for this long.")
@click.option("--from", "start", help="Model with similar codes whose context model to start from: a name or folder.")
@click.option("--threads", type=click.IntRange(1), help="CPU threads to use.")
def entropy(
    model: Path, data: tuple[Path, ...], limit: float, minutes: float, start: str | None, threads: int | None
) -> None:
    """Make the range coding tables of the model in the folder MODEL, and write them into that folder.

    With --minutes also train an integer context model, which predicts codes from their neighbours and makes files
    smaller still; it needs some 20 minutes of one CPU core to be worth its size. With --from it starts from the
    context model of another model: of MODEL itself, or of the model that MODEL was trained from.

    This changes the fingerprint of MODEL, so that it no longer decodes files that it made before.
    """
    from josiecodec.audio.config import JodioConfig
    from josiecodec.entropy.tables_file import read_tables
    from josiecodec.fingerprint import TABLES_FILE
    from josiecodec.hub.config_files import read_config
    from josiecodec.hub.store import load
    from josiecodec.training.audio.data import load_recordings
    from josiecodec.training.entropy.trainer import make_tables
    from josiecodec.training.vision.data import Pictures

    use_device("cpu", threads)
    material: Any
    if isinstance(read_config(model), JodioConfig):
        if len(data) > 1:
            raise click.UsageError("give one folder of recordings")
        material = load_recordings(data[0])
    else:
        material = Pictures(*data)
    before: Any = load(start) if start else None
    size = make_tables(model, material, limit, minutes, click.echo, before)
    levels = read_tables(model / TABLES_FILE).context_levels
    network = f", with a context model for {levels} levels" if levels else ""
    click.echo(f"{size} bytes of tables{network} in {model}")
    if minutes and not levels:
        click.echo("the context model was no better than tables alone and is left out", err=True)

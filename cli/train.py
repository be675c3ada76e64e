"""`train audio`, `train vision`, the labels that sound can be learnt from, and what is made once a model is trained."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .options import Path_, use_device

if TYPE_CHECKING:
    from josiecodec.training.audio.config import TrainConfig
    from josiecodec.training.audio.data import Recordings


@click.group("train")
def train_group() -> None:
    """Train a codec on your own recordings or pictures."""


def _run_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """What all runs are told."""
    minutes = "Length of the whole run; schedules follow it."
    stop = "Stop after so many minutes; --resume goes on."
    for option in (
        click.option("--threads", type=click.IntRange(1), help="CPU threads to use."),
        click.option("--device", default="cpu", show_default=True, help="cpu, cuda, ..."),
        click.option("--set", "changes", multiple=True, metavar="KEY=VALUE", help="Change a setting, as in TOML."),
        click.option("--from", "start", help="Model to start from: a name or a folder."),
        click.option("--resume", is_flag=True, help="Go on with the run in --out."),
        click.option("--stop-after", type=click.FloatRange(0, min_open=True), help=stop),
        click.option("--steps", type=click.IntRange(1), help="Length of the run in steps instead."),
        click.option("--minutes", type=click.FloatRange(0, min_open=True), help=minutes),
        click.option("--valid", type=Path_, help="Folder of other files to judge on."),
        click.option("--out", type=Path_, required=True, help="Folder of the run."),
        click.option("--data", type=Path_, required=True, multiple=True, help="Folder of files to learn from."),
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
    device: str
    threads: int | None

    def check(self) -> None:
        """Refuse what cannot be meant."""
        if self.minutes and self.steps:
            raise click.UsageError("give --minutes or --steps, not both")
        if (self.out / "checkpoint.safetensors").exists() and not self.resume:
            raise click.UsageError(f"{self.out} holds a run already: --resume goes on with it")

    def settled(self, config: Any) -> Any:
        """The config with the options in it."""
        return dataclasses.replace(config, steps=self.steps) if self.steps else config

    def place(self) -> Any:
        """The device."""
        import torch

        from josiecodec.training.core.distributed import distributed_device

        return torch.device(distributed_device(use_device(self.device, self.threads)))

    def go(self, trainer: Any) -> None:
        """Train to the end; Ctrl-C stops cleanly."""
        from josiecodec.errors import CodecError
        from josiecodec.hub.store import load_for_training
        from josiecodec.training.core.distributed import leave_group

        if self.start:
            trainer.start_from(load_for_training(self.start))
        if self.resume:
            trainer.resume()
        try:
            trainer.run(stop_after=self.stop_after)
        except KeyboardInterrupt:
            trainer.save()
            raise CodecError(f"interrupted at step {trainer.step}; --resume goes on") from None
        click.echo(f"model in {self.out / 'model'}")
        leave_group()


@train_group.command("audio")
@_run_options
def audio(**options: Any) -> None:
    """Train the model of EXPERIMENT, a TOML file or the name of one that came with the package, on recordings.

    The folders may have a manifest.tsv, see `josiecodec/training/audio/data.py`. Stops cleanly on Ctrl-C, after
    writing a checkpoint. Under torchrun every process takes its share.
    """
    from josiecodec.training.audio.config import read_train_config
    from josiecodec.training.audio.data import load_recordings
    from josiecodec.training.audio.pitch import make_lessons
    from josiecodec.training.audio.teacher import make_teacher
    from josiecodec.training.audio.trainer import AudioTrainer

    run = _Run(**options)
    run.check()
    if len(run.data) > 1:
        raise click.UsageError("recordings come from one folder")
    config = run.settled(read_train_config(run.experiment, run.changes))
    place = run.place()
    recordings = load_recordings(run.data[0], config.model.sample_rate)
    judged = load_recordings(run.valid, config.model.sample_rate) if run.valid else None
    hours = recordings.seconds() / 3600
    click.echo(f"{hours:.2f} h in {len(recordings.segments)} segments by {recordings.voices} voices")
    config = _with_labels(config, recordings, run.out)
    teacher = make_teacher(recordings, config.teacher, config.model.frame_size, place)
    lessons = make_lessons(config.pitch, recordings, config.model.decoder, place)
    run.go(AudioTrainer(config, recordings, run.out, teacher, run.minutes, judged, lessons, place, say=click.echo))


@train_group.command("vision")
@_run_options
def vision(**options: Any) -> None:
    """Train the model of EXPERIMENT, a TOML file or the name of one that came with the package, on pictures.

    Every picture below the folders is used, and every video if the experiment has a share for them; --data may be
    given more than once. Stops cleanly on Ctrl-C, after writing a checkpoint. Under
    torchrun every process takes its share.
    """
    from josiecodec.training.vision.config import read_vision_config
    from josiecodec.training.vision.data import Pictures
    from josiecodec.training.vision.trainer import VisionTrainer

    run = _Run(**options)
    run.check()
    config = run.settled(read_vision_config(run.experiment, run.changes))
    place = run.place()
    pictures = Pictures(*run.data, videos=config.data.video > 0)
    click.echo(f"{len(pictures.images)} pictures and {len(pictures.videos)} videos")
    judged = Pictures(run.valid) if run.valid else None
    run.go(VisionTrainer(config, pictures, run.out, run.minutes, judged, place, say=click.echo))


def _with_labels(config: TrainConfig, recordings: Recordings, out: Path) -> TrainConfig:
    """The config with every "auto" replaced by a file of labels, which are made if they are not there."""
    from josiecodec.training.audio import phones, pitch
    from josiecodec.training.audio.labels import labels_file

    spoken = labels_file(config.teacher.phones, out, "phones", phones.label_recordings, recordings)
    tonal = ""
    if getattr(config.model.decoder, "source", False):
        tonal = labels_file(config.pitch, out, "pitch", pitch.label_recordings, recordings)
    return dataclasses.replace(config, pitch=tonal, teacher=dataclasses.replace(config.teacher, phones=spoken))


@train_group.command("pitch")
@click.argument("data", type=Path_)
@click.argument("out", type=Path_)
@click.option("--workers", type=click.IntRange(1), default=2, show_default=True)
def pitch(data: Path, out: Path, workers: int) -> None:
    """Label the pitch of the speech and music in DATA for the decoder's source, in the file OUT (.safetensors)."""
    from josiecodec.training.audio.data import load_recordings
    from josiecodec.training.audio.pitch import label_recordings

    label_recordings(load_recordings(data), out, workers)
    click.echo(f"labels in {out}")


@train_group.command("phones")
@click.argument("data", type=Path_)
@click.argument("out", type=Path_)
@click.option("--workers", type=click.IntRange(1), default=2, show_default=True)
def phones(data: Path, out: Path, workers: int) -> None:
    """Label the phones of the English speech in DATA for the semantic level, in the file OUT (.safetensors)."""
    from josiecodec.training.audio.data import load_recordings
    from josiecodec.training.audio.phones import label_recordings

    label_recordings(load_recordings(data), out, workers)
    click.echo(f"labels in {out}")


@train_group.command("codebooks")
@click.argument("model")
@click.argument("out", type=Path_)
@click.option("--data", type=Path_, required=True, help="Recordings to place codes over.")
@click.option("--most", type=click.IntRange(1), default=300_000, show_default=True, help="Frames to use.")
@click.option("--threads", type=click.IntRange(1), help="CPU threads to use.")
def codebooks(model: str, out: Path, data: Path, most: int, threads: int | None) -> None:
    """Place the acoustic codes of MODEL anew over whole recordings, and save the model in the folder OUT.

    Worth it whenever the encoder has been trained; afterwards the decoder can be trained on (freeze_codes = true).
    """
    from josiecodec.coding.jodio import Jodio
    from josiecodec.hub.store import load_for_training, save
    from josiecodec.training.audio.codebooks import collect_latents, place_codebooks
    from josiecodec.training.audio.data import DataConfig, load_recordings

    use_device("cpu", threads)
    codec = load_for_training(model)
    if not isinstance(codec, Jodio):
        raise click.UsageError(f"{model} is not a codec of sound")
    latents = collect_latents(codec, load_recordings(data, codec.sample_rate), DataConfig().gain_db, most)
    place_codebooks(codec, latents, say=click.echo)
    click.echo(f"model in {save(codec, out)}")


@train_group.command("entropy")
@click.argument("model", type=Path_)
@click.option("--data", type=Path_, multiple=True, required=True, help="Recordings or pictures to count codes in.")
@click.option("--most", type=click.FloatRange(0, min_open=True), default=1e9, help="Seconds of sound, or pictures.")
@click.option("--minutes", type=click.FloatRange(0), default=0.0, help="Train a context network for so long.")
@click.option("--from", "before", help="Model with much the same codes, whose network is trained on: a name or folder.")
@click.option("--threads", type=click.IntRange(1), help="CPU threads to use.")
def entropy(
    model: Path, data: tuple[Path, ...], most: float, minutes: float, before: str | None, threads: int | None
) -> None:
    """Make the tables that codes of the model in the folder MODEL are coded with, and put them beside it.

    With --minutes also a network that tells codes from those around them, which makes files smaller still; it takes
    some 20 minutes of one core to be worth having. With --from it begins as that of another model, of which MODEL was
    trained on, or MODEL's own.

    Files that the model made before can no longer be decoded with it: its fingerprint changes.
    """
    from josiecodec.audio.config import JodioConfig
    from josiecodec.entropy.tables_file import read_tables
    from josiecodec.fingerprint import TABLES_FILE
    from josiecodec.hub.store import load, read_config
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
    start: Any = load(before) if before else None
    size = make_tables(model, material, most, minutes, click.echo, start)
    seen = read_tables(model / TABLES_FILE).context_levels
    network = f", with a context network for {seen} levels" if seen else ""
    click.echo(f"{size} bytes of tables{network} in {model}")
    if minutes and not seen:
        click.echo("the network was no better than tables alone and is left out", err=True)

"""`train audio` and the labels it can learn from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from .options import Path_, use_device

if TYPE_CHECKING:
    from josiecodec.training.config import TrainConfig
    from josiecodec.training.data import Recordings


@click.group("train")
def train_group() -> None:
    """Train a codec on your own recordings."""


@train_group.command("audio")
@click.argument("experiment")
@click.option("--data", type=Path_, required=True, help="Folder of recordings (with a manifest.tsv, or without).")
@click.option("--out", type=Path_, required=True, help="Folder of the run.")
@click.option("--valid", type=Path_, help="Folder of other recordings to judge on.")
@click.option(
    "--minutes", type=click.FloatRange(0, min_open=True), help="Length of the whole run; schedules follow it."
)
@click.option("--steps", type=click.IntRange(1), help="Length of the run in steps instead.")
@click.option(
    "--stop-after", type=click.FloatRange(0, min_open=True), help="Stop after so many minutes; --resume goes on."
)
@click.option("--resume", is_flag=True, help="Go on with the run in --out.")
@click.option("--from", "start", help="Model to start from: a name or a folder.")
@click.option("--set", "changes", multiple=True, metavar="KEY=VALUE", help="Change a setting, as in TOML.")
@click.option("--device", default="cpu", show_default=True, help="cpu, cuda, ...")
@click.option("--threads", type=click.IntRange(1), help="CPU threads to use.")
def audio(
    experiment: str,
    data: Path,
    out: Path,
    valid: Path | None,
    minutes: float | None,
    steps: int | None,
    stop_after: float | None,
    resume: bool,
    start: str | None,
    changes: tuple[str, ...],
    device: str,
    threads: int | None,
) -> None:
    """Train the model of EXPERIMENT, a TOML file or the name of one that came with the package.

    Stops cleanly on Ctrl-C, after writing a checkpoint. Under torchrun every process takes its share.
    """
    import dataclasses

    import torch

    from josiecodec.errors import CodecError
    from josiecodec.hub import load_for_training
    from josiecodec.training.config import read_train_config
    from josiecodec.training.data import load_recordings
    from josiecodec.training.loop import Trainer, distributed_device, leave_group
    from josiecodec.training.pitch import make_lessons
    from josiecodec.training.teacher import make_teacher

    if minutes and steps:
        raise click.UsageError("give --minutes or --steps, not both")
    if (out / "checkpoint.safetensors").exists() and not resume:
        raise click.UsageError(f"{out} holds a run already: --resume goes on with it")
    config = read_train_config(experiment, changes)
    if steps:
        config = dataclasses.replace(config, steps=steps)
    place = torch.device(distributed_device(use_device(device, threads)))
    recordings = load_recordings(data, config.model.sample_rate)
    judged = load_recordings(valid, config.model.sample_rate) if valid else None
    hours = recordings.seconds() / 3600
    click.echo(f"{hours:.2f} h in {len(recordings.segments)} segments by {recordings.voices} voices")
    config = _with_labels(config, recordings, out)
    teacher = make_teacher(recordings, config.teacher, config.model.frame_size, place)
    lessons = make_lessons(config.pitch, recordings, config.model.decoder, place)
    trainer = Trainer(config, recordings, out, teacher, minutes, judged, lessons, place, say=click.echo)
    if start:
        trainer.start_from(load_for_training(start))
    if resume:
        trainer.resume()
    try:
        trainer.run(stop_after=stop_after)
    except KeyboardInterrupt:
        trainer.save()
        raise CodecError(f"interrupted at step {trainer.step}; --resume goes on") from None
    click.echo(f"model in {out / 'model'}")
    leave_group()


def _with_labels(config: TrainConfig, recordings: Recordings, out: Path) -> TrainConfig:
    """The config with every "auto" replaced by a file of labels, which are made if they are not there."""
    import dataclasses

    from josiecodec.training import phones, pitch
    from josiecodec.training.labels import labels_file

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
    from josiecodec.training.data import load_recordings
    from josiecodec.training.pitch import label_recordings

    label_recordings(load_recordings(data), out, workers)
    click.echo(f"labels in {out}")


@train_group.command("phones")
@click.argument("data", type=Path_)
@click.argument("out", type=Path_)
@click.option("--workers", type=click.IntRange(1), default=2, show_default=True)
def phones(data: Path, out: Path, workers: int) -> None:
    """Label the phones of the English speech in DATA for the semantic level, in the file OUT (.safetensors)."""
    from josiecodec.training.data import load_recordings
    from josiecodec.training.phones import label_recordings

    label_recordings(load_recordings(data), out, workers)
    click.echo(f"labels in {out}")

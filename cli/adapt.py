"""`adapt`: a model whose decoder has learnt a voice, a language or a microphone, and whose files are the same."""

from __future__ import annotations

from pathlib import Path

import click

from .options import Path_, use_device


@click.command("adapt")
@click.argument("model")
@click.argument("out", type=Path_)
@click.option("--data", type=Path_, required=True, help="Folder of recordings to adapt to.")
@click.option("--valid", type=Path_, help="Folder of others to judge on.  [default: every fifth part of --data]")
@click.option(
    "--minutes", type=click.FloatRange(0, min_open=True), default=20.0, show_default=True, help="Train for so long."
)
@click.option("--steps", type=click.IntRange(1), help="Train for so many steps instead.")
@click.option("--stop-after", type=click.FloatRange(0, min_open=True), help="Stop after this many minutes; --resume "
              "continues.")  # fmt: skip
@click.option("--resume", is_flag=True, help="Continue the run in OUT.")
@click.option("--bf16", is_flag=True, help="Compute in bfloat16: on processors and GPUs that have it, faster.")
@click.option("--device", default="cpu", show_default=True, help="cpu, cuda, ...")
@click.option("--threads", type=click.IntRange(1), help="CPU threads to use.")
def adapt(
    model: str,
    out: Path,
    data: Path,
    valid: Path | None,
    minutes: float,
    steps: int | None,
    stop_after: float | None,
    resume: bool,
    bf16: bool,
    device: str,
    threads: int | None,
) -> None:
    """Let the decoder of MODEL learn the recordings in --data, and write the adapted model to OUT/model.

    Codes stay as they are: files of MODEL and of the adapted model are the same, and both decode them.
    `decode --model OUT/model` decodes with what was learnt, files of MODEL that are there already, too. It is of use
    for the levels of MODEL's base; files with levels after these sound as before.

    The weights that do best on what is held out are kept. If none does better than MODEL, nothing is written.
    """
    import dataclasses

    import torch

    from josiecodec import load
    from josiecodec.errors import CodecError
    from josiecodec.training.audio.adapt import AdaptTrainer, adapting_config, at_other_speeds, hold_out
    from josiecodec.training.audio.data import load_recordings
    from josiecodec.training.audio.labels import labels_file
    from josiecodec.training.audio.pitch import label_recordings, make_pitch_labels
    from josiecodec.training.core.interrupt import run_until_interrupted

    if (out / "checkpoint.safetensors").exists() and not resume:
        raise click.UsageError(f"{out} already holds a run; --resume continues it")
    place = use_device(device, threads)
    codec = load(model)
    config = adapting_config(codec, model, "bf16" if bf16 else "fp32")
    if steps:
        config = dataclasses.replace(config, steps=steps)
    recordings = load_recordings(data, codec.sample_rate)
    if valid is None:
        recordings, held = hold_out(recordings)
    else:
        held = load_recordings(valid, codec.sample_rate)
    click.echo(f"{recordings.seconds():.0f} s to learn from, {held.seconds():.0f} s to judge on")
    recordings = at_other_speeds(recordings)
    tonal = ""
    if getattr(config.model.decoder, "source", False):
        tonal = labels_file("auto", out, "pitch", label_recordings, recordings)
    pitch = make_pitch_labels(tonal, recordings, config.model.decoder, torch.device(place))
    length = None if steps else minutes
    trainer = AdaptTrainer(codec, config, recordings, held, out, length, pitch, place, report=click.echo)
    if resume:
        trainer.resume()
    run_until_interrupted(trainer, stop_after)
    if trainer.progress < 1:
        return
    if not trainer.after:
        raise CodecError(f"on what was held out nothing was better than {model}: no model was written")
    click.echo(f"model in {out / 'model'}")

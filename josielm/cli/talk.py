"""`josielm talk`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from josiecodec_cli.options import Path_, common, use_device

from .options import AMOUNT, drawn, refuse_to_replace, sampling

if TYPE_CHECKING:
    from torch import Tensor

    from josielm.inference.duplex import Talk


@click.command()
@click.argument("model", type=Path_)
@click.argument("source", type=Path_, required=False)
@click.argument("target", type=Path_, required=False)
@click.option("--live", is_flag=True, help="Use the microphone and loudspeaker.")
@click.option("--loop-back", is_flag=True, help="Measure the delay of --live, with a device that only keeps the time.")
@click.option("--look-back", type=AMOUNT, help="Seconds that the model remembers.  [default: its context]")
@click.option("--seconds", type=AMOUNT, help="Stop after this many seconds.")
@click.option(
    "--quiet-after",
    type=click.FloatRange(0),
    default=1.0,
    show_default=True,
    help="Mute after this many seconds without text.",
)
@click.option("--codec", help="Name or folder of the codec, if it does not ship with the package.")
@click.option("--overwrite", is_flag=True, help="Replace TARGET if it exists.")
@drawn
@common
def talk(
    model: Path,
    source: Path | None,
    target: Path | None,
    live: bool,
    loop_back: bool,
    look_back: float | None,
    seconds: float | None,
    quiet_after: float,
    seed: int,
    codec: str | None,
    overwrite: bool,
    device: str,
    threads: int | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Talk with the model in the folder MODEL in full duplex: it hears SOURCE frame by frame and answers in TARGET.

    TARGET is an audio file as long as SOURCE, to be played at the same time. The time of computation per frame is
    reported, and the real-time budget.
    """
    import torch

    from josielm.inference.duplex import Talk
    from josielm.store import load, load_codec

    live = live or loop_back
    if live == (source is not None and target is not None) or (live and source is not None):
        raise click.UsageError("give a SOURCE and a TARGET, or --live, or --loop-back")
    refuse_to_replace(target, overwrite)
    how = sampling(options)
    device = use_device(device, threads)
    trained = load(model, device)
    if trained.model.config.streams == 1:
        click.echo("warning: this model has one stream; it does not hear SOURCE", err=True)
    talking = Talk(trained, load_codec(trained.codec, codec, device), seed, how, quiet_after, look_back)
    timing: dict[str, float] = {}
    with torch.inference_mode():
        if live:
            from josielm.inference.live import converse
            from josielm.inference.loopback import LoopBack

            loop = LoopBack(talking.codec.sample_rate) if loop_back else None
            converse(talking, (seconds or 10.0) if loop_back else seconds, loop)
            timing = loop.figures(trained.model.config.longest_delay / trained.frame_rate) if loop else {}
        else:
            assert source is not None  # checked above
            assert target is not None
            _answer(talking, source, target, seconds)
    figures: dict[str, Any] = {**talking.report.figures(1 / trained.frame_rate), **timing}
    if trained.rows is not None:
        figures["text"] = trained.rows.decode(talking.report.text)
    if as_json:
        click.echo(json.dumps(figures))
        return
    if figures.get("text"):
        click.echo(figures["text"])
    click.echo(
        f"{figures['frames']} frames, {figures['median_ms']:.1f} ms of computation each "
        f"(mean {figures['mean_ms']:.1f} ms, 99 %: {figures['p99_ms']:.1f} ms); to keep up the mean may be "
        f"{figures['sustained_ms']:.0f} ms and a single frame {figures['budget_ms']:.0f} ms: "
        f"{figures['over_budget']} took longer"
    )
    if timing:
        click.echo(
            f"from a sound to the answer to it: {timing['delay_ms']:.0f} ms "
            f"(at most {timing['worst_delay_ms']:.0f} ms), {timing['gaps']} gaps"
        )
    if figures["mean_ms"] > figures["sustained_ms"]:
        click.echo("note: live, this model would fall behind on this machine", err=True)


def _answer(talking: Talk, source: Path, target: Path, seconds: float | None) -> None:
    from josiecodec.media.audio_reader import AudioReader
    from josiecodec.media.audio_writer import AudioWriter
    from josielm.inference.duplex import framed

    codec = talking.codec
    target.parent.mkdir(parents=True, exist_ok=True)
    with AudioReader(source) as reader, AudioWriter(target, codec.sample_rate) as writer:
        left = None if seconds is None else round(seconds * codec.sample_rate)
        for frame, real in framed(_until(reader.mono(codec.sample_rate), left), codec.frame_size):
            writer.write(talking.frame(frame.to(codec.device))[0, :, :real])


def _until(blocks: Iterator[Tensor], left: int | None) -> Iterator[Tensor]:
    """The first `left` samples; all for None."""
    for block in blocks:
        if left is None:
            yield block
            continue
        yield block[:left]
        left -= len(block)
        if left <= 0:
            return

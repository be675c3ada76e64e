"""`tokenize`: a folder of media to a dataset of tokens."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click

from .options import Path_, common, quiet_option, tell, track_option, use_device
from .progress import Progress


class ShardPart(click.ParamType):
    """`i/n`: part i of n."""

    name = "i/n"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[int, int]:
        """Parse "3/64"."""
        try:
            part, parts = (int(n) for n in str(value).split("/"))
        except ValueError:
            part, parts = 0, 0
        if not 1 <= part <= parts:
            self.fail(f"{value!r} is not a part such as 3/64 (1/64 to 64/64)", param, ctx)
        return part, parts


@click.command()
@click.argument("source", metavar="INPUT")
@click.argument("target", metavar="OUT", type=Path_, required=False)
@click.option("-o", "--output", type=Path_, help="The same as OUT.")
@click.option("--kind", type=click.Choice(["audio", "vision"]), help="Kind of tokens.  [default: audio if any]")
@click.option("--model", help="Name of a model, or its folder.  [default: the one that ships]")
@click.option("--n-q", type=click.IntRange(1), help="Levels to store.  [default: the model's]")
@click.option("--adaptive", is_flag=True, help="Vision: level counts by rate-distortion optimisation, at most --n-q.")
@click.option("--shard", type=ShardPart(), default="1/1", help="Make only part i of n of the shards, 1/n to n/n.")
@click.option("--shard-clips", type=click.IntRange(1), default=1000, show_default=True, help="Clips per shard.")
@click.option("--batch-seconds", type=click.FloatRange(1), default=120.0, show_default=True, help="Audio per batch.")
@click.option("--workers", type=click.IntRange(1), default=2, show_default=True, help="Threads that read files.")
@click.option("--engine", type=click.Choice(["local", "ray"]), default="local", show_default=True)
@click.option("--actors", type=click.IntRange(1), help="Of Ray: encoders.  [default: one a CPU, or a GPU]")
@click.option("--readers", type=click.IntRange(1), help="Of Ray: they decode media.  [default: one an encoder, or CPU]")
@track_option
@click.option("--strict", is_flag=True, help="Exit with 2 if a file was left out.")
@click.option("--dry-run", "dry", is_flag=True, help="Print what would be done, and do nothing.")
@quiet_option
@click.option("-v", "--verbose", is_flag=True, help="Also print a line for each shard.")
@common
def tokenize(
    source: str,
    target: Path | None,
    output: Path | None,
    kind: str | None,
    model: str | None,
    n_q: int | None,
    adaptive: bool,
    shard: tuple[int, int],
    shard_clips: int,
    batch_seconds: float,
    workers: int,
    engine: str,
    actors: int | None,
    readers: int | None,
    audio_track: int | None,
    strict: bool,
    dry: bool,
    quiet: bool,
    verbose: bool,
    device: str,
    threads: int | None,
    as_json: bool,
) -> int:
    """Tokenize INPUT, a folder, pattern or JSONL manifest of recordings, images or videos, to the dataset OUT.

    Run it again to resume after a stop or kill: complete shards are kept, the others are made. Several processes
    can work on one dataset, each with its own --shard. Files that cannot be read are listed in OUT/errors.jsonl, and
    the exit code is 0 nevertheless unless --strict is given.
    """
    folder = output or target
    if folder is None or (output and target):
        raise click.UsageError("give the dataset either as OUT or with -o")
    if Path(source).is_dir() and folder.resolve() == Path(source).resolve():
        raise click.UsageError(f"{folder} holds the media; a dataset needs a folder of its own")
    for option, value in (("--actors", actors), ("--readers", readers)):
        if value is not None and engine != "ray":
            raise click.UsageError(f"{option} needs --engine ray")
    import josiecodec
    from josiecodec.datasets.dataset import done_shards
    from josiecodec.tokenization.plan import Settings, make_plan
    from josiecodec.tokenization.ray_engine import tokenize_with_ray
    from josiecodec.tokenization.tokenize import ERRORS_FILE
    from josiecodec.tokenization.tokenize import tokenize as tokenize_here

    from .models import Models

    plan = make_plan(source, kind or (None if audio_track is None else "audio"), shard_clips, audio_track)
    if audio_track is not None and plan.kind != "audio":
        raise click.UsageError("--audio-track is for tokens of audio")
    if adaptive and plan.kind == "audio":
        raise click.UsageError("--adaptive is for vision; audio has --n-q levels in every frame")
    name = model or Models.DEFAULTS["audio" if plan.kind == "audio" else "vision"]
    share = plan.share(*shard)
    before = set(done_shards(folder)) if folder.is_dir() else set()
    waiting = sum(len(plan.shards[i]) for i in share if i not in before)
    if dry:
        entry = {"input": source, "output": str(folder), "kind": plan.kind, "model": name, "clips": waiting}
        entry |= {"shards": len(set(share) - before), "shards_planned": len(plan.shards)}
        text = f"{source} -> {folder}: {waiting} {plan.kind} clips in {entry['shards']} of {len(plan.shards)} shards"
        tell(entry, f"{text}, with {name}", as_json)
        return 0
    if engine == "local":
        use_device(device, threads)
    codec = josiecodec.load(name, device if engine == "local" else "cpu")
    settings = Settings(codec.levels(n_q), adaptive, batch_seconds, workers)
    began, seconds = time.monotonic(), [0.0]
    with Progress(waiting, "clip", quiet) as bar:

        def progress(clips: int, more: float) -> None:
            seconds[0] += more
            bar.note(_speed(seconds[0], time.monotonic() - began))
            bar.update(clips)

        if engine == "ray":
            reports = tokenize_with_ray(
                name, plan, folder, settings, *shard, device=device, actors=actors, threads=threads or 1,
                readers=readers, on_shard=lambda report: progress(report.clips + report.bad, report.seconds),
            )  # fmt: skip
        else:
            reports = tokenize_here(codec, plan, folder, settings, *shard, on_clip=lambda more: progress(1, more))
    took = time.monotonic() - began
    done = set(done_shards(folder))
    result = {
        "kind": plan.kind,
        "clips": sum(r.clips for r in reports),
        "bad": sum(r.bad for r in reports),
        "seconds": round(sum(r.seconds for r in reports), 3),
        "took": round(took, 3),
        "times_real_time": round(sum(r.seconds for r in reports) / took, 2),
        "clips_per_second": round(sum(r.clips for r in reports) / took, 2),
        "shards": len(reports),
        "shards_done": len(done),
        "shards_planned": len(plan.shards),
    }
    for report in reports if verbose and not as_json else ():
        click.echo(f"shard {report.shard:05d}: {report.clips} clips, {report.bad} files left out")
    tell(result, _summary(folder, result), as_json, quiet)
    if result["bad"] and not as_json:
        click.echo(f"warning: {result['bad']} files left out, see {folder / ERRORS_FILE}", err=True)
    return 2 if strict and result["bad"] else 0


def _speed(seconds: float, took: float) -> str:
    return f"{seconds / max(took, 1e-9):.1f} x real time" if seconds else ""


def _summary(target: Path, result: dict[str, Any]) -> str:
    shards = f"{target}: {result['shards_done']} of {result['shards_planned']} shards done"
    if not result["shards"]:
        return f"{shards}, nothing left to do here"
    media = f", {result['seconds'] / 3600:.3g} h" if result["seconds"] else ""
    speed = f"{result['times_real_time']:.1f} x real time, " if result["seconds"] else ""
    return (
        f"{shards}; {result['clips']} {result['kind']} clips{media} in {result['took']:.1f} s: "
        f"{speed}{result['clips_per_second']:.1f} clips/s"
    )

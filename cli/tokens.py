"""`tokens`: statistics of a dataset of tokens, checks and decoding; `tokens_export.py` has exports."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from .entry import Suggesting
from .options import Path_, json_option, quiet_option, tell, use_device


@click.group("tokens", cls=Suggesting)
def tokens_group() -> None:
    """Datasets of tokens, as `tokenize` makes them: show, verify, decode and export them."""


@tokens_group.command("info")
@click.argument("folder", type=Path_)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def info(folder: Path, as_json: bool) -> None:
    """Show the contents of the dataset FOLDER: hours, clips, use and entropy of the codes of each level."""
    from josiecodec.config import to_dict
    from josiecodec.datasets.dataset import TokenDataset
    from josiecodec.datasets.verify import contents
    from josiecodec.tokenization.plan import read_plan

    dataset = TokenDataset(folder)
    counted = contents(dataset)
    plan = read_plan(folder)
    entry = {
        **to_dict(dataset.info),
        "clips": counted.clips,
        "shards": counted.shards,
        "shards_planned": None if plan is None else plan.get("shards"),
        "frames": counted.rows,
        "hours": counted.seconds / 3600,
        "usage": [round(u, 4) for u in counted.usage],
        "entropy": [round(e, 3) for e in counted.entropy],
    }
    if as_json:
        click.echo(json.dumps(entry))
        return
    click.echo("\n".join(_described(folder, entry)))


def _described(folder: Path, e: dict[str, Any]) -> list[str]:
    planned = f" of {e['shards_planned']}" if e["shards_planned"] not in (None, e["shards"]) else ""
    unit = "patches" if e["kind"] == "vision" else "frames"
    rate = "" if e["kind"] == "vision" else f", {e['frame_rate'][0] / e['frame_rate'][1]:g}/s"
    lines = [
        f"{folder}: {e['clips']} clips, {e['hours']:.3f} h, {e['shards']}{planned} shards",
        f"  {e['kind']}: {e['frames']} {unit}{rate}, {e['n_q']} levels x {e['codebook_size']} codes",
        f"  model {e['codec']} {e['fingerprint'][:16]}",
        "  level  codes used  entropy",
    ]
    return lines + [f"  {k:5}  {u:9.1%}  {b:6.2f} bits" for k, (u, b) in enumerate(zip(e["usage"], e["entropy"]))]


@tokens_group.command("verify")
@click.argument("folder", type=Path_)
@click.option("--against", type=Path_, help="Folder of the media files: encode some clips again, and compare.")
@click.option("--samples", type=click.IntRange(1), default=10, show_default=True, help="Clips to encode again.")
@click.option("--tolerance", type=click.FloatRange(0, 1), default=0.0, help="Fraction of the codes that may differ.")
@click.option("--seed", type=int, default=0, help="Seed of the choice of clips.")
@click.option("--model", help="Folder of the model, if it does not ship with the package.")
@click.option("--device", default="cpu", show_default=True, help="cpu, cuda, cuda:1, ...")
@quiet_option
@json_option
def verify(
    folder: Path,
    against: Path | None,
    samples: int,
    tolerance: float,
    seed: int,
    model: str | None,
    device: str,
    quiet: bool,
    as_json: bool,
) -> None:
    """Check every shard of the dataset FOLDER: checksums, shapes, codes and metadata.

    With --json what is wrong is listed there, too; the exit code is 2 then.
    """
    from josiecodec.datasets.dataset import TokenDataset
    from josiecodec.datasets.verify import problems
    from josiecodec.errors import FormatError
    from josiecodec.tokenization.compare import compare
    from josiecodec.tokenization.plan import read_plan

    expected = (read_plan(folder) or {}).get("shards")
    wrong = list(problems(folder, expected if isinstance(expected, int) else None))
    entry: dict[str, Any] = {"dataset": str(folder), "problems": wrong}
    if wrong:
        _tell_problems(entry, as_json)
        raise FormatError(f"{folder}: {len(wrong)} problem(s)")
    dataset = TokenDataset(folder)
    entry |= {"clips": len(dataset), "shards": len(dataset.shards)}
    intact = f"{folder}: {len(dataset)} clips in {len(dataset.shards)} shards, all intact"
    if against is None:
        tell(entry, intact, as_json, quiet)
        return
    again = compare(_model(dataset, model, use_device(device, None)), dataset, against, samples, seed)
    different = [c for c in again if c.equal is None or c.equal < 1 - tolerance]
    lowest = min((c.equal for c in again if c.equal is not None), default=1.0)
    entry |= {"compared": len(again), "different": len(different), "lowest_equal": lowest}
    entry["problems"] = [f"{clip.id}: {clip.problem}" for clip in different]
    if different:
        _tell_problems(entry, as_json)
        raise FormatError(f"{folder}: {len(different)} of {len(again)} clips differ from what {against} gives")
    equal = "the same codes" if lowest == 1 else f"at least {lowest:.4%} of the codes of each are equal"
    tell(entry, f"{intact}\n{len(again)} clips encoded again from {against}: {equal}", as_json, quiet)


def _tell_problems(entry: dict[str, Any], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(entry))
        return
    for problem in entry["problems"]:
        click.echo(f"problem: {problem}", err=True)


@tokens_group.command("decode")
@click.argument("folder", type=Path_)
@click.argument("target", type=Path_)
@click.option("--clip", required=True, help="Id or index of the clip (0 is the first).")
@click.option("--n-q", type=click.IntRange(1), help="Use at most this many levels.")
@click.option("--model", help="Folder of the model, if it does not ship with the package.")
@click.option("--overwrite", is_flag=True, help="Replace TARGET if it exists.")
@click.option("--skip-existing", is_flag=True, help="Leave TARGET if it exists.")
@click.option("--device", default="cpu", show_default=True, help="cpu, cuda, cuda:1, ...")
@quiet_option
@json_option
def decode(
    folder: Path,
    target: Path,
    clip: str,
    n_q: int | None,
    model: str | None,
    overwrite: bool,
    skip_existing: bool,
    device: str,
    quiet: bool,
    as_json: bool,
) -> None:
    """Decode one clip of the dataset FOLDER to TARGET: an audio, image, video or .josie file, by its suffix."""
    from josiecodec.datasets.dataset import TokenDataset
    from josiecodec.tokenization.decode import decode_clip

    if target.exists() and skip_existing:
        click.echo(f"{target} skipped, already there", err=True)
        return
    if target.exists() and not overwrite:
        raise click.UsageError(f"{target} already exists; --skip-existing leaves it; another name keeps both")
    dataset = TokenDataset(folder, n_q)
    chosen = dataset[dataset.number_of(clip)]
    result = decode_clip(_model(dataset, model, use_device(device, None)), dataset.info, chosen, target)
    name = chosen.meta.get("id")
    entry = {"id": name, "output": str(target), "seconds": round(result.seconds, 3), "bytes": result.size}
    tell(entry, f"{name} -> {target}: {result.size} bytes", as_json, quiet)


def _model(dataset: Any, model: str | None, device: str) -> Any:
    """The model that made a dataset."""
    import josiecodec
    from josiecodec.shipped import find_fingerprint

    return josiecodec.load(model or find_fingerprint(dataset.info.fingerprint, dataset.info.codec), device)

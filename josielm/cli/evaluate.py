"""`josielm eval`."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING

import click

from josiecodec_cli.options import Path_, common, use_device

if TYPE_CHECKING:
    from josielm.data.batches import Pieces
    from josielm.model.language_model import LM


@click.command("eval")
@click.argument("model", type=Path_)
@click.argument("data", type=Path_, nargs=-1, required=True)
@click.option("--train", "learnt", type=Path_, multiple=True, help="Dataset it was trained on, for baselines.")
@click.option("--frames", type=click.IntRange(1), help="Frames per piece.  [default: the context of the model]")
@click.option("--max-frames", type=click.IntRange(1), help="Evaluate at most this many frames.")
@click.option("--missing", is_flag=True, help="Also evaluate without each modality, and with each alone.")
@common
def evaluate(
    model: Path,
    data: tuple[Path, ...],
    learnt: tuple[Path, ...],
    frames: int | None,
    max_frames: int | None,
    missing: bool,
    device: str,
    threads: int | None,
    as_json: bool,
) -> None:
    """Evaluate the model in the folder MODEL on DATA, datasets of tokens: nats per code of each level.

    With --train also baselines: the cost of codes by their frequencies (unigram), given the code of the frame before
    (bigram), or given the code of the level below (stacked).
    """
    from dataclasses import asdict

    from josielm.data.batches import Pieces, open_datasets
    from josielm.store import check_codec, load
    from josielm.training.baselines import clips_of, floors
    from josielm.training.evaluate import negative_log_likelihood, table

    trained = load(model, use_device(device, threads))
    config = trained.model.config
    valid = open_datasets(data)
    datasets = open_datasets(learnt) if learnt else []
    for dataset in [*valid, *datasets]:
        check_codec(trained, dataset)
    if config.vision is not None:
        click.echo(f"warning: {config.name} is evaluated without pictures, although it was trained with them", err=True)
    pieces = Pieces(valid, config, frames or config.context, trained.rows, turns=trained.mode == "turns")
    nll = negative_log_likelihood(trained.model, pieces, max_frames)
    lacking = _lacking(trained.model, pieces, max_frames) if missing else {}
    rows = []
    if datasets:
        baselines = floors(clips_of(datasets, config.n_q), clips_of(valid, config.n_q), config.codebook_size)
        rows = [asdict(row) for row in table(nll, baselines)]
    if as_json:
        levels = [{k: None if math.isnan(v) else v for k, v in row.items()} for row in rows]
        click.echo(json.dumps({"nll": nll, "levels": levels, **({"missing": lacking} if missing else {})}))
        return
    if rows:
        click.echo("level   model  unigram  bigram  stacked   (nats per code)")
        for row in rows:
            click.echo("{level:5d} {model:7.3f} {unigram:8.3f} {bigram:7.3f} {stacked:8.3f}".format(**row))
    text = {name: value for name, value in nll.items() if not rows or not name.startswith("level")}
    for name, value in text.items():
        click.echo(f"{name:>12} {value:7.3f}")
    for what, values in lacking.items():
        click.echo(f"{what:>16}  " + "  ".join(f"{name} {value:.3f}" for name, value in values.items()))


def _lacking(model: LM, pieces: Pieces, max_frames: int | None) -> dict[str, dict[str, float]]:
    """Nats per id where modalities are missing."""
    from josielm.data.modalities import Modality
    from josielm.training.evaluate import negative_log_likelihood

    there: list[Modality] = ["sound"]
    there += ["text"] if model.config.text_size else []
    there += ["user"] if model.config.streams == 2 else []
    cases: dict[str, list[Modality]] = {f"without {name}": [name] for name in there if name != "sound"}
    cases |= {f"{name} alone": [other for other in there if other != name] for name in there if name != "user"}
    return {what: negative_log_likelihood(model, pieces, max_frames, lacking=gone) for what, gone in cases.items()}

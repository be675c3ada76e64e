"""`josielm memory`."""

from __future__ import annotations

import json
from pathlib import Path

import click


@click.command()
@click.argument("experiment")
@click.option("--dtype", type=click.Choice(["float32", "bfloat16", "float16"]), default="float32", show_default=True)
@click.option("--cache-dtype", type=click.Choice(["model", "bfloat16", "float16"]), default="model", show_default=True)
@click.option("--cache-frames", type=click.IntRange(2), help="Look back on so many frames.  [default: all of context]")
@click.option("--batch", type=click.IntRange(1), default=1, show_default=True, help="Streams at a time.")
@click.option("--measure", is_flag=True, help="Also make the model and fill its cache, and measure the process.")
@click.option("--set", "changes", multiple=True, metavar="KEY=VALUE", help="Change a setting, as of train.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def memory(
    experiment: str,
    dtype: str,
    cache_dtype: str,
    cache_frames: int | None,
    batch: int,
    measure: bool,
    changes: tuple[str, ...],
    as_json: bool,
) -> None:
    """Say how much memory a model takes: EXPERIMENT is a preset, a TOML file, or the folder of a model."""
    from josielm.inference.memory import measured, predicted
    from josielm.inference.stream import CacheConfig
    from josielm.store import read_model_config
    from josielm.training.config import read_train_config

    folder = Path(experiment)
    config = read_model_config(folder) if folder.is_dir() else read_train_config(experiment, changes).model
    cache = CacheConfig(cache_dtype, cache_frames)  # type: ignore[arg-type]
    figures: dict[str, int] = predicted(config, dtype, cache, batch).figures()
    if measure:
        figures["measured"] = measured(config, dtype, cache, batch)
    if as_json:
        click.echo(json.dumps(figures))
        return
    click.echo(f"{config.name}: {figures['parameters'] / 1e6:.1f} M parameters")
    for name in ("weights", "cache", "buffer", "total", "measured"):
        if name in figures:
            click.echo(f"{name:>9} {figures[name] / 1e6:10.2f} MB")

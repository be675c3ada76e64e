"""`train detail`: what a picture codec's base lacks, as coefficients beside its codes."""

from __future__ import annotations

from pathlib import Path

import click

from .options import Path_, use_device


@click.command("detail")
@click.argument("model")
@click.argument("out", type=Path_)
@click.option("--data", type=Path_, multiple=True, required=True, help="Folder of pictures to learn from.")
@click.option("--minutes", type=click.FloatRange(0), required=True, help="Train the network of sizes for so long.")
@click.option(
    "--filter-minutes", type=click.FloatRange(0), default=0.0, help="Train the filter for so long after that."
)
@click.option("--filter-blocks", type=click.IntRange(0), help="Give the filter so many blocks.")
@click.option("--bases", is_flag=True, help="Let the filter smooth bases without coefficients, too.")
@click.option("--crops", type=click.IntRange(20), default=2000, show_default=True, help="Crops to learn from.")
@click.option("--name", default="", help="Of the new model; that of the folder OUT if none is given.")
@click.option("--device", default="cpu", show_default=True, help="cpu, cuda, ...")
@click.option("--threads", type=click.IntRange(1), help="CPU threads to use.")
def detail(
    model: str,
    out: Path,
    data: tuple[Path, ...],
    minutes: float,
    filter_minutes: float,
    filter_blocks: int | None,
    bases: bool,
    crops: int,
    name: str,
    device: str,
    threads: int | None,
) -> None:
    """Train a detail layer for still pictures on top of MODEL, and save both in the folder OUT.

    The layer that MODEL has is trained on; without one it gets one. The base is left as it is. Files that MODEL made
    cannot be decoded with the new model.
    """
    import torch

    from josiecodec.coding.jovio import Jovio
    from josiecodec.hub.store import load_for_training, save
    from josiecodec.training.vision.data import DataConfig, Pictures
    from josiecodec.training.vision.detail_data import detail_crops
    from josiecodec.training.vision.detail_layer import (
        add_detail_layer,
        count_symbols,
        grown_layer,
        layer_of,
        train_filter,
        train_network,
    )
    from josiecodec.vision.config import DetailConfig

    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise click.UsageError(f"{out} exists: give a new folder")
    place = use_device(device, threads)
    torch.manual_seed(0)
    codec = load_for_training(model)
    if not isinstance(codec, Jovio):
        raise click.UsageError(f"{model} is not a picture codec")
    codec = codec.eval().requires_grad_(False)
    if codec.detail is None:
        codec = add_detail_layer(codec, DetailConfig(), name or out.name)
    if filter_blocks is not None or bases:
        blocks = layer_of(codec).config.filter_blocks if filter_blocks is None else filter_blocks
        codec = grown_layer(codec, name or out.name, blocks, bases)
    codec = codec.to(place)
    found = detail_crops(codec, Pictures(*data, videos=False), DataConfig(), crops, report=click.echo)
    if minutes:
        click.echo(f"bits a pixel of pictures held out: {train_network(codec, found, minutes, report=click.echo):.4f}")
    symbols, steps, shapes = count_symbols(codec, found, report=click.echo)
    if filter_minutes:
        gained = train_filter(codec, found, symbols, steps, shapes, filter_minutes, report=click.echo)
        click.echo(f"the filter gains {gained:.3f} dB" + ("" if gained > 0 else ": left as it was"))
    click.echo(f"model in {save(codec, out)}")

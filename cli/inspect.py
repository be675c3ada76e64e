"""`info`, `trim` and `models`: what needs no sound."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from .options import Path_


@click.command()
@click.argument("files", type=Path_, nargs=-1, required=True)
@click.option("--salvage", is_flag=True, help="Look into a damaged file as far as it is whole.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one object a line.")
def info(files: tuple[Path, ...], salvage: bool, as_json: bool) -> None:
    """Show what .josie FILES hold; every block is checked."""
    from josiecodec.tokens.tokenfile import TokenFile

    for path in files:
        file = TokenFile.read(path, salvage)
        size = path.stat().st_size
        streams = [_described(stream) for stream in file.streams]
        if as_json:
            click.echo(json.dumps({"file": str(path), "bytes": size, "streams": streams, "problems": file.problems}))
            continue
        click.echo(f"{path}: {size} bytes")
        for s in streams:
            click.echo(f"  {s['kind']}: {s['seconds']:.3f} s, {s['length']} samples at {s['sample_rate']} Hz")
            click.echo(f"    made from {s['original_rate']} Hz, {s['original_channels']} channel(s)")
            click.echo(
                f"    {s['levels']} levels x {s['codebook_size']} codes, {s['frames']} frames, {s['frame_rate']:g}/s, "
                f"{s['codes_kbps']:.3f} kbit/s ({8 * size / max(s['seconds'], 1e-9) / 1000:.3f} with all of the file)"
            )
            click.echo(f"    model {s['model']} {s['fingerprint'][:16]}")
        for problem in file.problems:
            click.echo(f"  warning: {problem}", err=True)


def _described(stream: Any) -> dict[str, Any]:
    i = stream.info
    return {
        "kind": i.kind,
        "model": i.model,
        "fingerprint": i.fingerprint,
        "levels": i.levels,
        "codebook_size": i.codebook_size,
        "sample_rate": i.sample_rate,
        "frame_size": i.frame_size,
        "frame_rate": i.sample_rate / i.frame_size,
        "frames": stream.codes.shape[1],
        "length": i.length,
        "seconds": stream.seconds,
        "original_rate": i.original_rate,
        "original_channels": i.original_channels,
        "codes_kbps": i.bitrate / 1000,
    }


@click.command()
@click.argument("source", type=Path_)
@click.argument("target", type=Path_)
@click.option("--n-q", type=click.IntRange(1), help="Levels to keep.")
@click.option("--kbps", type=click.FloatRange(0, min_open=True), help="Bitrate instead of --n-q.")
@click.option("--overwrite", is_flag=True, help="Replace TARGET if it is there.")
def trim(source: Path, target: Path, n_q: int | None, kbps: float | None, overwrite: bool) -> None:
    """Copy SOURCE to TARGET with fewer levels: a lower bitrate, without decoding or any model."""
    from josiecodec.tokens.tokenfile import TokenFile

    if (n_q is None) == (kbps is None):
        raise click.UsageError("give either --n-q or --kbps")
    if target.exists() and not overwrite:
        raise click.UsageError(f"{target} is there already; --overwrite replaces it")
    file = TokenFile.read(source)
    if n_q is None:
        one = file.streams[0].info.bitrate / file.streams[0].info.levels
        n_q = int(1000 * (kbps or 0) / one + 1e-9)
        if n_q < 1:
            raise click.BadParameter(f"one level takes {one / 1000:g} kbit/s, more than {kbps:g}")
    file.trimmed(n_q).write(target)
    click.echo(f"{source} -> {target}: {source.stat().st_size} -> {target.stat().st_size} bytes")


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one object a line.")
def models(as_json: bool) -> None:
    """List the trained models that came with the package."""
    from josiecodec.fingerprint import of_folder
    from josiecodec.hub import WEIGHTS, available, read_config

    for name in available():
        config = read_config(WEIGHTS / name)
        mark = of_folder(WEIGHTS / name)
        rate = config.sample_rate / config.frame_size
        bits = (config.quantizer.codebook_size - 1).bit_length() * rate / 1000
        if as_json:
            click.echo(
                json.dumps(
                    {
                        "name": name,
                        "fingerprint": mark,
                        "sample_rate": config.sample_rate,
                        "frame_rate": rate,
                        "levels": config.n_q,
                        "default_n_q": config.default_n_q,
                        "kbps_per_level": bits,
                    }
                )
            )
            continue
        click.echo(
            f"{name}: {config.sample_rate} Hz, {rate:g} frames/s, 1 to {config.n_q} levels = {bits:g} to "
            f"{bits * config.n_q:g} kbit/s, default {config.default_n_q} = {bits * config.default_n_q:g} ({mark[:12]})"
        )

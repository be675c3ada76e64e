"""`trim`: copies with less in them; no network is run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .options import Path_, given_tables

if TYPE_CHECKING:
    from josiecodec.entropy.tables_file import Tables


@click.command()
@click.argument("source", type=Path_)
@click.argument("target", type=Path_)
@click.option("--n-q", type=click.IntRange(1), help="Levels to keep.")
@click.option("--kbps", type=click.FloatRange(0, min_open=True), help="Bitrate of the whole file, audio only.")
@click.option(
    "--model", "folders", type=Path_, multiple=True, help="Folder of the model, if it does not ship with the package."
)
@click.option("--start", type=click.FloatRange(0), help="Keep what follows so many seconds: sound only.")
@click.option("--seconds", type=click.FloatRange(0, min_open=True), help="Keep so many seconds: sound only.")
@click.option("--overwrite", is_flag=True, help="Replace TARGET if it exists.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def trim(
    source: Path,
    target: Path,
    n_q: int | None,
    kbps: float | None,
    folders: tuple[Path, ...],
    start: float | None,
    seconds: float | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Copy SOURCE to TARGET without decoding: with fewer levels, a lower bitrate, or a piece of sound.

    Of sound --start begins with the frame (80 ms) that is heard then. Only what the piece takes is read.
    """
    piece = start is not None or seconds is not None
    if (n_q is not None) + (kbps is not None) + piece == 0 or (n_q is not None and kbps is not None):
        raise click.UsageError("give --n-q or --kbps, or --start or --seconds")
    if kbps is not None and piece:
        raise click.UsageError("--kbps is for whole files; use --n-q with --start or --seconds")
    if target.is_dir():
        raise click.UsageError(f"{target} is a folder")
    if target.suffix.lower() != ".josie":
        raise click.UsageError(f"{target} is no target: trim makes a .josie file")
    if kbps is not None and not kbps < float("inf"):
        raise click.BadParameter("--kbps must be finite")
    if target.exists() and not overwrite:
        raise click.UsageError(f"{target} already exists; --overwrite replaces it")
    from josiecodec.bitstream.cut import cut_file
    from josiecodec.bitstream.scan import trim_file
    from josiecodec.errors import CodecError

    tables, values = given_tables(folders), _settings(source, folders)
    useful = _useful(source, values)
    levels = useful(n_q) if n_q is not None else None
    if kbps is not None:
        levels = _levels_within(source, kbps, tables, useful)
    if n_q not in (None, levels):
        click.echo(f"warning: {source}: {levels} levels, not {n_q}: so few of the waveform are not used", err=True)
    before = source.stat().st_size if source.is_file() else 0
    entry = {"input": str(source), "output": str(target), "bytes_before": before}
    try:
        if piece:
            cut = cut_file(
                source, target, start or 0.0, seconds, levels, tables, lambda info: _base(values, info.levels)
            )
            entry |= {"start": cut.start, "seconds": cut.seconds}
            if cut.shortened:
                click.echo(
                    f"warning: {source}: {cut.streams[0].levels} levels kept: those above are relative to what comes "
                    "before the piece; decode --start gives it with all of them",
                    err=True,
                )
        elif levels is not None:
            trim_file(source, target, levels, tables)
    except CodecError as error:
        raise type(error)(str(error) if str(source) in str(error) else f"{source}: {error}") from None
    after = target.stat().st_size
    if after == before and not piece:
        click.echo(f"warning: {source}: has no more levels than that: copied as it is", err=True)
    if as_json:
        click.echo(json.dumps({**entry, "bytes": after}))
        return
    what = f", {entry['seconds']:.2f} s from {entry['start']:.2f} s on" if piece else ""
    click.echo(f"{source} -> {target}: {before} -> {after} bytes{what}")


def _settings(source: Path, folders: tuple[Path, ...]) -> dict[str, Any]:
    """The `config.json` of the model that made the first stream, sound, of a file; empty if it is not at hand."""
    from josiecodec.bitstream.container import TokenReader
    from josiecodec.bitstream.header import AudioInfo
    from josiecodec.errors import CodecError
    from josiecodec.fingerprint import of_codes, same_fingerprint
    from josiecodec.shipped import find_shipped, settings_of

    try:
        with TokenReader(source, codes=False) as reader:
            info = reader.streams[0]
        if not isinstance(info, AudioInfo):
            return {}
        own = (folder for folder in folders if same_fingerprint(of_codes(folder), info.fingerprint))
        folder = next(own, None) or find_shipped(info.fingerprint, info.model)
    except (CodecError, OSError):  # told when it is trimmed
        return {}
    return {} if folder is None else settings_of(folder)


def _useful(source: Path, values: dict[str, Any]) -> Callable[[int], int]:
    """How many of so many levels of a file of one stream of audio are of use to a decoder."""
    from josiecodec.audio.levels import useful_in
    from josiecodec.bitstream.container import TokenReader

    if not values:
        return int
    with TokenReader(source, codes=False) as reader:
        levels, alone = reader.streams[0].levels, len(reader.streams) == 1
    return lambda n: n if n >= levels or not alone else useful_in(values, n)


def _base(values: dict[str, Any], levels: int) -> int:
    """How many of so many levels mean something without the codes before: those of the base."""
    from josiecodec.audio.levels import base_in

    return min(levels, base_in(values, levels))


def _levels_within(source: Path, kbps: float, tables: Tables, useful: Callable[[int], int]) -> int:
    """The most levels with which a file of audio takes no more than a bitrate, all of it."""
    import numpy as np

    from josiecodec.bitstream.header import AudioInfo
    from josiecodec.bitstream.josie_file import TokenFile
    from josiecodec.bitstream.model_tables import find_tables
    from josiecodec.coding.audio_rate_control import fit_levels, level_rates

    file = TokenFile.read(source, tables=tables)
    stream = file.streams[0]
    info, codes = stream.info, stream.codes
    if len(file.streams) > 1 or not isinstance(info, AudioInfo) or not isinstance(codes, np.ndarray):
        raise click.UsageError("--kbps is for files with one stream of audio; use --n-q for others, stereo among them")
    own = find_tables(info, tables)
    rates = level_rates(codes.T, info.codebook_size, info.sample_rate / info.frame_size, own)
    return fit_levels(lambda n: (file.trimmed(n).to_bytes(tables), stream.seconds), rates, kbps, useful)[0]

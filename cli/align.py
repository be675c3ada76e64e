"""`align`: when each word of a manifest's texts is said."""

from __future__ import annotations

import time
from pathlib import Path

import click

from .options import Path_, json_option, quiet_option, tell
from .progress import Progress


@click.command()
@click.argument("manifest", type=Path_)
@click.argument("target", metavar="[OUT]", type=Path_, required=False)
@click.option("-o", "--output", type=Path_, help="The same as OUT.")
@click.option("--language", help="Of lines that do not say theirs, like en.")
@click.option(
    "--aligner",
    default="whisper",
    show_default=True,
    help="whisper:NAME, a model of faster-whisper or its folder (whisper is base), or a folder of `train aligner`.",
)
@click.option("--again", is_flag=True, help="Align lines that have words already, too.")
@click.option("--threads", type=click.IntRange(1), help="CPU threads to use.")
@click.option("--strict", is_flag=True, help="Exit with 2 if a line could not be aligned.")
@quiet_option
@json_option
def align(
    manifest: Path,
    target: Path | None,
    output: Path | None,
    language: str | None,
    aligner: str,
    again: bool,
    threads: int | None,
    strict: bool,
    quiet: bool,
    as_json: bool,
) -> int:
    """Write "words" with their times to the lines of MANIFEST that have a "text", in place or to OUT.

    MANIFEST is what `tokenize` reads. Words are [word, from, to] in seconds of the clip, where language models find
    them. Lines whose text does not fit their recording are named, and stay as they are.
    """
    if output and target:
        raise click.UsageError("give the new manifest either as OUT or with -o")
    if not manifest.is_file():
        raise click.UsageError(f"{manifest}: no such file; align takes a manifest (JSON lines with path and text)")
    import torch

    from josiecodec.tokenization.align import align_manifest

    if threads:
        torch.set_num_threads(threads)
    place, began = output or target or manifest, time.monotonic()
    with Progress(1, "clip", quiet) as bar:

        def progress(_: int, total: int) -> None:
            bar.total = total
            bar.update(1)

        result = align_manifest(manifest, place, aligner, language, again, progress)
    entry = {"input": str(manifest), "output": str(place), "aligned": result.done, "kept": result.kept}
    entry |= {"without_text": result.textless, "failed": len(result.failed), "took": round(time.monotonic() - began, 3)}
    more = [f"{n} {what}" for n, what in ((result.kept, "had words"), (result.textless, "have no text")) if n]
    tell(entry, f"{manifest} -> {place}: " + ", ".join([f"words of {result.done} clips", *more]), as_json, quiet)
    for line in result.failed:
        click.echo(f"warning: {line}", err=True)
    return 2 if result.failed and (strict or not result.done) else 0

"""`save`, `push` and `export`: a model in another form or place."""

from __future__ import annotations

from pathlib import Path

import click

from .options import Path_

LAYOUTS = click.Choice(["josiecodec", "transformers", "kyutai"])


@click.command()
@click.argument("model")
@click.argument("folder", type=Path_)
@click.option("--layout", type=LAYOUTS, default="josiecodec", show_default=True, help="Whose files; a Mimi has three.")
@click.option("--overwrite", is_flag=True, help="Replace a model that is there.")
def save(model: str, folder: Path, layout: str, overwrite: bool) -> None:
    """Write MODEL, a name, folder or repository (hf:org/repo), to FOLDER."""
    import josiecodec
    from josiecodec.fingerprint import CONFIG_FILE, WEIGHTS_FILE
    from josiecodec.hub import KYUTAI_FILE

    there = [name for name in (CONFIG_FILE, WEIGHTS_FILE, KYUTAI_FILE) if (folder / name).exists()]
    if there and not overwrite:
        raise click.UsageError(f"{folder / there[0]} is there already; --overwrite replaces it")
    codec = josiecodec.load(model)
    written = josiecodec.save_pretrained(codec, folder, layout)  # type: ignore[arg-type]
    click.echo(f"{model} -> {written} ({codec.fingerprint[:12]})")


@click.command()
@click.argument("model")
@click.argument("repository")
@click.option("--layout", type=LAYOUTS, default="josiecodec", show_default=True, help="Whose files; a Mimi has three.")
@click.option("--private", is_flag=True, help="Make a new repository private.")
@click.option("--licence", help="For the model card: mit, cc-by-4.0, ...")
@click.option("--card", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="A model card of your own.")
def push(model: str, repository: str, layout: str, private: bool, licence: str | None, card: Path | None) -> None:
    """Publish MODEL as REPOSITORY (org/name) of the Hugging Face hub, with a model card.

    The hub must know you: "hf auth login", or a token in HF_TOKEN.
    """
    import josiecodec

    text = None if card is None else card.read_text(encoding="utf-8")
    address = josiecodec.push_to_hub(
        josiecodec.load(model),
        repository,
        private=private,
        layout=layout,  # type: ignore[arg-type]
        licence=licence,
        card=text,
    )
    click.echo(f"{model} -> {address}")

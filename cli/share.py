"""`save`, `push` and `export`: a model to a folder, a repository or another runtime."""

from __future__ import annotations

from pathlib import Path

import click

from .options import Path_, json_option, precision_option, quiet_option, tell

LAYOUTS = click.Choice(["josiecodec", "transformers", "kyutai"])


@click.command()
@click.argument("model")
@click.argument("folder", type=Path_)
@click.option(
    "--layout", type=LAYOUTS, default="josiecodec", show_default=True, help="File layout; the other two are for Mimi."
)
@click.option("--overwrite", is_flag=True, help="Replace an existing model.")
@quiet_option
@json_option
def save(model: str, folder: Path, layout: str, overwrite: bool, quiet: bool, as_json: bool) -> None:
    """Write MODEL, a name, folder or repository (hf:org/repo), to FOLDER."""
    from josiecodec.fingerprint import CONFIG_FILE
    from josiecodec.hub.store import KYUTAI_FILE, copy
    from josiecodec.weight_files import WEIGHTS_FILE

    existing = [name for name in (CONFIG_FILE, WEIGHTS_FILE, KYUTAI_FILE) if (folder / name).exists()]
    if existing and not overwrite:
        raise click.UsageError(f"{folder / existing[0]} already exists; --overwrite replaces it")
    written, fingerprint = copy(model, folder, layout)  # type: ignore[arg-type]
    entry = {"model": model, "output": str(written), "fingerprint": fingerprint}
    tell(entry, f"{model} -> {written} ({fingerprint[:12]})", as_json, quiet)


@click.command()
@click.argument("model")
@click.argument("repository")
@click.option(
    "--layout", type=LAYOUTS, default="josiecodec", show_default=True, help="File layout; the other two are for Mimi."
)
@click.option("--private", is_flag=True, help="Make a new repository private.")
@click.option("--licence", help="Named in the model card: mit, cc-by-4.0, ...")
@click.option(
    "--card", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="A model card to use instead."
)
@quiet_option
@json_option
def push(
    model: str,
    repository: str,
    layout: str,
    private: bool,
    licence: str | None,
    card: Path | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """Publish MODEL as REPOSITORY (org/name) on the Hugging Face hub, with a model card.

    You must be logged in: "hf auth login", or a token in HF_TOKEN.
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
    tell({"model": model, "address": str(address)}, f"{model} -> {address}", as_json, quiet)


@click.command()
@click.argument("model")
@click.argument("folder", type=Path_)
@click.option("--to", type=click.Choice(["onnx", "torchscript", "torch.export"]), default="onnx", show_default=True)
@click.option("--n-q", type=click.IntRange(1), help="Number of levels.  [default: the model's]")
@precision_option
@click.option("--overwrite", is_flag=True, help="Replace existing graphs.")
@quiet_option
@json_option
def export(
    model: str,
    folder: Path,
    to: str,
    n_q: int | None,
    precision: str,
    overwrite: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Write MODEL, an audio codec, to FOLDER as graphs for other runtimes, and compare them with it."""
    import josiecodec
    from josiecodec.export import REPORT, export_codec

    if (folder / REPORT).exists() and not overwrite:
        raise click.UsageError(f"{folder / REPORT} already exists; --overwrite replaces it")
    report = export_codec(josiecodec.load(model), folder, to, n_q, precision)  # type: ignore[arg-type]
    check = report["check"]
    tell(
        {"model": model, "output": str(folder), "format": to, "n_q": report["n_q"], **check, **report.get("heard", {})},
        f"{model} -> {folder}: {report['n_q']} levels, {check['equal_codes']:.2%} of the codes equal, samples within "
        f"{check['largest_difference']:.1e}",
        as_json,
        quiet,
    )

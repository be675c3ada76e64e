"""`models`: what came with the package, read from the files of settings alone, so that it is there at once."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import click


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one object a line.")
def models(as_json: bool) -> None:
    """List the trained models of the package."""
    from josiecodec.shipped import WEIGHTS, available, fingerprint_of

    from .models import Models

    for name in available():
        entry = described(WEIGHTS / name)
        digits, usual = fingerprint_of(WEIGHTS / name), name == Models.DEFAULTS[entry["kind"]]
        if as_json:
            click.echo(json.dumps({"name": name, "fingerprint": digits, "default": usual, **entry}))
            continue
        what = _audio(entry) if entry["kind"] == "audio" else _vision(entry)
        click.echo(f"{name}: {what}, {digits[:12]}{', encodes by default' if usual else ''}")


def described(folder: Path) -> dict[str, Any]:
    """A model of the package described for programs.

    The classes of configurations would say the same, but need torch (`tests/test_cli_targets.py` compares).
    """
    from josiecodec.fingerprint import ENCODER_FILE
    from josiecodec.shipped import model_kind, settings_of

    config = settings_of(folder)["config"]
    encoder = folder / ENCODER_FILE
    chosen = json.loads(encoder.read_text(encoding="utf-8")) if encoder.is_file() else {}
    default = chosen.get("n_q", config.get("default_n_q"))
    quantizer = {**config, **config.get("quantizer", {})}  # in format 1 vision models have no table of it
    bits = (quantizer["codebook_size"] - 1).bit_length()
    if model_kind(folder) == "audio":
        network = config["encoder"]
        rate = config["sample_rate"] / (network["hop"] * math.prod(network["strides"]))
        return {
            "kind": "audio",
            "sample_rate": config["sample_rate"],
            "frame_rate": rate,
            "levels": 1 + quantizer["acoustic_levels"] + _levels_after(config),
            "default_n_q": default,
            "kbps_per_level": bits * rate / 1000,
        }
    return {
        "kind": "vision",
        "patch": config["patch"],
        "group": config["group"],
        "levels": quantizer["levels"],
        "default_n_q": default,
        "bpp_per_level": bits / config["patch"] ** 2,
    }


def _levels_after(config: dict[str, Any]) -> int:
    """Levels of the layers after the base."""
    waveform, envelope = config.get("waveform") or {"levels": 0}, config.get("envelope") or {"positions": []}
    return waveform["levels"] + len(envelope["positions"])


def _audio(e: dict[str, Any]) -> str:
    levels, default, bits = e["levels"], e["default_n_q"], e["kbps_per_level"]
    return (
        f"{e['sample_rate']} Hz, {e['frame_rate']:g} frames/s, 1 to {levels} levels = {bits:g} to {bits * levels:g} "
        f"kbit/s, default {default} = {bits * default:g}"
    )


def _vision(e: dict[str, Any]) -> str:
    levels, bits = e["levels"], e["bpp_per_level"]
    return f"images and video, 1 to {levels} levels = {bits:.3f} to {bits * levels:.3f} bits per pixel"

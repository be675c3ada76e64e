"""The models that came with the package, found by name and fingerprint, and what a model is, without torch."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any, Literal

from .errors import ModelError
from .fingerprint import CONFIG_FILE, of_codes, of_folder, same_fingerprint
from .weight_files import SHARED_FILE, WEIGHTS, WEIGHTS_FILE, has_weights


def available() -> list[str]:
    """Names of the models that came with the package."""
    return sorted(p.parent.name for p in WEIGHTS.glob(f"*/{CONFIG_FILE}") if has_weights(p.parent))


def find_local(name: str | Path) -> Path | None:
    """The folder of a model, or the file of one in Kyutai's layout; None for a repository of the hub ("hf:...").

    Raises:
        ModelError: if there is none.
    """
    if str(name).startswith("hf:"):
        return None
    for place in (Path(name), WEIGHTS / str(name)):
        if has_weights(place) and (place / CONFIG_FILE).is_file():
            return place
    if Path(name).is_file() and Path(name).suffix == ".safetensors":
        return Path(name)
    if Path(name).is_dir():
        part = Path(name) / SHARED_FILE
        hint = f"; {SHARED_FILE} is a part of the weights: josiecodec save MODEL FOLDER copies a model of the package"
        raise ModelError(f"{name}: no {CONFIG_FILE} and {WEIGHTS_FILE} in this folder{hint if part.is_file() else ''}")
    known = ", ".join(available()) or "none"
    raise ModelError(
        f"no model {str(name)!r}: neither a folder nor a repository (hf:org/repo) nor a model of the package ({known})"
    )


def settings_of(folder: Path) -> dict[str, Any]:
    """`config.json` of a model as it stands there; empty if it cannot be read."""
    try:
        values = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return values if isinstance(values, dict) else {}


def model_kind(place: Path) -> Literal["audio", "vision"] | None:
    """What the model in a folder or file is for; None if that cannot be seen."""
    values = settings_of(place)
    if place.is_file() or values.get("type") == "jodio" or values.get("model_type") == "mimi":
        return "audio"
    return "vision" if values.get("type") == "jovio" else None


def find_shipped(fingerprint: str, name: str) -> Path | None:
    """The folder of a model that came with the package; None if there is no such model.

    Folders are hashed only as far as needed, and each once: first the one called `name`, others only if it is not
    that model.

    Args:
        fingerprint: sha256 (hex), or its first digits, as the header of a file has them.
        name: of the model, as the header has it.
    """
    for folder in sorted((WEIGHTS / known for known in available()), key=lambda folder: folder.name != name):
        if same_fingerprint(fingerprint_of(folder), fingerprint):
            return folder
    return None


def find_fingerprint(fingerprint: str, name: str) -> Path:
    """As `find_shipped`.

    Raises:
        ModelError: if there is no such model.
    """
    folder = find_shipped(fingerprint, name)
    if folder is None:
        raise ModelError(
            f"the file was made by model {name} ({fingerprint[:12]}), which did not come with this version; give its "
            "folder (on the command line --model FOLDER) or repository"
        )
    return folder


def fingerprint_of(folder: Path) -> str:
    """The fingerprint that files of the model in a folder carry; those of models of the package are computed once."""
    place = folder.resolve()
    return _shipped_fingerprint(place) if place.parent == WEIGHTS.resolve() else of_codes(folder)


@cache
def _shipped_fingerprint(folder: Path) -> str:
    return of_folder(folder)

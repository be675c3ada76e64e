"""The models that came with the package, found by name and fingerprint."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from .errors import ModelError
from .fingerprint import CONFIG_FILE, of_folder, same_fingerprint
from .weight_files import WEIGHTS, has_weights


def available() -> list[str]:
    """Names of the models that came with the package."""
    return sorted(p.parent.name for p in WEIGHTS.glob(f"*/{CONFIG_FILE}") if has_weights(p.parent))


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
            "folder or repository"
        )
    return folder


def fingerprint_of(folder: Path) -> str:
    """The fingerprint of the model in a folder; those of models that came with the package are computed once."""
    return _shipped_fingerprint(folder) if folder.parent == WEIGHTS else of_folder(folder)


@cache
def _shipped_fingerprint(folder: Path) -> str:
    return of_folder(folder)

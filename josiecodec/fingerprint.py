"""Fingerprints of models: two models with the same one are the same to the last bit."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .config import to_dict
from .weight_files import TABLES_FILE as TABLES_FILE
from .weight_files import WEIGHTS_FILE, weights_parts
from .weight_files import tables_file as tables_file

if TYPE_CHECKING:
    from torch import Tensor, nn

CONFIG_FILE = "config.json"
ENCODER_FILE = "encoder.json"  # how codes are looked for: never part of a fingerprint
FINGERPRINT_DIGITS = 16  # hex digits of a fingerprint that a file carries


def same_fingerprint(a: str, b: str) -> bool:
    """Whether two fingerprints, of which either may be cut to its first digits, are of one model."""
    return min(len(a), len(b)) >= FINGERPRINT_DIGITS and a[:FINGERPRINT_DIGITS] == b[:FINGERPRINT_DIGITS]


def of_folder(folder: Path) -> str:
    """sha256 (hex) over the bytes of a model's configuration, weights, and tables if it has any."""
    digest = hashlib.sha256()
    for path in (folder / CONFIG_FILE, folder / WEIGHTS_FILE, tables_file(folder)):
        if path.name != TABLES_FILE or path.is_file():
            _update(digest, path, lambda: weights_parts(folder))
    return digest.hexdigest()


def of_codes(folder: Path) -> str:
    """The fingerprint that files of a model carry: `of_folder`; of an adapted model that of its source."""
    try:
        config = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))["config"]
        adapted = config["adapted"]["fingerprint"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        adapted = None  # what is wrong with the file is said by what reads its configuration
    return adapted if isinstance(adapted, str) else of_folder(folder)


def _update(digest: Any, path: Path, otherwise: Callable[[], Iterable[bytes | memoryview]]) -> None:
    """Take in the bytes of a file, piece by piece; those of `otherwise` if there is none."""
    if not path.is_file():
        for part in otherwise():
            digest.update(part)
        return
    with open(path, "rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)


def of_module(module: nn.Module, config: Any) -> str:
    """sha256 (hex) over the configuration, but for encoder settings, and tensors of a model that has not been saved."""
    values = to_dict(config)
    values.pop("encoding", None)
    return of_tensors(module.state_dict(), values)


def of_tensors(tensors: dict[str, Tensor], values: dict[str, Any], tables: bytes = b"") -> str:
    """sha256 (hex) over settings, tensors by their names, and the bytes of tables if there are any."""
    digest = hashlib.sha256(json.dumps(values, sort_keys=True).encode())
    for name, value in sorted(tensors.items()):
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    digest.update(tables)
    return digest.hexdigest()

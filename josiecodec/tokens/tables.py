"""The file of a model's entropy tables, and finding those of the models that came with the package."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import safetensors
import safetensors.numpy

from ..errors import FormatError, ModelError
from ..fingerprint import TABLES_FILE, of_folder
from .entropy import EntropyTables, LevelTable

Tables = dict[str, EntropyTables]  # by the fingerprint of the model
WEIGHTS = Path(__file__).parents[1] / "weights"
MOST_LEVELS = 64


def read_tables(path: Path) -> EntropyTables:
    """Read `entropy.safetensors`: for each level k `k.classes`, `k.given` and `k.within`, and `starts`.

    Raises:
        ModelError: if it cannot be read or is not in order.
    """
    try:
        data = path.read_bytes()
        tensors = safetensors.numpy.load(data)
        starts = tuple(int(s) for s in tensors.pop("starts"))
        count = len(tensors) // 3
        parts = [[tensors[f"{k}.{name}"].astype(np.int64) for name in _NAMES] for k in range(count)]
        levels = [LevelTable(*part) for part in parts]
    except (OSError, safetensors.SafetensorError, KeyError, FormatError, TypeError, ValueError) as error:
        raise ModelError(f"{path}: cannot be read ({error})") from None
    if not 1 <= count <= MOST_LEVELS or not starts or not all(0 <= s < count for s in starts):
        raise ModelError(f"{path}: {count} levels, of which patches start with {starts}")
    return EntropyTables(levels, starts, data)


_NAMES = ("classes", "given", "within")


def tables_bytes(parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]], starts: tuple[int, ...]) -> bytes:
    """The file's bytes, from classes, given and within of each level (see `LevelTable`)."""
    tensors = {"starts": np.array(starts, np.uint8)}
    for k, part in enumerate(parts):
        kinds = (np.uint8, np.uint16, np.uint16)
        tensors |= {f"{k}.{name}": np.ascontiguousarray(x.astype(t)) for name, x, t in zip(_NAMES, part, kinds)}
    return safetensors.numpy.save(tensors)


def find_tables(fingerprint: str, known: Tables | None) -> EntropyTables | None:
    """The tables of the model with a fingerprint, among those given or those that came with the package."""
    if known and fingerprint in known:
        return known[fingerprint]
    path = _shipped().get(fingerprint)
    return None if path is None else _read_once(path)


def tables_for(fingerprint: str, name: str, known: Tables | None) -> EntropyTables:
    """As `find_tables`.

    Raises:
        ModelError: if they are not there.
    """
    found = find_tables(fingerprint, known)
    if found is None:
        raise ModelError(
            f"the codes are coded with tables of model {name} ({fingerprint[:12]}), which did not come with this "
            "version; give its folder"
        )
    return found


@cache
def _shipped() -> dict[str, Path]:
    """Tables that came with the package, by the fingerprint of their model."""
    return {of_folder(path.parent): path for path in sorted(WEIGHTS.glob(f"*/{TABLES_FILE}"))}


@cache
def _read_once(path: Path) -> EntropyTables:
    return read_tables(path)

"""The file of a model's entropy tables, and finding those of the models that came with the package."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import safetensors
import safetensors.numpy

from ..errors import FormatError, ModelError
from ..fingerprint import FINGERPRINT_DIGITS, TABLES_FILE, of_folder, same_fingerprint
from .code_tables import EntropyTables, LevelTable
from .context_model import ContextNetwork

Tables = dict[str, EntropyTables]  # by the fingerprint of the model
WEIGHTS = Path(__file__).parents[1] / "weights"
MOST_LEVELS = 64


def read_tables(path: Path) -> EntropyTables:
    """Read `entropy.safetensors`: for each level k `k.classes`, `k.given` and `k.within`, `starts`, and `context.*`.

    Raises:
        ModelError: if it cannot be read or is not in order.
    """
    try:
        return parse_tables(path.read_bytes())
    except (OSError, FormatError) as error:
        raise ModelError(f"{path}: cannot be read ({error})") from None


def parse_tables(data: bytes) -> EntropyTables:
    """The tables in the bytes of a file.

    Raises:
        FormatError: if they are not in order.
    """
    try:
        tensors = safetensors.numpy.load(data)
        starts = tuple(int(s) for s in tensors.pop("starts"))
        context = {name: tensors.pop(name) for name in list(tensors) if name.startswith(_CONTEXT)}
        count = len(tensors) // 3
        parts = [[tensors[f"{k}.{name}"].astype(np.int64) for name in _NAMES] for k in range(count)]
        levels = [LevelTable(*part) for part in parts]
        network = ContextNetwork({n.removeprefix(_CONTEXT): x for n, x in context.items()}) if context else None
    except (safetensors.SafetensorError, KeyError, TypeError, ValueError) as error:
        raise FormatError(str(error)) from None
    if not 1 <= count <= MOST_LEVELS or not starts or not all(0 <= s < count for s in starts):
        raise FormatError(f"{count} levels, of which patches start with {starts}")
    if network is not None and network.levels > count:
        raise FormatError(f"a context network of {network.levels} levels for {count}")
    if network is not None and any(len(level.classes) != network.codebook_size for level in levels):
        raise FormatError("a context network of another size of codebooks")
    return EntropyTables(levels, starts, network, data)


_NAMES = ("classes", "given", "within")
_CONTEXT = "context."


def tables_bytes(
    parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]],
    starts: tuple[int, ...],
    context: ContextNetwork | None = None,
) -> bytes:
    """The file's bytes, from classes, given and within of each level (see `LevelTable`), and a context network."""
    tensors = {"starts": np.array(starts, np.uint8)}
    for k, part in enumerate(parts):
        kinds = (np.uint8, np.uint16, np.uint16)
        tensors |= {f"{k}.{name}": np.ascontiguousarray(x.astype(t)) for name, x, t in zip(_NAMES, part, kinds)}
    return with_context(safetensors.numpy.save(tensors), context) if context else safetensors.numpy.save(tensors)


def with_context(data: bytes, network: ContextNetwork) -> bytes:
    """The bytes of a tables file with another context network, or one at all."""
    tensors = {n: x for n, x in safetensors.numpy.load(data).items() if not n.startswith(_CONTEXT)}
    for name, value in network.tensors.items():
        kind = np.int8 if name == "table" else np.int32 if name.endswith("bias") else np.int16
        tensors[_CONTEXT + name] = np.ascontiguousarray(value.astype(kind))
    return safetensors.numpy.save(tensors)


def find_tables(fingerprint: str, known: Tables | None) -> EntropyTables | None:
    """The tables of the model with a fingerprint, among those given or those that came with the package."""
    for mark, tables in (known or {}).items():
        if same_fingerprint(mark, fingerprint):
            return tables
    path = _shipped().get(fingerprint[:FINGERPRINT_DIGITS])
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
    return {of_folder(path.parent)[:FINGERPRINT_DIGITS]: path for path in sorted(WEIGHTS.glob(f"*/{TABLES_FILE}"))}


@cache
def _read_once(path: Path) -> EntropyTables:
    return read_tables(path)

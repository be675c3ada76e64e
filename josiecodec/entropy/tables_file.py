"""The file of a model's entropy tables, `entropy.safetensors`: reading, checking and writing it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import safetensors
import safetensors.numpy

from ..errors import FormatError, ModelError
from .code_tables import EntropyTables, LevelTable
from .context_model import ContextModel

Tables = dict[str, EntropyTables]  # by the fingerprint of the model
MAX_LEVELS = 64


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
        parts = {name: tensors.pop(name) for name in list(tensors) if name.startswith(_CONTEXT)}
        count = len(tensors) // 3
        levels = [LevelTable(*(tensors[f"{k}.{name}"].astype(np.int64) for name in _NAMES)) for k in range(count)]
        context = ContextModel({n.removeprefix(_CONTEXT): x for n, x in parts.items()}) if parts else None
    except (safetensors.SafetensorError, KeyError, TypeError, ValueError) as error:
        raise FormatError(str(error)) from None
    if not 1 <= count <= MAX_LEVELS or not starts or not all(0 <= s < count for s in starts):
        raise FormatError(f"{count} levels, of which patches start with {starts}")
    if context is not None and context.levels > count:
        raise FormatError(f"a context model of {context.levels} levels for {count}")
    if context is not None and any(len(level.classes) != context.codebook_size for level in levels):
        raise FormatError("a context model for codebooks of another size")
    return EntropyTables(levels, starts, context, data)


_NAMES = ("classes", "given", "within")
_CONTEXT = "context."


def tables_bytes(
    parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]],
    starts: tuple[int, ...],
    context: ContextModel | None = None,
) -> bytes:
    """The file's bytes, from the three arrays of each level (see `LevelTable`) and a context model."""
    tensors = {"starts": np.array(starts, np.uint8)}
    for k, part in enumerate(parts):
        kinds = (np.uint8, np.uint16, np.uint16)
        tensors |= {f"{k}.{name}": np.ascontiguousarray(x.astype(t)) for name, x, t in zip(_NAMES, part, kinds)}
    return with_context(safetensors.numpy.save(tensors), context) if context else safetensors.numpy.save(tensors)


def with_context(data: bytes, context: ContextModel) -> bytes:
    """The bytes of a tables file with this context model in place of the one it had, if any."""
    tensors = {n: x for n, x in safetensors.numpy.load(data).items() if not n.startswith(_CONTEXT)}
    for name, value in context.tensors.items():
        kind = np.int8 if name == "table" else np.int32 if name.endswith("bias") else np.int16
        tensors[_CONTEXT + name] = np.ascontiguousarray(value.astype(kind))
    return safetensors.numpy.save(tensors)

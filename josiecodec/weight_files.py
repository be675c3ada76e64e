"""Files of weights: as they are, or put together from what two models of the package have in common.

A model of the package may hold only the tensors in which it differs from another one, in `shared.safetensors`, whose
metadata say which one that is and how the whole file begins. The whole file comes out byte for byte, so its fingerprint
is that of the file that was shared out. Where the metadata name "tables", its entropy tables are that model's, too.
"""

from __future__ import annotations

import json
import mmap
import struct
from collections.abc import Iterator
from pathlib import Path

from .errors import ModelError

WEIGHTS = Path(__file__).parent / "weights"  # the models of the package
WEIGHTS_FILE = "model.safetensors"
SHARED_FILE = "shared.safetensors"
TABLES_FILE = "entropy.safetensors"
MAX_HEADER = 1 << 24  # bytes


def has_weights(folder: Path) -> bool:
    """Whether a folder has weights, whole or shared; only models of the package share theirs."""
    return (folder / WEIGHTS_FILE).is_file() or (
        folder.resolve().parent == WEIGHTS.resolve() and (folder / SHARED_FILE).is_file()
    )


def weights_bytes(folder: Path) -> bytes:
    """The bytes of the weights in a folder.

    Raises:
        ModelError: if they cannot be read, or what they share is not there.
    """
    return b"".join(weights_parts(folder))


def weights_parts(folder: Path) -> Iterator[bytes | memoryview]:
    """The same one part after the other, without copies of what is on disk.

    Raises:
        ModelError: as `weights_bytes`.
    """
    try:
        if (folder / WEIGHTS_FILE).is_file():
            yield _mapped(folder / WEIGHTS_FILE)
            return
        own_header, own = _parts(_mapped(folder / SHARED_FILE))
        metadata = own_header["__metadata__"]
        name, header = metadata["base"], metadata["header"]
        other_header, other = _parts(_mapped(_base_of(folder, name)))
        entries = {key: value for key, value in json.loads(header).items() if key != "__metadata__"}
        yield struct.pack("<Q", len(header.encode())) + header.encode()
        for key in sorted(entries, key=lambda key: entries[key]["data_offsets"]):
            where, data = (own_header, own) if key in own_header else (other_header, other)
            first, last = where[key]["data_offsets"]
            yield data[first:last]
    except (OSError, ValueError, KeyError, TypeError, struct.error) as error:
        raise ModelError(f"{folder}: its weights cannot be read ({error})") from None


def weights_files(folder: Path) -> list[Path]:
    """The files that hold the tensors of a model, those of the first before those of the others.

    Raises:
        ModelError: if they cannot be read, or what they share is not there.
    """
    if (folder / WEIGHTS_FILE).is_file():
        return [folder / WEIGHTS_FILE]
    try:
        own = folder / SHARED_FILE
        return [own, _base_of(folder, _header(own)["__metadata__"]["base"])]
    except (OSError, ValueError, KeyError, TypeError, struct.error) as error:
        raise ModelError(f"{folder}: its weights cannot be read ({error})") from None


def tables_file(folder: Path) -> Path:
    """The file of a model's entropy tables, which is not there if it has none: a model of the package may share them.

    Raises:
        ModelError: if what says so cannot be read, or what it shares is not there.
    """
    own, shared = folder / TABLES_FILE, folder / SHARED_FILE
    if own.is_file() or (folder / WEIGHTS_FILE).is_file() or not has_weights(folder):
        return own
    try:
        name = _header(shared)["__metadata__"].get("tables")
        return own if name is None else _base_of(folder, name).parent / TABLES_FILE
    except (OSError, ValueError, KeyError, TypeError, AttributeError, struct.error) as error:
        raise ModelError(f"{folder}: its weights cannot be read ({error})") from None


def shared_names(path: Path) -> list[str]:
    """Names of all tensors of a model that shares weights, from its own file.

    Raises:
        ModelError: if it cannot be read.
    """
    try:
        header = json.loads(_header(path)["__metadata__"]["header"])
        return [name for name in header if name != "__metadata__"]
    except (OSError, ValueError, KeyError, TypeError, struct.error) as error:
        raise ModelError(f"{path.parent}: its weights cannot be read ({error})") from None


def _base_of(folder: Path, name: str) -> Path:
    """The weights that a model of the package shares.

    Raises:
        ModelError: if they did not come with this version.
    """
    if name not in (place.name for place in WEIGHTS.iterdir()) or name == folder.name:
        raise ModelError(
            f"{folder}: shares weights with {name!r}, which did not come with this version; where it did, "
            "josiecodec save MODEL FOLDER writes a copy that needs no other model"
        )
    return WEIGHTS / name / WEIGHTS_FILE


def _header(path: Path) -> dict:
    """Header of a safetensors file.

    Raises:
        ValueError: if it is none.
    """
    with open(path, "rb") as file:
        size = struct.unpack("<Q", file.read(8))[0]
        if size > min(MAX_HEADER, path.stat().st_size - 8):
            raise ValueError("no safetensors file")
        header: dict = json.loads(file.read(size))
        return header


def share(folder: Path, base: str) -> Path:
    """Put `shared.safetensors` in place of a model's weights: the tensors that `base`, of the package, has not. Entropy
    tables are left out if they are those of `base`.

    Returns:
        the new file. It must stand in the folder of the package before it can be read.

    Raises:
        ModelError: if either cannot be read.
    """
    whole = weights_bytes(folder)
    header, data = _parts(whole)
    other_header, other = _parts(weights_bytes(WEIGHTS / base))

    def same(key: str) -> bool:
        known = other_header.get(key)
        if known is None or any(known[part] != header[key][part] for part in ("dtype", "shape")):
            return False
        (a, b), (c, d) = header[key]["data_offsets"], known["data_offsets"]
        return data[a:b] == other[c:d]

    kept = {key: value for key, value in header.items() if key != "__metadata__" and not same(key)}
    size = struct.unpack("<Q", whole[:8])[0]
    metadata = {"base": base, "header": whole[8 : 8 + size].decode()}
    own_tables, tables = tables_file(folder), tables_file(WEIGHTS / base)
    if own_tables.is_file() and tables.is_file() and own_tables.read_bytes() == tables.read_bytes():
        metadata["tables"] = tables.parent.name
    entries: dict[str, object] = {"__metadata__": metadata}
    parts, at = [], 0
    for key, value in kept.items():
        first, last = value["data_offsets"]
        parts.append(data[first:last])
        entries[key] = value | {"data_offsets": [at, at + last - first]}
        at += last - first
    own = json.dumps(entries, separators=(",", ":")).encode()
    own += b" " * (-len(own) % 8)
    target = folder / SHARED_FILE
    target.write_bytes(struct.pack("<Q", len(own)) + own + b"".join(parts))
    (folder / WEIGHTS_FILE).unlink()
    if "tables" in metadata:
        (folder / TABLES_FILE).unlink(missing_ok=True)
    return target


def _mapped(path: Path) -> memoryview:
    """A file, which is read as it is used."""
    with open(path, "rb") as file:
        if not path.stat().st_size:  # cannot be mapped
            return memoryview(b"")
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


def _parts(file: bytes | memoryview) -> tuple[dict, memoryview]:
    """Header and data of a safetensors file.

    Raises:
        ValueError: if it is none.
    """
    size = struct.unpack_from("<Q", file)[0]
    if size > min(MAX_HEADER, len(file) - 8):
        raise ValueError("no safetensors file")
    view = memoryview(file)
    return json.loads(bytes(view[8 : 8 + size])), view[8 + size :]

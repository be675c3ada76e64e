"""Files that appear whole or not at all: written to a temporary name first, then renamed."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from .errors import CodecError


@contextlib.contextmanager
def replacing(path: str | Path, durable: bool = False) -> Iterator[IO[bytes]]:
    """A binary file that takes the name `path` when the block ends without an error.

    Args:
        path: its name; a file of that name is replaced.
        durable: wait until the bytes are on the disk, so that not even a power cut leaves half a file.

    Raises:
        CodecError: if it cannot be written.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}.tmp")
    try:
        with open(temporary, "wb") as file:
            yield file
            if durable:
                file.flush()
                os.fsync(file.fileno())
        os.replace(temporary, path)
        if durable:
            _sync_folder(path.parent)
    except OSError as error:
        raise CodecError(f"{path}: cannot be written ({error.strerror})") from None
    finally:
        temporary.unlink(missing_ok=True)


def write_bytes(path: str | Path, data: bytes, durable: bool = False) -> None:
    """Write a file whole or not at all, see `replacing`."""
    with replacing(path, durable) as file:
        file.write(data)


def remove_leftovers(folder: Path, stem: str) -> None:
    """Delete what killed writers of files whose name begins with `stem` left behind."""
    for path in folder.glob(f".{stem}.*.tmp"):
        path.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Put the names in a folder on the disk, where the system can do that."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

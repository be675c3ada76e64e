"""Files that appear whole or not at all: written to a temporary name first, then renamed.

`replacing` and `write_bytes` are for files that are written in one go, `PendingFile` for writers that stay open.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from .errors import CodecError

MAX_STEM = 50  # characters of a file's name that are in its temporary name


class PendingFile:
    """The temporary name of a file that takes the name `path` when it is complete.

    Whoever writes it closes it and calls `commit`, or `discard` if something went wrong; as a context manager this
    does so at the end of the block, or after an error. A process that is killed leaves the temporary file behind.

    Attributes:
        path: the name in the end; a file of that name is replaced.
        temporary: the name until then, in the same folder. It ends in `.tmp`, so it is never taken for a media file.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        stem = self.path.name[:MAX_STEM]  # so that the name does not get too long for the file system
        self.temporary = self.path.with_name(f".{stem}.{os.getpid()}.{secrets.token_hex(4)}.tmp")

    def commit(self, durable: bool = False) -> None:
        """Give the file its name. It must be closed.

        Args:
            durable: wait until the name is on the disk.

        Raises:
            OSError: if it cannot be renamed.
        """
        os.replace(self.temporary, self.path)
        if durable:
            _sync_folder(self.path.parent)

    def discard(self) -> None:
        """Remove the temporary file if there is one; nothing is left of it."""
        self.temporary.unlink(missing_ok=True)

    def __enter__(self) -> PendingFile:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self.commit()
        finally:
            self.discard()


@contextlib.contextmanager
def replacing(path: str | Path, durable: bool = False, error: type[CodecError] = CodecError) -> Iterator[IO[bytes]]:
    """A binary file that takes the name `path` when the block ends without an error.

    Args:
        path: its name; a file of that name is replaced.
        durable: wait until the bytes are on the disk, so that not even a power cut leaves half a file.
        error: what to raise if it cannot be written.

    Raises:
        CodecError: if it cannot be written.
    """
    pending = PendingFile(path)
    try:
        with open(pending.temporary, "w+b") as file:
            yield file
            if durable:
                file.flush()
                os.fsync(file.fileno())
        pending.commit(durable)
    except OSError as reason:
        raise error(f"{path}: cannot be written ({reason.strerror or reason})") from None
    finally:
        pending.discard()


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

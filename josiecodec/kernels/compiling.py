"""How kernels are compiled: once for one set of types, kept on disk, by one process at a time."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numba

OPTIONS = {"nogil": True, "boundscheck": False, "error_model": "numpy"}


def compiled(*signatures: str) -> Callable[[Callable[..., Any]], Any]:
    """Compile a function for these types now, or read it from the cache."""

    def decorate(function: Callable[..., Any]) -> Any:
        with _alone():
            try:
                return numba.njit(list(signatures), cache=True, **OPTIONS)(function)
            except RuntimeError as error:
                if "cache" not in str(error):
                    raise
                return numba.njit(list(signatures), **OPTIONS)(function)  # no folder can be written

    return decorate


def part(function: Callable[..., Any]) -> Any:
    """A function that kernels of the same file call."""
    return numba.njit(**OPTIONS)(function)


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """Let others wait that start at the same time, so that they find what this process compiles."""
    try:
        import fcntl

        uid = os.getuid()
        file = os.open(
            Path(tempfile.gettempdir()) / f"josiecodec-kernels-{uid}.lock",
            os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | getattr(os, "O_NOFOLLOW", 0),
            0o600,
        )
    except (ImportError, OSError, AttributeError):
        yield
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
    finally:
        os.close(file)

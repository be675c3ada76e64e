"""How kernels are compiled: once for one set of types, kept on disk, by one process at a time."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numba

OPTIONS: dict[str, Any] = {"nogil": True, "boundscheck": False, "error_model": "numpy"}
PATIENCE = 1.5  # seconds of compilation without a word
_said = False


def compiled(*signatures: str) -> Callable[[Callable[..., Any]], Any]:
    """Compile a function for these types now, or read it from the cache."""

    def decorate(function: Callable[..., Any]) -> Any:
        kept = True
        with _alone():
            begin = time.perf_counter()
            try:
                kernel = numba.njit(list(signatures), cache=True, **OPTIONS)(function)
            except RuntimeError as error:
                if "cache" not in str(error):
                    raise
                kept = False  # no folder can be written
                kernel = numba.njit(list(signatures), **OPTIONS)(function)
        if not kept or kernel.stats.cache_misses:
            _took(time.perf_counter() - begin, kept)
        return kernel

    return decorate


def _took(seconds: float, kept: bool) -> None:
    """Say once why a first run is slow."""
    global _said
    if seconds > PATIENCE and not _said:
        _said = True
        when = "once" if kept else "at every start, as there is no folder to keep it in (NUMBA_CACHE_DIR can name one)"
        print(f"josiecodec: compiling code for this machine, {when}", file=sys.stderr)


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

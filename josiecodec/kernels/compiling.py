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
WAIT = 60.0  # seconds for another process
_said = False


def compiled(*signatures: str) -> Callable[[Callable[..., Any]], Any]:
    """Compile a function for these types now, or read it from the cache."""

    def decorate(function: Callable[..., Any]) -> Any:
        kept = True
        with _alone():
            begin = time.perf_counter()
            try:
                kernel = numba.njit(list(signatures), cache=True, **OPTIONS)(function)
            except Exception:  # no folder can be written, or what is there is damaged
                kept = False
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
        when = "once" if kept else "at every start, as its cache cannot be used (NUMBA_CACHE_DIR can name a folder)"
        print(f"josiecodec: compiling code for this machine, {when}", file=sys.stderr)


def part(function: Callable[..., Any]) -> Any:
    """A function that kernels of the same file call."""
    return numba.njit(**OPTIONS)(function)


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """Let others wait that start at the same time, so that they find what this process compiles; not for ever."""
    try:
        import fcntl

        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        file = os.open(Path(tempfile.gettempdir()) / f"josiecodec-kernels-{os.getuid()}.lock", flags, 0o600)
    except (ImportError, OSError):
        yield
        return
    try:
        until = time.monotonic() + WAIT
        while time.monotonic() < until:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:
                time.sleep(0.05)
        yield
    finally:
        os.close(file)

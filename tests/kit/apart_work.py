"""Functions that tests run in other processes. Few imports, for a quick start."""

from __future__ import annotations

import os
import signal
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from josiecodec.errors import MediaError
from josiecodec.media.apart import note


def add(a: int, b: int) -> int:
    print("this is no reply")
    note("adding")
    return a + b


def count(n: int) -> Iterator[int]:
    yield from range(n)


def array(n: int) -> np.ndarray:
    return np.arange(n)


def wrong() -> None:
    {}["nothing"]


def refuse() -> None:
    raise MediaError("bad file")


def warn() -> None:
    warnings.warn("careful", stacklevel=1)


def die() -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def pid() -> int:
    return os.getpid()


def job(start: Path, end: Path, progress: Callable[[float], None]) -> dict[str, Any]:
    """What a command does with a file: waits for the seconds in it, says so twice, and copies it."""
    seconds = float(start.read_text())
    progress(0.5)
    for _ in range(2):
        warnings.warn(f"{start.name} is slow", stacklevel=1)
    time.sleep(seconds)
    end.write_text(start.read_text())
    return {"seconds": seconds, "process": os.getpid()}

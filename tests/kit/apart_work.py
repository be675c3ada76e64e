"""Functions that tests run in other processes. Few imports, for a quick start."""

from __future__ import annotations

import os
import signal
import warnings
from collections.abc import Iterator

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

"""Compiled loops over whole numbers (numba), each beside NumPy code that gives the very same.

`family` gives a module of this folder, or None where the NumPy code is to be used: where numba is not installed, or
with `JOSIECODEC_KERNELS=off` in the environment; code that NumPy could not help, bit by bit, is not written twice, but
interpreted there (`interpreted`). All functions of a module are compiled when it is imported, or read
from numba's cache: beside the module, or in the user's cache folder where that cannot be written. That cache watches
only the file a function stands in, so a module holds all that its functions call and imports none of the others;
numbers that formats define are arguments.

Kernels take contiguous arrays of fixed types, write into arrays they are given or make, read nothing outside of them
whatever their numbers are, and release the interpreter's lock.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import threading
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

__all__ = ["FAMILIES", "SWITCH", "compile_all", "family", "interpreted", "ready"]

FAMILIES = (
    "detail",
    "detail_bits",
    "detail_network",
    "detail_trellis",
    "index_map",
    "motion_enhance",
    "motion_field",
    "motion_levels",
    "motion_merge",
    "motion_modes",
    "motion_planes",
    "motion_residual",
    "motion_search",
    "motion_syntax",
    "motion_trellis",
    "nearest",
    "range_symbols",
)

SWITCH = "JOSIECODEC_KERNELS"  # of the environment: "off" for NumPy
_loaded: dict[str, ModuleType | None] = {}
_lock = threading.Lock()


def family(name: str) -> ModuleType | None:
    """The kernels of a module of this folder, ready to be called; None if there are none here."""
    if os.environ.get(SWITCH, "").lower() in ("off", "0", "no"):
        return None
    if name not in _loaded:
        with _lock:
            if name not in _loaded:
                _loaded[name] = _load(name)
    return _loaded[name]


def interpreted(name: str) -> ModuleType:
    """The same functions without a compiler, for kernels that are written so that Python understands them as well."""
    own = f"{__name__}.interpreted.{name}"
    if own not in sys.modules:
        spec = importlib.util.spec_from_file_location(own, Path(__file__).parent / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        sys.modules[own] = module
    return sys.modules[own]


def compile_all() -> bool:
    """Compile all there is, so that no later process has to on this machine; whether there are any."""
    return all([family(name) is not None for name in FAMILIES])


def ready(x: np.ndarray, kind: Any) -> np.ndarray:
    """An array as kernels take it, of numbers of a kind: the same where it is so already, else a copy."""
    return np.require(x, kind, ["C", "W"])


def _load(name: str) -> ModuleType | None:
    try:
        return importlib.import_module(f"{__name__}.{name}")
    except ModuleNotFoundError:
        return None
    except Exception as error:  # a broken numba or LLVM must not cost anybody a file
        if None not in _loaded.values():  # said once
            print(f"josiecodec: no compiled code, which is slower: {error}".split("\n")[0], file=sys.stderr)
        return None

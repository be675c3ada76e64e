"""Bounds on configurations that come from elsewhere: none takes more memory or time than its weights explain."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

from ..errors import ConfigError

MAX_NUMBER = 1 << 20  # widths, layers, strides, numbers of codes
MAX_ENTRIES = 64  # of a list: rates of a network


def check_limits(config: Any) -> None:
    """Make sure that no list of a configuration is too long and no whole number too large.

    Raises:
        ConfigError: if one is.
    """
    for path, value in _numbers(config, ""):
        if abs(value) > MAX_NUMBER:
            raise ConfigError(f"{path} is {value}; {MAX_NUMBER} is the limit for models in files")


def _numbers(value: Any, path: str) -> Iterator[tuple[str, int]]:
    """Every integer of a configuration with its path, such as "encoder.blocks"."""
    if dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            yield from _numbers(getattr(value, field.name), f"{path}.{field.name}" if path else field.name)
    elif isinstance(value, tuple):
        if len(value) > MAX_ENTRIES:
            raise ConfigError(f"{path} has {len(value)} entries; {MAX_ENTRIES} is the limit for models in files")
        for item in value:
            yield from _numbers(item, path)
    elif isinstance(value, int):
        yield path, value

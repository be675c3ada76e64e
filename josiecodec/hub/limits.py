"""Bounds on configurations that come from elsewhere: none takes more memory or time than its weights explain."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from ..errors import ConfigError

MAX_NUMBER = 1 << 20  # widths, layers, strides, numbers of codes
MAX_ENTRIES = 64  # of a list: rates of a network
SLACK = 1 << 20  # numbers that a model may have beside its weights
MIN_TENSOR = 256  # numbers that the smallest tensor counts as: many small layers take time


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


class AllocationLimit(TorchFunctionMode):
    """Within it, parameters can be made of not many more numbers than a file of weights has.

    A configuration that asks for more ends before the memory is taken: it cannot be that of the weights. (Building it
    on the device "meta" first would do the same, but imports half of torch's compiler, some seconds a process.)

    Args:
        numbers: that the file has.

    Raises:
        ConfigError: inside, at the first tensor too many.
    """

    _FACTORIES = (torch.empty, torch.zeros, torch.ones, torch.full, torch.randn, torch.rand)

    def __init__(self, numbers: int):
        super().__init__()
        # Tensors are made in one form and kept in another, as by weight norm.
        self.left = 2 * numbers + SLACK

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func in self._FACTORIES:
            size = args[0] if args and not isinstance(args[0], int) else args
            self.left -= max(MIN_TENSOR, math.prod(size))
            if self.left < 0:
                raise ConfigError("it describes a far larger model than its weights")
        return func(*args, **(kwargs or {}))

"""A bound on the memory that a model from elsewhere takes while it is made."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from ..errors import ConfigError

SLACK = 1 << 20  # numbers that a model may have beside its weights
MIN_TENSOR = 256  # numbers that the smallest tensor counts as: many small layers take time


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

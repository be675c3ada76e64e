"""From blocks of codes to samples as tensors, of one stream of audio."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from ..bitstream.container import Block
from .sample_decoder import SampleDecoder


class BlockDecoder:
    """A `SampleDecoder` that gives tensors [n]; see there for its arguments and attributes."""

    def __init__(self, *args: Any, **settings: Any):
        self._inner = SampleDecoder(*args, **settings)

    @property
    def problems(self) -> list[str]:
        """See `SampleDecoder`."""
        return self._inner.problems

    def push(self, block: Block) -> Iterator[Tensor]:
        """See `SampleDecoder.push`."""
        return map(torch.from_numpy, self._inner.push(block))

    def finish(self) -> Iterator[Tensor]:
        """See `SampleDecoder.finish`."""
        return map(torch.from_numpy, self._inner.finish())

"""From blocks of codes to samples as tensors, of one stream of audio."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ..audio.network import JodioNetwork
from ..bitstream.container import Block
from ..bitstream.header import AudioInfo
from .sample_decoder import SampleDecoder


class BlockDecoder:
    """A `SampleDecoder` that gives tensors [n]; see there for its arguments and attributes."""

    def __init__(
        self,
        codec: JodioNetwork,
        info: AudioInfo,
        n_q: int | None = None,
        salvage: bool = False,
    ):
        self._inner = SampleDecoder(codec, info, n_q, salvage)  # type: ignore[arg-type]

    @property
    def levels(self) -> int:
        """See `SampleDecoder`."""
        return self._inner.levels

    @property
    def reached(self) -> int:
        """See `SampleDecoder`."""
        return self._inner.reached

    @property
    def written(self) -> int:
        """See `SampleDecoder`."""
        return self._inner.written

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

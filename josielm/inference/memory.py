"""How much memory a model takes that listens and speaks: predicted from its configuration, and measured.

    weights     all parameters, and what is no parameter but lies beside them
    cache       keys and values of the frames that the temporal transformer looks back on
    buffer      sound of a frame heard and one said, and codes of the pictures that were shown

The cache grows with the conversation until it is full. What the codec takes is not counted, nor what a step needs while
it is computed.
"""

from __future__ import annotations

import gc
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from josiecodec.errors import ConfigError

from ..model.config import ModelConfig, StackConfig
from ..model.language_model import LM
from ..model.layers import Attention, Caches, Past
from .sampling import Sampling
from .stream import CacheConfig, LMStream

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
SMALLEST: dict[str, Any] = {
    "temporal": StackConfig(64, 1, 2, 64),
    "depth": StackConfig(64, 1, 2, 64),
    "text_size": 0,
    "text_head": "none",
    "text_column": False,
    "vision": None,
    "context": 8,
}
FRAME_SECONDS, SAMPLE_RATE = 0.08, 24000
STATM = Path("/proc/self/status")


@dataclass(frozen=True)
class Memory:
    """Bytes of the parts.

    Attributes:
        parameters: how many.
        weights, cache, buffer: bytes.
    """

    parameters: int
    weights: int
    cache: int
    buffer: int

    @property
    def total(self) -> int:
        """All together."""
        return self.weights + self.cache + self.buffer

    def figures(self) -> dict[str, int]:
        """By name."""
        return {**asdict(self), "total": self.total}


def predicted(config: ModelConfig, dtype: str = "float32", cache: CacheConfig | None = None, batch: int = 1) -> Memory:
    """What a model takes whose cache is full.

    Args:
        config: of the model.
        dtype: of the weights; "float32", "bfloat16" or "float16".
        cache: as of `LMStream`.
        batch: streams at a time.

    Raises:
        ConfigError: if there is no such dtype.
    """
    if dtype not in DTYPES:
        raise ConfigError(f"dtype must be one of {', '.join(DTYPES)}, not {dtype!r}")
    cache = cache or CacheConfig()
    with torch.device("meta"):
        count = LM(config).parameter_count()
    kept = DTYPES[dtype] if cache.dtype == "model" else DTYPES[cache.dtype]
    frames = min(config.context, cache.frames or config.context) - 1
    width = config.temporal.heads * (config.temporal.dim // config.temporal.heads)
    layers = config.temporal.layers if config.temporal_on else 0
    values = 2 * layers * frames * width * batch
    seen = config.vision.n_q * config.vision.max_patches if config.vision else 0
    buffer = 8 * seen * batch + 2 * 4 * round(FRAME_SECONDS * SAMPLE_RATE) * batch
    return Memory(count, count * DTYPES[dtype].itemsize, values * kept.itemsize, buffer)


def measured(config: ModelConfig, dtype: str = "float32", cache: CacheConfig | None = None, batch: int = 1) -> int:
    """Bytes by which this process grows: a model in memory, a step of its stream, and its cache filled to the end.

    Of a fresh process; one that has freed memory before grows by less.

    Raises:
        ConfigError: where the memory of a process cannot be seen (other systems than Linux).
    """
    if not STATM.exists():
        raise ConfigError("memory is measured on Linux alone")
    _made(
        replace(config.with_levels(2, 16), **SMALLEST), dtype, None, 1
    )  # what torch loads for the first step is not the model's
    gc.collect()
    before = _resident()
    kept = _made(config, dtype, cache, batch)
    grown = _resident() - before
    del kept
    return grown


def _made(config: ModelConfig, dtype: str, cache: CacheConfig | None, batch: int) -> LMStream:
    """A stream of a model of numbers that mean nothing, its cache full."""
    with torch.device("meta"):
        model = LM(config)
    model = model.to(DTYPES[dtype]).to_empty(device="cpu").eval().requires_grad_(False)
    with torch.no_grad():
        for tensor in [*model.parameters(), *model.buffers()]:
            tensor.fill_(0.01 if tensor.is_floating_point() else 0)  # pages that nobody has written take no memory
    stream = LMStream(model, list(range(batch)), Sampling(), cache=cache)
    stream.step()
    fill(stream)
    return stream


def fill(stream: LMStream) -> None:
    """Make the caches of a stream as long as they become."""
    for module, past in list(caches(stream)):
        assert isinstance(stream.state, Caches)
        frames = stream.state.limit(module.context) - 1
        shape = (*past.keys.shape[:2], frames, past.keys.shape[3])
        keys, values = (torch.full(shape, 0.01, dtype=past.keys.dtype) for _ in range(2))
        stream.state[module] = Past(keys, values, frames)


def caches(stream: LMStream) -> Iterator[tuple[Attention, Past]]:
    """What each layer of a stream remembers."""
    for module, past in stream.state.items():
        known: Any = past
        if isinstance(module, Attention) and isinstance(known, Past):
            yield module, known


def _resident() -> int:
    found = re.search(r"VmRSS:\s*(\d+) kB", STATM.read_text())
    assert found is not None
    return int(found[1]) * 1024

"""Actors of the engine for Ray: readers decode media files, encoders hold the model and make shards.

An encoder asks readers for chunks of clips, some ahead of what it encodes and no more: that keeps it busy, and bounds
what waits in the object store, however fast readers are.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..coding.jodio import Jodio
from ..coding.jovio import Jovio
from ..datasets.dataset import ShardWriter
from ..errors import CodecError
from ..hub.store import load
from ..media.apart import shared_pool
from .audio import LoadedClip, encode_loaded_audio, load_clip
from .manifest import Item
from .plan import Settings
from .tokenize import Report, dataset_info, tokenize_shard
from .vision import encode_loaded_vision, load_picture

CHUNK = 4  # clips that are read together
AHEAD = 3  # chunks that wait for an encoder: twelve clips of two minutes are 140 MB
Media = list[tuple[Item, np.ndarray | str | None]]  # samples or pixels, an error, or None: read where it is encoded


class Reader:
    """Decodes media. It keeps no state but its process, so that a call can be made again.

    Args:
        sample_rate: of audio; None for pictures.
        max_seconds: of audio that is read at once; longer clips are left to the encoder.
    """

    def __init__(self, sample_rate: int | None, max_seconds: float):
        torch.set_num_threads(1)
        self.sample_rate, self.max_seconds = sample_rate, max_seconds

    def read(self, items: list[Item]) -> Media:
        """What is in some files."""
        return [self._one(item) for item in items]

    def _one(self, item: Item) -> tuple[Item, np.ndarray | str | None]:
        if self.sample_rate is not None:
            clip = load_clip(shared_pool(), item, self.sample_rate, self.max_seconds)
            found: Tensor | CodecError | None = clip.wave if clip.error is None else clip.error
        else:
            found = load_picture(shared_pool(), item)[1]
        if isinstance(found, CodecError):
            return item, str(found)
        return item, None if found is None else found.numpy()


class Encoder:
    """Loads the model once, then makes the shards it is given."""

    def __init__(self, model: str, device: str, folder: str, settings: Settings, threads: int):
        torch.set_num_threads(threads)
        self.codec: Jodio | Jovio = load(model, device)
        self.settings = settings
        self.writer = ShardWriter(folder, dataset_info(self.codec, settings.n_q))

    def make(self, index: int, items: list[Item], readers: list[Any]) -> Report:
        """Make a shard of what some readers read, in turn."""
        if self.writer.done(index):  # by an actor that died before it reported
            return Report(index, 0, 0, 0.0)
        read = media_of(items, readers)
        if isinstance(self.codec, Jodio):
            clips = (_clip(item, media) for item, media in read)
            encoded = encode_loaded_audio(self.codec, clips, self.settings)
        else:
            encoded = encode_loaded_vision(self.codec, ((i, _tensor(m)) for i, m in read), self.settings)
        return tokenize_shard(self.codec, items, index, self.writer, self.settings, encoded_items=encoded)


def media_of(items: list[Item], readers: list[Any]) -> Iterator[tuple[Item, np.ndarray | str | None]]:
    """Clips in order, read by other actors, at most `AHEAD` chunks before they are taken."""
    import ray

    turns = itertools.cycle(readers)
    waiting: deque[Any] = deque()
    for begin in range(0, len(items), CHUNK):
        waiting.append(next(turns).read.remote(items[begin : begin + CHUNK]))
        if len(waiting) > AHEAD:
            yield from ray.get(waiting.popleft())
    while waiting:
        yield from ray.get(waiting.popleft())


def _tensor(media: np.ndarray | str | None) -> Tensor | CodecError | None:
    if isinstance(media, str):
        return CodecError(media)
    return None if media is None else torch.from_numpy(np.array(media))  # the object store gives what cannot be written


def _clip(item: Item, media: np.ndarray | str | None) -> LoadedClip:
    found = _tensor(media)
    clip = LoadedClip(item)
    return replace(clip, error=found) if isinstance(found, CodecError) else replace(clip, wave=found)

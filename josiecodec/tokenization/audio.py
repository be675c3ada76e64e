"""Sound files -> codes: read ahead by threads, encoded in batches of like length.

files -> windows of some minutes -> sorted by length -> batches, padded -> codes, cut to their own frames

What lies behind the end of a clip is not heard, so its codes are the same in any batch as alone.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from ..coding.audio import encode_blocks
from ..coding.jodio import Jodio
from ..errors import CodecError, MediaError
from ..media.audio_reader import AudioReader
from .manifest import Item
from .plan import Settings

WINDOW = 8  # batches that are sorted together
AHEAD = 8  # files that are read ahead for each worker
Encoded = tuple[np.ndarray, dict[str, Any]]
A = TypeVar("A")
B = TypeVar("B")


@dataclass(frozen=True)
class Heard:
    """A clip that was read: its samples [T], None of one that is too long to be read at once, or what is wrong."""

    item: Item
    wave: Tensor | None = None
    error: CodecError | None = None


def encode_sounds(
    codec: Jodio, items: Iterable[Item], settings: Settings
) -> Iterator[tuple[Item, Encoded | CodecError]]:
    """Codes uint16 [frames, n_q] and duration of each clip, in their order; or why it cannot be read."""

    def read(item: Item) -> Heard:
        return read_sound(item, codec.sample_rate, settings.batch_seconds)

    heard = read_ahead(read, items, settings.workers)
    for window in _windows(heard, WINDOW * settings.batch_seconds * codec.sample_rate):
        codes = _encode_window(codec, window, settings)
        for number, one in enumerate(window):
            if one.error is not None:
                yield one.item, one.error
            elif one.wave is None:
                yield one.item, _encode_long(codec, one.item, settings.n_q)
            else:
                yield one.item, (codes[number], _duration(len(one.wave), codec))


def read_ahead(function: Callable[[A], B], things: Iterable[A], workers: int, ahead: int = AHEAD) -> Iterator[B]:
    """`map`, with threads that run up to `ahead` things ahead each."""
    with ThreadPoolExecutor(workers) as pool:
        waiting: deque[Future[B]] = deque()
        try:
            for thing in things:
                waiting.append(pool.submit(function, thing))
                if len(waiting) > ahead * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def read_sound(item: Item, sample_rate: int, longest: float) -> Heard:
    """Read a clip as mono at a rate, unless it is longer than `longest` seconds."""
    try:
        with AudioReader(item.path) as reader:
            whole = None if reader.length is None else reader.length / reader.sample_rate - item.start
            if (item.duration or whole or 0.0) > longest:
                return Heard(item)
            parts, room = [], longest * sample_rate
            for part in reader.mono(sample_rate, item.start, item.duration, item.channel):
                parts.append(part)
                room -= len(part)
                if room < 0:  # the file did not say that it is so long
                    return Heard(item)
    except (CodecError, OSError) as error:
        return Heard(item, error=MediaError(str(error)))
    wave = torch.cat(parts)
    return Heard(item, wave) if len(wave) else Heard(item, error=_silent(item))


def _silent(item: Item) -> MediaError:
    return MediaError(f"{item.path}: not a single sample")


def _windows(heard: Iterable[Heard], samples: float) -> Iterator[list[Heard]]:
    """Runs of clips of about so many samples."""
    window: list[Heard] = []
    room = samples
    for one in heard:
        window.append(one)
        room -= 0 if one.wave is None else len(one.wave)
        if room <= 0:
            yield window
            window, room = [], samples
    if window:
        yield window


def _encode_window(codec: Jodio, window: list[Heard], settings: Settings) -> dict[int, np.ndarray]:
    """Codes by place in the window of all clips that were read."""
    codes: dict[int, np.ndarray] = {}
    lengths = {n: len(h.wave) for n, h in enumerate(window) if h.wave is not None}
    for places in batches(lengths, settings.batch_seconds * codec.sample_rate if codec.config.causal else 0):
        waves = [window[n].wave for n in places]
        x = torch.nn.utils.rnn.pad_sequence([w for w in waves if w is not None], batch_first=True)
        sizes = torch.tensor([lengths[n] for n in places])
        found = codec.encode(x[:, None].to(codec.device), settings.n_q, sizes).transpose(1, 2).cpu().numpy()
        for n, rows in zip(places, found):
            codes[n] = rows[: codec.frames(lengths[n])].astype(np.uint16)
    return codes


def batches(lengths: dict[int, int], most: float) -> Iterator[list[int]]:
    """Keys in batches of like length that are no larger than `most`, padding and all; or one by one."""
    batch: list[int] = []
    for n in sorted(lengths, key=lambda n: -lengths[n]):
        if batch and (len(batch) + 1) * lengths[batch[0]] > most:
            yield batch
            batch = []
        batch.append(n)
    if batch:
        yield batch


def _encode_long(codec: Jodio, item: Item, n_q: int) -> Encoded | CodecError:
    """A recording piece by piece, as a stream: the same codes, in bounded memory."""
    parts: list[np.ndarray] = []
    samples = 0
    try:
        with AudioReader(item.path) as reader:
            blocks = reader.mono(codec.sample_rate, item.start, item.duration, item.channel)
            for taken, codes in encode_blocks(codec, blocks, n_q):
                samples += taken
                parts.append(codes.astype(np.uint16))
    except (CodecError, OSError) as error:
        return MediaError(str(error))
    return (np.concatenate(parts), _duration(samples, codec)) if samples else _silent(item)


def _duration(samples: int, codec: Jodio) -> dict[str, Any]:
    return {"duration": round(samples / codec.sample_rate, 6)}

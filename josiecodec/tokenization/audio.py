"""Audio files -> codes: read ahead by processes, encoded in batches of similar length.

files -> windows of some minutes -> sorted by length -> batches, padded -> codes, cut to their own frames

Padding behind the end of a clip is masked, so its codes do not depend on its batch. A file whose decoder takes its
process down is an error of this file.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from ..coding.audio import encode_blocks
from ..coding.audio_coder import AudioCoder
from ..coding.level import level_gain, louder
from ..errors import CodecError, MediaError
from ..media.apart import ApartPool, shared_pool
from ..media.audio_open import clip_blocks, clip_samples
from .manifest import Item
from .plan import Settings

WINDOW_BATCHES = 8  # that are sorted by length together
FILES_AHEAD = 8  # per worker thread
Encoded = tuple[np.ndarray, dict[str, Any]]
A = TypeVar("A")
B = TypeVar("B")


@dataclass(frozen=True)
class LoadedClip:
    """A clip that was read: its samples [T], None if it is too long to be read at once, or the error."""

    item: Item
    wave: np.ndarray | None = None
    error: CodecError | None = None


def encode_audio(
    codec: AudioCoder, items: Iterable[Item], settings: Settings
) -> Iterator[tuple[Item, Encoded | CodecError]]:
    """Codes uint16 [frames, n_q] of each clip with its duration and gain, in order; or why it cannot be read."""

    readers = shared_pool()

    def read(item: Item) -> LoadedClip:
        return load_clip(readers, item, codec.sample_rate, settings.batch_seconds)

    return encode_loaded_audio(codec, read_ahead(read, items, settings.workers), settings)


def encode_loaded_audio(
    codec: AudioCoder, clips: Iterable[LoadedClip], settings: Settings
) -> Iterator[tuple[Item, Encoded | CodecError]]:
    """The same of clips that were read already, somewhere else; too long ones are read here."""
    readers = shared_pool()
    for window in _windows(clips, WINDOW_BATCHES * settings.batch_seconds * codec.sample_rate):
        gains = {n: level_gain(codec, [clip.wave]) for n, clip in enumerate(window) if clip.wave is not None}
        codes = _encode_window(codec, window, settings, gains)
        for number, clip in enumerate(window):
            if clip.error is not None:
                yield clip.item, clip.error
            elif clip.wave is None:
                yield clip.item, _encode_long(readers, codec, clip.item, settings.n_q)
            else:
                yield clip.item, (codes[number], _about(len(clip.wave), gains[number], codec))


def read_ahead(function: Callable[[A], B], items: Iterable[A], workers: int, ahead: int = FILES_AHEAD) -> Iterator[B]:
    """`map`, with threads that run up to `ahead` items ahead each."""
    with ThreadPoolExecutor(workers) as pool:
        waiting: deque[Future[B]] = deque()
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) > ahead * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def load_clip(readers: ApartPool, item: Item, sample_rate: int, max_seconds: float) -> LoadedClip:
    """Read a clip as mono at a sample rate, unless it is longer than `max_seconds`."""
    part = (item.start, item.duration, item.channel, item.audio_track)
    try:
        wave = readers.call(clip_samples, item.path, sample_rate, *part, max_seconds * sample_rate)
    except (CodecError, OSError) as error:
        return LoadedClip(item, error=MediaError(str(error)))
    if wave is None:
        return LoadedClip(item)
    return LoadedClip(item, wave) if len(wave) else LoadedClip(item, error=_empty(item))


def _empty(item: Item) -> MediaError:
    return MediaError(f"{item.path}: not a single sample")


def _windows(clips: Iterable[LoadedClip], samples: float) -> Iterator[list[LoadedClip]]:
    """Groups of consecutive clips of about so many samples."""
    window: list[LoadedClip] = []
    room = samples
    for clip in clips:
        window.append(clip)
        room -= 0 if clip.wave is None else len(clip.wave)
        if room <= 0:
            yield window
            window, room = [], samples
    if window:
        yield window


def _encode_window(
    codec: AudioCoder, window: list[LoadedClip], settings: Settings, gains: dict[int, int]
) -> dict[int, np.ndarray]:
    """Codes of all clips that were read, by their index in the window, amplified by so many decibels."""
    codes: dict[int, np.ndarray] = {}
    waves = {n: next(louder([clip.wave], gains[n])) for n, clip in enumerate(window) if clip.wave is not None}
    lengths = {n: len(wave) for n, wave in waves.items()}
    for batch in batches(lengths, settings.batch_seconds * codec.sample_rate if codec.config.causal else 0):
        for n, rows in zip(batch, codec.encode_batch([waves[n] for n in batch], settings.n_q)):
            codes[n] = rows.astype(np.uint16)
    return codes


def batches(lengths: dict[int, int], max_samples: float) -> Iterator[list[int]]:
    """Keys in batches of similar length, of at most `max_samples` each with padding; a longer one is alone."""
    batch: list[int] = []
    for n in sorted(lengths, key=lambda n: -lengths[n]):
        if batch and (len(batch) + 1) * lengths[batch[0]] > max_samples:
            yield batch
            batch = []
        batch.append(n)
    if batch:
        yield batch


def _encode_long(readers: ApartPool, codec: AudioCoder, item: Item, n_q: int) -> Encoded | CodecError:
    """Codes of a long recording, encoded as a stream: the same codes, in bounded memory."""
    parts: list[np.ndarray] = []
    samples = 0
    part = (item.start, item.duration, item.channel, item.audio_track)
    try:
        gain = level_gain(codec, readers.stream(clip_blocks, item.path, codec.sample_rate, *part))
        blocks = readers.stream(clip_blocks, item.path, codec.sample_rate, *part)
        for taken, codes in encode_blocks(codec, louder(blocks, gain), n_q):
            samples += taken
            parts.append(codes.astype(np.uint16))
    except (CodecError, OSError) as error:
        return MediaError(str(error))
    return (np.concatenate(parts), _about(samples, gain, codec)) if samples else _empty(item)


def _about(samples: int, gain: int, codec: AudioCoder) -> dict[str, Any]:
    return {"duration": round(samples / codec.sample_rate, 6)} | ({"gain_db": gain} if gain else {})

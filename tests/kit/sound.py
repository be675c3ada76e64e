"""Sound files of many kinds, made with FFmpeg's encoders."""

from __future__ import annotations

import warnings
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import torch

from josiecodec.media.audio_reader import AudioReader, Reading

RATE = 48000


def noise(samples: int, seed: int = 0) -> np.ndarray:
    """Soft noise [n], in which every place can be found again."""
    x = np.random.default_rng(seed).standard_normal(samples) * 0.1
    return np.convolve(x, np.hanning(25) / 12, "same").astype(np.float32)


def write_sound(
    path: Path,
    wave: np.ndarray,
    codec: str,
    container: str,
    rate: int = RATE,
    layout: str = "mono",
    holes: tuple[tuple[int, int], ...] = (),
    drift: float = 1.0,
    options: dict[str, str] | None = None,
) -> bytes:
    """Write [n] in all channels, or [n, channels]; gives the bytes of the file.

    `holes` are (sample, samples): the clock jumps there. `drift` is how fast it runs.
    """
    channels = av.AudioLayout(layout).nb_channels
    packed = np.repeat(wave[:, None], channels, 1) if wave.ndim == 1 else wave
    with av.open(str(path), "w", format=container, options=options or {}) as file:
        stream = file.add_stream(codec, rate=rate, layout=layout)
        stream.bit_rate = 64000 * channels
        size = stream.codec_context.frame_size or 960
        for first in range(0, len(packed), size):
            block = np.ascontiguousarray(packed[first : first + size], np.float32).reshape(1, -1)
            frame = av.AudioFrame.from_ndarray(block, format="flt", layout=layout)
            frame.sample_rate, frame.time_base = rate, Fraction(1, rate)
            frame.pts = round(first * drift) + sum(length for at, length in holes if first >= at)
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return path.read_bytes()


def heard(source, reading: Reading | None = None, **part) -> tuple[np.ndarray, list[str]]:
    """What is read of a file, as mono [n] at its own rate, and the warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with AudioReader(source, reading) as reader:
            wave = torch.cat([torch.zeros(0), *reader.mono(reader.sample_rate, **part)]).numpy()
    return wave, [str(w.message) for w in caught if issubclass(w.category, UserWarning)]


def late_by(wave: np.ndarray, original: np.ndarray) -> int:
    """By how many samples `wave` lies behind `original`."""
    size = 1 << (max(len(wave), len(original)) * 2).bit_length()
    match = np.fft.irfft(np.fft.rfft(wave, size) * np.conj(np.fft.rfft(original, size)), size)
    at = int(match.argmax())
    return at if at < size // 2 else at - size

"""Decoded frames of sound -> samples: packed, at one rate, and mixed down to mono by FFmpeg's own weights.

The rate and the layout of a stream may change from one frame to the next (broadcast AAC does so); whatever comes out
here has one rate, and the weights of a mix are those of the layout of the moment.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import soxr

from .audio_layout import has_own_order, in_order, kept

MIN_RATE, MAX_RATE = 100, 1_000_000  # Hz that are believed of sound
BATCH = 1 << 16  # samples per channel that are converted together
MAX_PLACED = 8  # channels of a file that names no layout which are taken for loudspeakers; more are microphones


@dataclass(frozen=True)
class Sound:
    """Samples of one layout.

    Attributes:
        samples: float32 [n, channels], about [-1, 1].
        weights: float32 [channels] of a mix to mono; their sum is 1.
    """

    samples: np.ndarray
    weights: np.ndarray


class PackedSamples:
    """Turns the frames of a stream, one after the other, into samples at one rate.

    Samples come packed (channel by channel within each sample) from FFmpeg's resampler: PyAV's own conversion of planar
    frames takes the process down for some layouts.

    Args:
        sample_rate: of what comes out, in Hz.
    """

    def __init__(self, sample_rate: int):
        self.sample_rate = sample_rate
        self._form: tuple[Any, ...] | None = None  # of the frames of now
        self._packer: Any = None
        self._rates: Any = None  # from the rate of the frames of now to ours
        self._weights = np.ones(1, np.float32)

    def __call__(self, frame: Any) -> Iterator[Sound]:
        """Take a frame in (one that is `audio_layout.kept`), give what is ready out."""
        form = frame.format.name, frame.layout.name, frame.layout.nb_channels, frame.sample_rate
        if form != self._form:
            yield from self.finish()
            self._begin(frame)
            self._form = form
        frame.pts = None  # samples are counted
        for part in self._packer.resample(frame):
            yield self._sound(part)

    def finish(self) -> Iterator[Sound]:
        """What is left of the frames so far; a frame that follows begins anew."""
        if self._packer is None:
            return
        for part in self._packer.resample(None):
            yield self._sound(part)
        if self._rates is not None:
            rest = self._rates.resample_chunk(np.zeros((0, len(self._weights)), np.float32), last=True)
            yield Sound(rest, self._weights)
        self._packer = self._rates = self._form = None

    def _begin(self, frame: Any) -> None:
        import av

        rate, channels, layout = frame.sample_rate, frame.layout.nb_channels, in_order(frame.layout)
        self._packer = av.AudioResampler(format="flt", layout=layout, rate=rate, frame_size=BATCH)
        self._weights = mono_weights(layout, channels)
        if rate != self.sample_rate:
            self._rates = soxr.ResampleStream(rate, self.sample_rate, channels, dtype="float32")

    def _sound(self, part: Any) -> Sound:
        samples = kept(part).to_ndarray().reshape(-1, len(self._weights))
        if self._rates is not None:
            samples = self._rates.resample_chunk(samples)
        return Sound(samples, self._weights)


def mono_samples(frames: Iterable[Any], sample_rate: int) -> Iterator[np.ndarray]:
    """Frames of sound (`av.AudioFrame`) -> mono float32 [n] at a rate, whatever layouts and rates they have."""
    packed = PackedSamples(sample_rate)
    for frame in frames:
        for sound in packed(frame):
            yield sound.samples @ sound.weights
    for sound in packed.finish():
        yield sound.samples @ sound.weights


@cache
def mono_weights(layout: str, channels: int) -> np.ndarray:
    """Weights float32 [channels] with which the channels of a layout are mixed to mono.

    They are those of FFmpeg's standard downmix, made to sum to 1 so that nothing can get too loud: centre 1, left and
    right 0.71, surrounds 0.5, no low-frequency channel. Channels that have no place (microphones, say) count alike, and
    so do three without a layout, of which FFmpeg would leave out one as that of low frequencies; of ambisonics the
    first channel, which hears all directions, is taken.

    Args:
        layout: its name in FFmpeg, such as "5.1(side)"; "6 channels" where the file names none.
        channels: their number.
    """
    if layout.startswith("ambisonic"):
        return np.eye(1, channels, dtype=np.float32)[0]
    even = np.full(channels, 1 / channels, np.float32)
    unplaced = layout.endswith("channels") and (channels == 3 or channels > MAX_PLACED)
    if channels <= 2 or unplaced or has_own_order(layout):
        return even
    import av

    try:  # what each channel alone becomes
        frame = av.AudioFrame.from_ndarray(np.eye(channels, dtype=np.float32).reshape(1, -1), "flt", layout)
        frame.sample_rate = 48000
        mixer = av.AudioResampler(format="flt", layout="mono", rate=48000)
        parts = [part.to_ndarray() for part in (*mixer.resample(frame), *mixer.resample(None))]
        weights = np.concatenate(parts, 1)[0].clip(0)
    except (av.FFmpegError, ValueError):
        return even
    total = float(weights.sum())
    return (weights / total).astype(np.float32) if len(weights) == channels and total > 0 else even

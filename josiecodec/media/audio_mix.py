"""Mixing sound down to mono, with an eye on what goes wrong in it."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator

import numpy as np

from ..errors import MediaError
from .audio_frames import Sound

OPPOSITE = 10.0  # the difference of two channels has so many times the energy of their sum: they are of opposite phase
AUDIBLE = 1e-8  # mean square below which nothing is decided
HELD_SECONDS = 10.0  # until it is
OVERSHOOT = 1.122  # of full scale (1 dB), which decoders of lossy formats reach by themselves


class MonoMix:
    """Mixes sound to mono, or picks a channel.

    The weights are those of the layout (`audio_frames.mono_weights`). Two channels of opposite phase, which would
    cancel out, are mixed with the second one inverted. Samples that are not finite count as silence, with a warning.

    Args:
        name: of the file, for warnings.
        rate: of the samples, in Hz.
        channel: to pick, from 0 on; None for the mix.
        gain: factor for all samples.
        lossy: whether a little beyond full scale is nothing to be warned about.
    """

    def __init__(self, name: str, rate: int, channel: int | None = None, gain: float = 1.0, lossy: bool = False):
        self.name, self.channel, self.gain = name, channel, gain
        self.peak, self._silenced = 0.0, 0
        self._limit = OVERSHOOT if lossy else 1.0001
        self._room = HELD_SECONDS * rate  # samples that may still be held back
        self._held: list[Sound] = []
        self._inverted = self._told = False
        self._moments = np.zeros((2, 2))  # sums and energies of the mix, and of half the difference of two channels
        self._count = 0

    def __call__(self, sound: Sound) -> Iterator[np.ndarray]:
        """Take samples in, give mono samples [n] out.

        Raises:
            MediaError: if there is no such channel.
        """
        samples = sound.samples
        energy = float(np.vdot(samples, samples))
        if not math.isfinite(energy):
            samples, silenced = finite(samples)
            self._silenced += silenced
            sound = Sound(samples, sound.weights)
            energy = float(np.vdot(samples, samples))
        if self.channel is not None:
            yield self._scaled(self._picked(samples, sound.weights))
            return
        if len(sound.weights) == 1:
            yield self._scaled(samples[:, 0])
            return
        mono = samples @ sound.weights
        if len(sound.weights) == 2:
            self._weigh(mono, _difference(sound))
            if self._looks_opposite() and not self._inverted and self._room > 0:
                self._held.append(sound)
                self._room -= len(samples)
                return
            yield from self._released()
            if self._inverted:
                mono = _difference(sound)
        yield self._scaled(mono)

    def finish(self) -> Iterator[np.ndarray]:
        """What was held back; and warn of what was seen."""
        yield from self._released()
        warn_of_silenced(self.name, self._silenced)
        if self._looks_opposite() and not self._inverted:
            warnings.warn(
                f"{self.name}: its two channels are in opposite phase over much of its length and cancel out in the "
                "mix to mono; take one channel",
                stacklevel=2,
            )
        if self.peak > self._limit:
            warnings.warn(
                f"{self.name}: samples reach {self.peak:.2f} times full scale ({20 * math.log10(self.peak):+.1f} dB); "
                "they are encoded as they are and clipped when decoded; --normalize scales the recording to full scale",
                stacklevel=2,
            )

    def _weigh(self, mono: np.ndarray, difference: np.ndarray) -> None:
        for row, x in zip(self._moments, (mono.astype(np.float64), difference.astype(np.float64))):
            row += x.sum(), np.vdot(x, x)
        self._count += len(mono)
        mixed, lost = self._energies()
        if self._inverted and mixed > lost:
            self._inverted = False
            warnings.warn(f"{self.name}: its channels are no longer in opposite phase", stacklevel=2)

    def _energies(self) -> tuple[float, float]:
        """Of the mix and of half the difference so far, without constant offsets: nothing is heard of those."""
        mixed, lost = self._moments[:, 1] - self._moments[:, 0] ** 2 / max(self._count, 1)
        return float(mixed), float(lost)

    def _looks_opposite(self) -> bool:
        mixed, lost = self._energies()
        return lost > max(OPPOSITE * mixed, AUDIBLE * self._count)

    def _released(self) -> Iterator[np.ndarray]:
        """What was held back, once it is decided what becomes of it."""
        held, self._held = self._held, []
        if held and self._looks_opposite():
            self._inverted = True
            if not self._told:
                warnings.warn(
                    f"{self.name}: its two channels are in opposite phase and would cancel out in the mix to mono; the "
                    "second one is inverted",
                    stacklevel=2,
                )
            self._told = True
        for sound in held:
            yield self._scaled(_difference(sound) if self._inverted else sound.samples @ sound.weights)

    def _picked(self, samples: np.ndarray, weights: np.ndarray) -> np.ndarray:
        assert self.channel is not None
        if self.channel >= samples.shape[1]:
            if not self._told:
                warnings.warn(
                    f"{self.name}: has no channel {self.channel} in parts; the mix is taken there", stacklevel=2
                )
            self._told = True
            return samples @ weights
        return np.ascontiguousarray(samples[:, self.channel])

    def _scaled(self, mono: np.ndarray) -> np.ndarray:
        if self.gain != 1.0:
            mono = mono * np.float32(self.gain)
        if len(mono):
            self.peak = max(self.peak, float(mono.max()), -float(mono.min()))
        return mono


def finite(samples: np.ndarray) -> tuple[np.ndarray, int]:
    """Samples with silence in place of what is not finite, and how many values that were."""
    wrong = ~np.isfinite(samples)
    return np.where(wrong, np.float32(0), samples), int(wrong.sum())


def warn_of_silenced(name: str, count: int) -> None:
    """Say that a file has so many samples, of all channels, that are not finite."""
    if count:
        what = "1 sample that is" if count == 1 else f"{count} samples that are"
        warnings.warn(f"{name}: {what} not finite (NaN or infinite), taken as silence", stacklevel=3)


def check_channel(name: str, channel: int | None, channels: int) -> None:
    """Make sure that a file has a channel.

    Raises:
        MediaError: if it has not.
    """
    if channel is not None and not 0 <= channel < channels:
        raise MediaError(f"{name}: has {channels} channel(s), none with the number {channel}")


def _difference(sound: Sound) -> np.ndarray:
    return (sound.samples[:, 0] - sound.samples[:, 1]) * np.float32(0.5)

"""Mel bands of whole folders of recordings, kept in memory, and what can happen to a sound, done to its bands.

Noise is added as power, rooms are smeared power, microphones are gains of bands: none of it needs the waveform again,
so that a training step costs little but its network.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ...hearing.mel import BANDS, FLOOR, HOP, SAMPLE_RATE, LogMel
from ..audio.data import Recordings, Segment


@dataclass(frozen=True)
class Bands:
    """Mel bands of segments, end to end.

    Attributes:
        frames: fp16 [N, 80], logarithms as `LogMel` gives them.
        edges: int64 [segments + 1]; segment i is frames edges[i] to edges[i + 1] - 1.
    """

    frames: Tensor
    edges: Tensor

    def piece(self, segment: int, first: int, count: int) -> Tensor:
        """Float [count, 80] from a frame of a segment on; a segment that is too short begins again."""
        low, high = int(self.edges[segment]), int(self.edges[segment + 1])
        length = high - low
        if first + count <= length:
            return self.frames[low + first : low + first + count].float()
        return self.frames[low + (torch.arange(first, first + count) % length)].float()

    def length(self, segment: int) -> int:
        """Frames of a segment."""
        return int(self.edges[segment + 1] - self.edges[segment])


@torch.no_grad()
def bands_of(recordings: Recordings, changed: Callable[[Tensor, Segment], Tensor] | None = None) -> Bands:
    """Bands of all segments of recordings at 16 kHz.

    Args:
        recordings: at 16 kHz.
        changed: done to the waveform [T] of a segment before; the length must stay.
    """
    mel, parts, edges = LogMel(), [torch.zeros(0, BANDS, dtype=torch.half)], [0]
    for segment in recordings.segments:
        wave = recordings.waveform(segment)
        wave = wave if changed is None else changed(wave, segment)
        wave = F.pad(wave, (0, max(0, HOP - len(wave))))
        parts.append(mel(wave[None, : len(wave) // HOP * HOP])[0].t().half())
        edges.append(edges[-1] + len(parts[-1]))
    return Bands(torch.cat(parts), torch.tensor(edges))


def played(mel: Tensor, speed: float, frames: int) -> Tensor:
    """Bands [T, 80] from a tape at another speed, [frames, 80]: at 1.1 shorter and higher, another voice."""
    if speed == 1:
        return mel[:frames]
    when = (torch.arange(frames) * speed).clamp_max(len(mel) - 1.001)
    top = math.log1p(SAMPLE_RATE / 2 / 700)
    hertz = 700 * torch.expm1(top * torch.arange(1, BANDS + 1) / (BANDS + 1))
    which = (torch.log1p(hertz / speed / 700) / top * (BANDS + 1) - 1).clamp(0, BANDS - 1.001)
    row, column = when.long(), which.long()
    part = (when - row)[:, None]
    mel = mel[row] * (1 - part) + mel[row + 1] * part
    part = which - column
    return mel[:, column] * (1 - part) + mel[:, column + 1] * part


@dataclass(frozen=True)
class Disturbance:
    """How often what is done to a piece of sound, and how much of it.

    Attributes:
        noise, noise_db: share of the items with noise underneath, and the ratio of signal to noise.
        hiss, hiss_db: the same with noise that is even over the bands and over time.
        tilt, tilt_db: share with another microphone: gains of bands, with this deviation at five knots.
        limit: share without what lies above a band between 40 and 79.
        room: share with a tail of reverberation.
    """

    noise: float = 0.5
    noise_db: tuple[float, float] = (3.0, 25.0)
    hiss: float = 0.3
    hiss_db: tuple[float, float] = (10.0, 40.0)
    tilt: float = 0.5
    tilt_db: float = 3.0
    limit: float = 0.25
    room: float = 0.2


def disturbed(mel: Tensor, noise: Tensor, how: Disturbance, random: torch.Generator) -> Tensor:
    """Logarithms of mel bands [B, T, 80] with noise [B, T, 80], a microphone, a band limit and a room at random."""
    count, frames, bands = mel.shape

    def drawn(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=random)

    def between(limits: tuple[float, float]) -> Tensor:
        return limits[0] + (limits[1] - limits[0]) * drawn(count, 1, 1)

    power, under = mel.exp(), noise.exp()
    if how.room > 0:
        decay = 0.7 + 0.25 * drawn(count, 1)  # of the power from frame to frame: rooms of 0.2 to 1.3 s
        gain = 0.3 * drawn(count, 1) * (drawn(count, 1) < how.room)
        tail = gain * decay ** torch.arange(40)
        tail[:, 0] = 1
        waves = F.pad(power.transpose(1, 2), (39, 0))
        kernel = tail.flip(1)[:, None].expand(-1, bands, -1).reshape(-1, 1, 40)
        power = F.conv1d(waves.reshape(1, -1, frames + 39), kernel, groups=count * bands)
        power = power.view(count, bands, frames).transpose(1, 2)
    level = power.mean((1, 2), keepdim=True)
    ratio = level / under.mean((1, 2), keepdim=True) * 10 ** (-between(how.noise_db) / 10)
    power = power + under * ratio * (drawn(count, 1, 1) < how.noise)
    grain = -(1 - drawn(count, frames, bands)).log()  # power of noise in a band
    hiss = level * 10 ** (-between(how.hiss_db) / 10) * (drawn(count, 1, 1) < how.hiss)
    power = power + hiss * grain
    knots = how.tilt_db * torch.randn(count, 1, 5, generator=random) * (drawn(count, 1, 1) < how.tilt)
    curve = F.interpolate(knots, bands, mode="linear", align_corners=True)
    power = power * 10 ** (curve / 10)
    top = torch.where(drawn(count) < how.limit, 40 + 40 * drawn(count), torch.full((count,), 1.0 * bands))
    power = power.masked_fill(torch.arange(bands) >= top[:, None, None], 0.0)
    power = power * 10 ** ((drawn(count, 1, 1) - 0.5) * 3)  # 15 dB up or down
    return (power + FLOOR).log()

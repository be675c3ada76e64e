"""Settings of the levels after the base; light, for what reads configurations alone."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ..errors import ConfigError

SLOPE = 200.0  # Hz over which the weights of a `BandStep` fall
LANES = 32  # numbers that processors work on at once
HEARD_EDGES = (0.0, 150.0, 300.0, 450.0, 600.0, 800.0, 1000.0)
CODED_EDGES = (  # about 1.35 equivalent rectangular bandwidths each
    *(1200.0, 1421.0, 1677.0, 1972.0, 2313.0, 2707.0, 3161.0, 3686.0),
    *(4293.0, 4993.0, 5802.0, 6736.0, 7815.0, 9061.0, 10500.0),
)


@dataclass(frozen=True)
class BandStep:
    """One step of the schedule.

    Attributes:
        until: the level before which it ends; the layer's first level is 0.
        edge: Hz above which errors count less.
        drop: by how many dB, from 200 Hz above the edge on.
    """

    until: int
    edge: float
    drop: float


def check_schedule(schedule: Sequence[BandStep], levels: int) -> None:
    """Make sure that a schedule covers so many levels.

    Raises:
        ConfigError: if it does not.
    """
    ends = [0, *(step.until for step in schedule)]
    if any(a >= b for a, b in itertools.pairwise(ends)) or ends[-1] < levels:
        raise ConfigError(f"waveform: the steps of the schedule must rise to {levels} levels")
    if any(step.edge <= 0 or step.drop < 0 for step in schedule):
        raise ConfigError("waveform: edges must be positive, and drops at least 0 dB")


def check_width(name: str, width: int) -> None:
    """Make sure that activations over so many channels do not depend on where a stream was cut, either.

    Raises:
        ConfigError: if they would.
    """
    if width % LANES:
        raise ConfigError(f"{name}: widths must be multiples of {LANES}, not {width}")


@dataclass(frozen=True)
class LowBandFilterConfig:
    """Settings of a `LowBandFilter`.

    Attributes:
        window, hop: samples of the low band.
        width, blocks, expansion, kernel: of the network, causal ConvNeXt blocks at the rate of the spectra.
    """

    window: int = 256
    hop: int = 64
    width: int = 256
    blocks: int = 6
    expansion: int = 2
    kernel: int = 7

    def __post_init__(self) -> None:
        if min(self.hop, self.width, self.expansion, self.kernel) < 1 or self.blocks < 0:
            raise ConfigError("waveform.filter: sizes must be positive")
        if self.window % (2 * self.hop) or self.window < 3 * self.hop:
            raise ConfigError("waveform.filter: the window must be an even number of hops, at least 4")
        check_width("waveform.filter", self.width)

    @property
    def delay(self) -> int:
        """Samples by which what comes out is late."""
        return self.window - self.hop


@dataclass(frozen=True)
class WaveformLayerConfig:
    """Settings of a `WaveformLayer`.

    Attributes:
        levels: of codes, after those of the base. Their codebooks have as many codes as the base's.
        decimation: samples of the waveform to one of the low band.
        hops: of the transform in each frame.
        cutoff: Hz up to which the waveform is coded.
        taper: Hz below the cutoff over which it gives way to the base.
        segment: coefficients that are transformed together, see `CovarianceNetwork`.
        width, blocks, expansion, kernel: of the network, see `VarianceNetwork`.
        weighting: 0 codes for the least squared error, 1 for the same ratio of signal to noise everywhere.
        efficiency: share of a level's bits that take variance off as theory says.
        schedule: which band the first levels code above all, see `BandStep`.
        fill: how much of the base's own coefficient makes up for what is not coded.
        filter: of the `LowBandFilter` after that, or None.
        codebooks: "random" ones are made anew on loading, "learned" ones are stored with the weights.
        books: number of codebooks, see `ShapedResidualQuantizer`.
        seed: of random codebooks.
        by_frame: a frame has as many levels as it has codes before the zeros at its end. Else all frames have as many
            as there are rows of codes, zeros or not.
        min_levels: of layers by frame: a frame of fewer levels (if there are more) is the base alone, which sounds
            better.
        after_envelope: the layer's difference is one to what the envelope layer made of the base, so that both may
            change the same band. What is coded does not depend on it.
    """

    levels: int = 23
    decimation: int = 5
    hops: int = 2
    cutoff: float = 1200.0
    taper: float = 100.0
    segment: int = 12
    width: int = 256
    blocks: int = 3
    expansion: int = 2
    kernel: int = 3
    weighting: float = 0.35
    efficiency: float = 0.85
    schedule: tuple[BandStep, ...] = (BandStep(8, 600.0, 6.0), BandStep(23, 1300.0, 0.0))
    fill: float = 0.4
    filter: LowBandFilterConfig | None = None
    codebooks: Literal["random", "learned"] = "random"
    books: int = 1
    seed: int = 0
    by_frame: bool = False
    min_levels: int = 4
    after_envelope: bool = False

    def __post_init__(self) -> None:
        counts = (self.levels, self.decimation, self.hops, self.segment, self.books)
        if min(*counts, self.width, self.expansion, self.kernel) < 1 or self.blocks < 0 or self.seed < 0:
            raise ConfigError("waveform: levels, decimation, hops, sizes and books must be positive")
        if not (0 < self.taper < self.cutoff and 0 <= self.weighting <= 1 and 0 < self.efficiency <= 1):
            raise ConfigError("waveform: taper must be in 0..cutoff, weighting in 0..1 and efficiency in 0..1")
        if self.min_levels < 1:
            raise ConfigError("waveform: min_levels must be at least 1")
        if not 0 <= self.fill <= 1:
            raise ConfigError("waveform: fill must be in 0..1")
        check_schedule(self.schedule, self.levels)
        check_width("waveform", self.width)

    def hop(self, frame_size: int) -> int:
        """Samples of the low band between two transforms.

        Raises:
            ConfigError: if the frame cannot be divided so.
        """
        if frame_size % (self.decimation * self.hops) or frame_size // (self.decimation * self.hops) % 8:
            raise ConfigError(
                f"waveform: a frame of {frame_size} samples cannot be divided by {self.decimation} and into "
                f"{self.hops} hops of a multiple of 8 samples"
            )
        return frame_size // (self.decimation * self.hops)


@dataclass(frozen=True)
class EnvelopeLayerConfig:
    """Settings of an `EnvelopeLayer`.

    Attributes:
        positions: places of its levels among those after the base, rising; the others are the waveform layer's. Their
            codebooks have as many codes as the base's.
        hop: samples between two windows of two hops each.
        heard: Hz, edges below the first coded band; energies between them are heard, but not changed.
        coded: Hz, edges of the bands whose envelopes are coded; a last band reaches from the last one to the top.
        width, blocks, expansion, kernel: of the network, causal ConvNeXt blocks at the frame rate.
        efficiency: share of a level's bits that take variance off as theory says.
        seed: of the random codebook.
    """

    positions: tuple[int, ...] = (0, 1)
    hop: int = 240
    heard: tuple[float, ...] = HEARD_EDGES
    coded: tuple[float, ...] = CODED_EDGES
    width: int = 256
    blocks: int = 3
    expansion: int = 2
    kernel: int = 3
    efficiency: float = 0.9
    seed: int = 1

    def __post_init__(self) -> None:
        if not self.positions or any(a >= b for a, b in itertools.pairwise((-1, *self.positions))):
            raise ConfigError("envelope: positions must rise, from 0 on")
        if any(a >= b for a, b in itertools.pairwise((-1.0, *self.heard, *self.coded))) or not self.coded:
            raise ConfigError("envelope: edges must rise, and one must be coded")
        if min(self.hop, self.width, self.expansion, self.kernel) < 1 or self.blocks < 0 or self.seed < 0:
            raise ConfigError("envelope: sizes must be positive")
        if self.hop % 8 or not 0 < self.efficiency <= 1:
            raise ConfigError("envelope: hops must be multiples of 8 samples, and efficiency in 0..1")
        check_width("envelope", self.width)

    @property
    def levels(self) -> int:
        """Of codes."""
        return len(self.positions)

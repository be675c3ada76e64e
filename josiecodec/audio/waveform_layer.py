"""The waveform layer: codes of the low band's waveform, on top of a decoded base.

A base at 1 kbit/s keeps magnitudes and loses phase, and most of what that costs lies below 1.2 kHz. So the layer codes
the waveform there, by a transform whose bits go where the base says that energy is:

    original -> low band -> MDCT --------> transform -> search -> codes
    base     -> low band -> covariances -----^---> plan of the bits ^ |
                   |                                                v v
                   |                                        sum of shaped codes
                   +------> MDCT, where nothing is coded ------------> + <- inverse transform

    decoded  =  base  +  low band of that sum less the base's own, interpolated

Both sides know the base, so nothing but codes is sent. Levels are embedded: what a level takes off depends on its
number alone, and the first n of them can be decoded without the others.

Time. The low band's grid lies behind that of the frames by the delay of its filter, so that a frame's codes need
nothing after the frame. The inverse transform is a hop late, and interpolation some milliseconds: a stream is decoded
`lag` frames late. A layer `after_envelope` takes a hop more (`HeardBand`). At the end of a recording, where the next
window never comes, the difference fades out within the last window: there the low band is the base's.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import ConfigError
from ..nn.streaming import State, Streaming, with_past
from ..quantization.shaped_rvq import ShapedResidualQuantizer
from .band import Decimator, Interpolator, row_of
from .bit_plan import BitPlan, ShapedVectors, plan_bits
from .covariance import CovarianceNetwork, FrameTransform
from .layer_configs import WaveformLayerConfig
from .low_band_filter import Delay, LowBandFilter
from .mdct import InverseMdct, Mdct

MASKING = 0.3  # share of a frame's loudness that its priority is less by
QUIET = 1e-6  # power below which a frame counts as this loud
ALL_BASE, RAMP = 0.8, 0.15  # shares not coded from which on the base is used, and over which, as it is


class WaveformLayer(nn.Module):
    """Waveform and decoded base [B, 1, F * frame_size] -> codes [B, levels, F], and base and codes -> waveform.

    Args:
        config: its settings.
        sample_rate, frame_size, codebook_size: those of the codec.

    Attributes:
        lag: frames that a decoded stream is late.

    Raises:
        ConfigError: if these do not go together.
    """

    frequency: Tensor
    taper: Tensor

    def __init__(self, config: WaveformLayerConfig, sample_rate: int, frame_size: int, codebook_size: int):
        super().__init__()
        self.config, self.frame_size = config, frame_size
        self.bits = math.log2(codebook_size) * config.efficiency
        self.hop = config.hop(frame_size)
        spacing = sample_rate / config.decimation / (2 * self.hop)  # Hz between coefficients
        self.coefficients = int(config.cutoff / spacing)
        if not 0 < self.coefficients <= 0.8 * self.hop or self.coefficients % config.segment:
            raise ConfigError(
                f"waveform: a cutoff of {config.cutoff:g} Hz makes {self.coefficients} coefficients of {self.hop}; "
                f"there must be whole segments of {config.segment}, and room for the filter above"
            )
        row = row_of(self.hop * config.hops)
        self.decimate = Decimator(config.decimation, row)
        self.mdct = Mdct(self.hop, self.coefficients)
        self.covariance = CovarianceNetwork(
            self.hop,
            self.coefficients,
            config.hops,
            config.segment,
            config.width,
            config.blocks,
            config.expansion,
            config.kernel,
        )
        self.quantizer = ShapedResidualQuantizer(
            config.hops * self.coefficients,
            config.levels,
            codebook_size,
            config.books,
            config.codebooks == "learned",
            config.seed,
        )
        self.inverse = InverseMdct(self.hop, self.coefficients)
        self.delay_base = Delay(self.hop)
        self.heard = HeardBand(config.decimation, self.hop, row) if config.after_envelope else None
        self.filter: LowBandFilter | None = None
        late = self.decimate.delay + self.hop * config.decimation * (1 + config.after_envelope)
        if config.filter is not None:
            if self.hop * config.hops % config.filter.hop:
                raise ConfigError(f"waveform: a frame is no whole number of the filter's hops of {config.filter.hop}")
            if config.after_envelope and self.hop % config.filter.hop:
                raise ConfigError(f"waveform: {self.hop} samples are no whole number of hops of {config.filter.hop}")
            self.filter = LowBandFilter(config.filter, sample_rate / config.decimation, config.cutoff)
            self.delay_change = Delay(config.filter.delay)
            # The middle of a window says whose number of levels the filter is told.
            self.delay_shares = Delay(config.filter.window // (2 * config.filter.hop) - 1)
            self.delay_more = Delay(self.hop // config.filter.hop if config.after_envelope else 0)
            late += config.filter.delay * config.decimation
        self.lag = -(-(late + Interpolator.least_delay(config.decimation)) // frame_size)
        self.interpolate = Interpolator(config.decimation, self.lag * frame_size - late, row)
        self.register_buffer("frequency", (torch.arange(self.coefficients) + 0.5) * spacing, False)
        self.register_buffer("taper", ((config.cutoff - self.frequency) / config.taper).clamp(0, 1), False)

    def transform(self, base: Tensor, state: State | None = None) -> FrameTransform:
        """The transform of each frame, from the low band of the base [B, F * hops * hop]."""
        covariance = self.covariance(base, state)
        return FrameTransform.of(covariance, self.covariance.segments, self.frequency, self.config.weighting)

    def plan(self, transform: FrameTransform | ShapedVectors, levels: int) -> BitPlan:
        """How so many levels code what comes out of a transform."""
        frequency = transform.frequency
        tilt = ((self.config.cutoff - frequency) / self.config.taper).clamp(1e-3, 1).log()
        return plan_bits(transform.log_variance, levels, self.config.schedule, frequency, tilt, self.bits)

    @torch.no_grad()
    def encode(
        self,
        x: Tensor,
        base: Tensor,
        levels: int,
        beams: int = 1,
        state: State | None = None,
        water_level: float | None = None,
    ) -> Tensor:
        """Waveform and decoded base, both [B, 1, F * frame_size] -> codes [B, levels, F].

        Args:
            water_level: a frame gets the levels whose `priorities` are above it, and zeros after them; None for all.
        """
        if x.shape[-1] == 0:
            return torch.zeros(len(x), levels, 0, dtype=torch.long, device=x.device)
        low, low_base = self.decimate(torch.cat([x, base]).float(), state).chunk(2)
        return self.encode_low(low, low_base, levels, beams, state, water_level)

    @torch.no_grad()
    def encode_low(
        self,
        low: Tensor,
        base: Tensor,
        levels: int,
        beams: int = 1,
        state: State | None = None,
        water_level: float | None = None,
    ) -> Tensor:
        """Low bands [B, F * hops * hop] -> codes [B, levels, F]; zeros where levels are too few to be used."""
        if self.config.by_frame and levels < min(self.config.min_levels, self.config.levels):
            frames = low.shape[1] // (self.hop * self.config.hops)
            return torch.zeros(len(low), levels, frames, dtype=torch.long, device=low.device)
        transform = self.transform(base, state)
        plan = self.plan(transform, levels)
        counts = None
        if water_level is not None:
            counts = self.chosen_counts(self.priorities(transform, plan), water_level)
        target = transform.forward(self.mdct(low, state))
        codes = self.quantizer.encode(target, plan.shapes(), beams, plan.weights, counts)
        return codes.view(len(low), -1, levels).transpose(1, 2)

    def priorities(self, transform: FrameTransform, plan: BitPlan) -> Tensor:
        """How much each level of N frames matters: [levels, N], natural logarithms.

        The greatest weighted variance that is left before it, less a part of the frame's loudness, which masks.
        """
        left = torch.stack([(rest * w).amax(1) for rest, w in zip(plan.left, plan.weights, strict=False)])
        return left.log() - MASKING * (transform.variance.sum((1, 2)) + QUIET).log()

    def chosen_counts(self, priorities: Tensor, water_level: float) -> Tensor:
        """How many levels each frame gets whose `priorities` are [levels, ...]: those above a level."""
        counts = (priorities > water_level).sum(0)
        return counts * (counts >= min(self.config.min_levels, self.config.levels))

    @torch.no_grad()
    def vectors(self, x: Tensor, base: Tensor, state: State) -> tuple[ShapedVectors, Tensor]:
        """Waveform and decoded base, as of `encode` -> what is coded, and the `priorities` of all levels [B, L, F]."""
        low, low_base = self.decimate(torch.cat([x, base]).float(), state).chunk(2)
        transform = self.transform(low_base, state)
        priorities = self.priorities(transform, self.plan(transform, self.config.levels))
        target = transform.forward(self.mdct(low, state))
        vectors = ShapedVectors(target, transform.log_variance, transform.frequency)
        return vectors, priorities.view(self.config.levels, len(base), -1).transpose(0, 1)

    def paths(self, vectors: ShapedVectors, counts: Tensor, beams: int) -> Tensor:
        """Codes of N frames with each number of levels up to `counts` [N]: [N, L, L], with c levels in row c - 1."""
        plan = self.plan(vectors, self.config.levels)
        return self.quantizer.paths(vectors.target, plan.shapes(), beams, plan.weights, counts)

    @torch.no_grad()
    def decode(self, codes: Tensor, base: Tensor, state: State, heard: Tensor | None = None, late: int = 0) -> Tensor:
        """Codes [B, L, F] of the first L levels and base [B, 1, F * frame_size] -> waveform, `lag` frames late.

        Of the first `lag` frames of a stream there is nothing yet: what comes out is [B, 1, n * frame_size] of the n
        frames that are now complete. `finish` gives the rest.

        Args:
            heard: what the difference is added to, in place of the base: a stream of the same, late by so many samples
                (those of its beginning are not there).
            late: those samples.
        """
        if base.shape[-1] == 0:
            return base
        low = self.decimate(base.float(), state)
        codes, counts = self.used(codes)
        waiting, heard = state.get(self), base if heard is None else heard
        if self.heard is None:
            difference = self._difference(codes, low, state, counts)
        else:
            coded, gain = self._parts(codes, low, state, counts)
            if waiting is None:
                heard = F.pad(heard, (late, 0))
            low, coded, gain = self.heard(heard, coded, gain, late, state)
            difference = self._put_together(coded, gain, self.mdct(low, state))
        correction = self._correction(difference, low, counts, state)
        if waiting is not None:
            heard = torch.cat([waiting, heard], -1)
        elif self.heard is not None:
            heard = heard[..., late:]
        ready = max(0, heard.shape[-1] + late - self.lag * self.frame_size)
        state[self] = heard[..., ready:].clone()
        return heard[..., :ready] + correction[..., correction.shape[-1] - ready :].to(heard.dtype)

    def level_counts(self, codes: Tensor) -> Tensor:
        """Codes [B, L, F] -> levels that each frame has before the zeros at its end, [B, F]; 0 if they are too few."""
        if not codes.shape[1]:
            return codes.new_zeros(len(codes), codes.shape[2])
        number = torch.arange(1, codes.shape[1] + 1, device=codes.device)
        counts = ((codes != 0) * number[:, None]).amax(1)
        return counts * (counts >= min(self.config.min_levels, self.config.levels))

    def used(self, codes: Tensor) -> tuple[Tensor, int | Tensor]:
        """Codes [B, L, F] as far as they count, and how many levels these are, of each frame if the layer codes so."""
        if not self.config.by_frame:
            return codes, codes.shape[1]
        counts = self.level_counts(codes)
        return codes * (counts > 0).unsqueeze(1), counts

    def low_bands(self, codes: Tensor, low: Tensor, state: State, heard: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Low bands [B, n] before any filter, a hop late: as decoded from codes [B, L, F], and of the base.

        Args:
            heard: low band of what the envelope layer made of the base; None for that of the base, `low`.
        """
        codes, counts = self.used(codes)
        coded, gain = self._parts(codes, low, state, counts)
        heard = low if heard is None else heard
        base = self.delay_base(heard, state)
        return base + self.inverse(self._put_together(coded, gain, self.mdct(heard, state)), state), base

    def shares(self, levels: int | Tensor, state: State | None = None) -> float | Tensor:
        """What the filter is told: the share of all levels that is used, of [B, F] counts [B, windows]."""
        if not isinstance(levels, Tensor) or self.filter is None:
            return levels / self.config.levels if isinstance(levels, int) else levels
        windows = self.hop * self.config.hops // self.filter.config.hop
        shares = (levels / self.config.levels).repeat_interleave(windows, 1)
        return self.delay_shares(shares, state)

    def _correction(self, difference: Tensor, low: Tensor, levels: int | Tensor, state: State) -> Tensor:
        """What to add to the base, at the full rate, from what to add to its coefficients and from its low band."""
        change = self.inverse(difference, state)
        if self.filter is not None:
            base = self.delay_base(low, state)
            shares = self.shares(levels, state)
            shares = self.delay_more(shares, state) if isinstance(shares, Tensor) else shares
            more = self.filter(base + change, base, shares, state)
            change = self.delay_change(change, state) + more
        return self.interpolate(change, state)

    def _difference(self, codes: Tensor, low: Tensor, state: State, counts: int | Tensor) -> Tensor:
        """Coefficients in place of the base's, less those: [B, F * hops, K]."""
        coded, gain = self._parts(codes, low, state, counts)
        return self._put_together(coded, gain, self.mdct(low, state))

    def _parts(self, codes: Tensor, low: Tensor, state: State, counts: int | Tensor) -> tuple[Tensor, Tensor]:
        """What is coded, and by what the base's coefficients are multiplied beside it: both [B, F * hops, K]."""
        transform = self.transform(low, state)
        shape = len(low), -1, self.coefficients
        if not codes.shape[1]:
            coded = low.new_zeros(len(low), low.shape[1] // self.hop, self.coefficients)
            return coded, torch.ones_like(coded)
        plan = self.plan(transform, codes.shape[1])
        coded = self.quantizer.decode(codes.transpose(1, 2).flatten(0, 1), plan.shapes())
        left = plan.left[-1]
        if isinstance(counts, Tensor):
            places = counts.reshape(1, -1, 1).expand(1, -1, left.shape[-1])
            left = plan.left.gather(0, places)[0]
        return transform.inverse(coded).view(shape), self.filling(transform.uncoded(left)).view(shape)

    def _put_together(self, coded: Tensor, gain: Tensor, own: Tensor) -> Tensor:
        """The difference, of `_parts` and of coefficients of the base or of what the envelope layer made of it."""
        return (coded + gain * own - own) * self.taper

    def filling(self, uncoded: Tensor) -> Tensor:
        """Gain on the base's coefficients by the share of their variance that is not coded.

        What was coded in part lacks energy. The base gives some of it, and everything where hardly anything was coded.
        """
        fill = self.config.fill
        return (fill + (1 - fill) * ((uncoded - ALL_BASE) / RAMP).clamp(0, 1)) * uncoded.sqrt()

    @torch.no_grad()
    def finish(self, state: State, heard: Tensor | None = None) -> Tensor | None:
        """The last frames of a stream, [B, 1, up to lag * frame_size]; None of one that has not begun.

        The stream is at its end afterwards; its state is of no further use.

        Args:
            heard: the rest of a stream that `decode` was given in place of the base.
        """
        waiting = state.pop(self, None)
        if waiting is None:
            return None
        if heard is not None:
            waiting = torch.cat([waiting, heard], -1)
        hops = self.lag * self.config.hops
        difference = torch.zeros(len(waiting), hops, self.coefficients, device=waiting.device)
        low = torch.zeros(len(waiting), hops * self.hop, device=waiting.device)
        counts: int | Tensor = 0
        if self.heard is not None:
            heard = waiting[..., :0] if heard is None else heard
            late = heard.shape[-1]
            rest = F.pad(heard, (0, self.lag * self.frame_size - late))
            low, coded, gain = self.heard(rest, difference, torch.ones_like(difference), late, state)
            difference = self._put_together(coded, gain, self.mdct(low, state))
            if self.config.by_frame:
                counts = torch.zeros(len(waiting), self.lag, dtype=torch.long, device=waiting.device)
        correction = self._correction(difference, low, counts, state)
        return waiting + correction[..., correction.shape[-1] - waiting.shape[-1] :].to(waiting.dtype)


class HeardBand(Streaming):
    """The low band of what the envelope layer made of a base, and what goes with it, a hop later.

    That layer is late by less than a hop of this one, so that the last window of each piece is not there yet.

    Args:
        decimation: samples of the waveform to one of the low band.
        hop: samples of the low band.
        row: see `Decimator`.
    """

    def __init__(self, decimation: int, hop: int, row: int):
        super().__init__()
        self.hop = hop
        self.decimate = Decimator(decimation, row)
        self.parts = nn.Identity()  # whose memory the last hop of what is coded is

    def forward(
        self, heard: Tensor, coded: Tensor, gain: Tensor, late: int, state: State
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Waveform [B, 1, F * frame_size], late by some samples, and [B, F * hops, K] twice -> all three a hop later.

        Raises:
            ConfigError: if the waveform is late by more than a hop, or by no whole number of samples of the low band.
        """
        shift, odd = divmod(self.hop * self.decimate.factor - late, self.decimate.factor)
        if shift < 0 or odd:
            raise ConfigError(
                f"waveform: an envelope layer that is {late} samples late does not fit hops of {self.hop}"
            )
        low = self.decimate(heard.float(), state)
        low = with_past(self, low, shift, 1, state)[:, : low.shape[1]]
        # Gains less 1, as what a stream begins with is zeros.
        parts = with_past(self.parts, torch.cat([coded, gain - 1], -1), 1, 1, state)[:, :-1]
        coded, gain = parts.chunk(2, -1)
        return low, coded, gain + 1

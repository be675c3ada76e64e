"""The envelope layer: codes of how loud the upper bands are every 10 ms, on top of a decoded base.

Words are lost where consonants are smeared: a base of a few numbers every 80 ms draws the upper bands in about the
right colour, but not at the right moment. The layer sends what is missing as gains of bands and moments:

    original -> energies -+-> difference -> transform -> less mean -> search -> codes
    base     -> energies -+-> network: mean and variances ----^---------^         |
                                                                                  v
    decoded  =  base x gains of its short spectra  <-  transform back  <-  sum of shaped codes, and mean

Both sides know the base, so nothing but codes is sent. The transform is fixed (principal axes of such differences); a
network says from the base what to expect of each of its numbers, and the bits go where it expects most (`bit_plan.py`).
Levels are embedded, and a code of 0 adds nothing to what is expected.

Time. Windows end with their hop, so that a frame's codes need nothing after the frame. The decoded waveform is a hop
late.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..errors import ConfigError
from ..nn.convnext import ConvNeXtBlock
from ..nn.linear import RowStableLinear, stable_linear
from ..nn.spectra import fourier_matrix
from ..nn.streaming import State, Streaming, run, with_past
from ..quantization.shaped_rvq import ShapedResidualQuantizer
from .bit_plan import BitPlan, ShapedVectors, plan_bits
from .layer_configs import BandStep, EnvelopeLayerConfig

FLOOR = 1e-6  # of energies: a little above the rounding noise of 16 bits
FURTHER = 3.0  # that each further level has to be louder
MAX_GAIN = 3.5  # natural logarithm of amplitudes, 30 dB
# Codes of a frame are few, and where sound begins or breaks off they can make its other moments too loud. They are left
# out if a loud band gets so much (6 dB) louder than it ever is in that frame.
TOO_LOUD, LOUD = 1.4, 1.4  # natural logarithms of energy; bands count that are so near the loudest one
WIDTHS = (0.2, -0.5)  # log energies are scaled and shifted to about unit variance for speech


@dataclass
class EnvelopeVectors(ShapedVectors):
    """What an envelope layer codes of N frames.

    Attributes:
        mean: what is expected, [N, D].
        base: log energies of the coded bands of the base, [N, hops, coded].
        loudest: those of the original, the most of each frame, [N, coded].
    """

    mean: Tensor
    base: Tensor
    loudest: Tensor


class EnvelopeLayer(Streaming):
    """Waveform and decoded base [B, 1, F * frame_size] -> codes [B, levels, F], and base and codes -> waveform.

    Args:
        config: its settings.
        sample_rate, frame_size, codebook_size: those of the codec.

    Attributes:
        late: samples by which what is decoded is late.

    Raises:
        ConfigError: if these do not go together.
    """

    window: Tensor
    analysis: Tensor
    synthesis: Tensor
    bands: Tensor
    axes: Tensor
    centre: Tensor
    log_variance: Tensor
    zero: Tensor

    def __init__(self, config: EnvelopeLayerConfig, sample_rate: int, frame_size: int, codebook_size: int):
        super().__init__()
        if frame_size % config.hop or config.coded[-1] >= sample_rate / 2:
            raise ConfigError(
                f"envelope: a frame of {frame_size} samples is no whole number of hops of {config.hop}, or an edge is "
                f"above {sample_rate / 2:g} Hz"
            )
        self.config, self.hop, self.late = config, config.hop, config.hop
        self.hops = frame_size // config.hop
        self.bits = math.log2(codebook_size) * config.efficiency
        size = 2 * config.hop
        window = torch.hann_window(size)
        matrix = fourier_matrix(size)
        self.register_buffer("analysis", matrix * window, False)
        self.register_buffer("window", matrix * window.sqrt(), False)
        real, imag = matrix.chunk(2)
        twice = torch.full((len(real), 1), 2.0)  # the bins that stand for their mirror images, too
        twice[0] = twice[-1] = 1.0
        back = torch.cat([real * twice, imag * twice]) / size * window.sqrt()
        self.register_buffer("synthesis", back.t().contiguous(), False)
        frequency = torch.arange(len(real)) * (sample_rate / size)
        edges = torch.tensor([*config.heard, *config.coded, math.inf])
        inside = (frequency >= edges[:-1, None]) & (frequency < edges[1:, None])
        if not bool(inside.any(1).all()):
            raise ConfigError(f"envelope: a band is narrower than {sample_rate / size:g} Hz, so that nothing is in it")
        self.register_buffer("bands", inside.float(), False)
        self.coded = len(config.coded)
        self.dim = self.hops * self.coded
        self.past = nn.Identity()  # whose memory the last hop of the base is
        self.tail = nn.Identity()  # whose memory the end of the last window is
        # The principal axes of what is coded, its mean, and variances along the axes: fitted before the network.
        self.register_buffer("axes", torch.eye(self.dim))
        self.register_buffer("centre", torch.zeros(self.dim))
        self.register_buffer("log_variance", torch.zeros(self.dim))
        self.register_buffer("zero", torch.zeros(self.dim), False)
        self.input_proj = RowStableLinear(self.hops * len(inside), config.width)
        self.blocks = nn.Sequential(
            *[ConvNeXtBlock(config.width, config.expansion, config.kernel) for _ in range(config.blocks)]
        )
        self.norm = nn.LayerNorm(config.width)
        self.output_proj = RowStableLinear(config.width, 2 * self.dim)
        nn.init.zeros_(self.output_proj.weight)
        nn.init.zeros_(self.output_proj.bias)
        self.quantizer = ShapedResidualQuantizer(self.dim, config.levels, codebook_size, seed=config.seed)

    def log_energies(self, x: Tensor, state: State | None = None) -> Tensor:
        """Waveforms [B, 1, n * hop] -> natural logarithms of the energies of all bands, [B, n, bands]."""
        windows = with_past(self, x[:, 0], self.hop, 1, state).unfold(1, 2 * self.hop, self.hop)
        real, imag = stable_linear(windows, self.analysis, None).chunk(2, -1)
        return (stable_linear(real.square() + imag.square(), self.bands, None) + FLOOR).log()

    def differences(self, original: Tensor, base: Tensor) -> Tensor:
        """Log energies [B, F * hops, bands] of both -> gains along the axes, [B * F, D]."""
        gains = (0.5 * (original - base)[..., -self.coded :]).clamp(-MAX_GAIN, MAX_GAIN)
        return stable_linear(gains.reshape(-1, self.dim) - self.centre, self.axes.t().contiguous(), None)

    def expect(self, base: Tensor, state: State | None = None) -> tuple[Tensor, Tensor]:
        """Log energies of the base [B, F * hops, bands] -> mean and log variances along the axes, [B * F, D]."""
        scale, shift = WIDTHS
        features = (base * scale + shift).reshape(len(base), -1, self.hops * base.shape[-1])
        hidden = run(self.blocks, self.input_proj(features.to(self.input_proj.weight.dtype)), state)
        mean, log_variance = self.output_proj(self.norm(hidden)).float().reshape(-1, 2 * self.dim).chunk(2, -1)
        return mean, log_variance + self.log_variance

    def plan(self, log_variance: Tensor, levels: int) -> BitPlan:
        """How so many levels code what has these variances."""
        step = BandStep(max(levels, 1), 1.0, 0.0)
        return plan_bits(log_variance, levels, (step,), self.zero, self.zero, self.bits)

    @torch.no_grad()
    def encode(
        self,
        x: Tensor,
        base: Tensor,
        levels: int,
        beams: int = 1,
        state: State | None = None,
        threshold: float | None = None,
    ) -> Tensor:
        """Waveform and decoded base, both [B, 1, F * frame_size] -> codes [B, levels, F].

        Args:
            threshold: a frame gets the levels whose `priorities` are above it, and zeros after them; None for all.
        """
        if x.shape[-1] == 0:
            return torch.zeros(len(x), levels, 0, dtype=torch.long, device=x.device)
        original, own = self.log_energies(torch.cat([x, base]).float(), state).chunk(2)
        vectors = self._vectors(original, own, state)
        counts = None
        if threshold is not None:
            counts = (self.priorities(own)[:levels] > threshold).sum(0)
        shapes = self.plan(vectors.log_variance, levels).shapes()
        codes = self.quantizer.encode(vectors.target, shapes, beams, None, counts)
        codes = codes * ~self._too_loud(vectors, codes, shapes).unsqueeze(1)
        return codes.view(len(x), -1, levels).transpose(1, 2)

    def _vectors(self, original: Tensor, own: Tensor, state: State | None) -> EnvelopeVectors:
        """What is coded, from log energies [B, F * hops, bands] of original and base."""
        mean, log_variance = self.expect(own, state)
        original, own = original[..., -self.coded :], own[..., -self.coded :]
        target = self.differences(original, own) - mean
        frames = original.reshape(len(target), self.hops, self.coded)
        return EnvelopeVectors(target, log_variance, self.zero, mean, own.reshape(frames.shape), frames.amax(1))

    def _too_loud(self, vectors: EnvelopeVectors, codes: Tensor, shapes: Tensor) -> Tensor:
        """Frames that codes [N, L] would make much louder than they are, and than without codes, [N]."""
        with_codes, without = (
            self._excess(vectors, vectors.mean + more) for more in (self.quantizer.decode(codes, shapes), 0.0)
        )
        return (with_codes > TOO_LOUD) & (with_codes > without)

    def _excess(self, vectors: EnvelopeVectors, coded: Tensor) -> Tensor:
        """By how much a loud band would be louder than it ever is in its frame, the most of all, [N]."""
        decoded = vectors.base + 2 * self.gains(coded).view(vectors.base.shape)
        loud = decoded > decoded.amax((1, 2), keepdim=True) - LOUD
        return (decoded - vectors.loudest.unsqueeze(1)).masked_fill(~loud, -math.inf).amax((1, 2))

    def gains(self, coded: Tensor) -> Tensor:
        """Numbers along the axes [N, D] -> natural logarithms of gains of moments and bands, [N, hops * coded]."""
        return stable_linear(coded, self.axes, None) + self.centre

    def priorities(self, base: Tensor) -> Tensor:
        """How much each level of N frames matters, [levels, N], from log energies of the base [B, F * hops, bands].

        Weak consonants matter as loud vowels do, silence does not: loudness in natural logarithms of energy, less some
        for each level before.
        """
        loudness = base.exp().sum(-1).view(-1, self.hops).mean(1).log()
        return loudness - FURTHER * torch.arange(self.config.levels, device=base.device)[:, None]

    @torch.no_grad()
    def vectors(self, x: Tensor, base: Tensor, state: State) -> tuple[EnvelopeVectors, Tensor]:
        """Waveform and decoded base, as of `encode` -> what is coded, and the `priorities` of all levels [B, E, F]."""
        original, own = self.log_energies(torch.cat([x, base]).float(), state).chunk(2)
        priorities = self.priorities(own).view(self.config.levels, len(base), -1).transpose(0, 1)
        return self._vectors(original, own, state), priorities

    def paths(self, vectors: EnvelopeVectors, counts: Tensor, beams: int) -> Tensor:
        """Codes of N frames with each number of levels up to `counts` [N]: [N, E, E], with c levels in row c - 1."""
        shapes = self.plan(vectors.log_variance, self.config.levels).shapes()
        paths = self.quantizer.paths(vectors.target, shapes, beams, None, counts)
        wrong = [self._too_loud(vectors, paths[:, k], shapes) for k in range(paths.shape[1])]
        return paths * ~torch.stack(wrong, 1).unsqueeze(-1)

    @torch.no_grad()
    def decode(self, codes: Tensor, base: Tensor, state: State) -> Tensor:
        """Codes [B, L, F] of the first L levels and base [B, 1, F * frame_size] -> waveform, `late` samples late."""
        own = self.log_energies(base.float(), state)
        mean, log_variance = self.expect(own, state)
        if codes.shape[1]:
            shapes = self.plan(log_variance, codes.shape[1]).shapes()
            mean = mean + self.quantizer.decode(codes.transpose(1, 2).flatten(0, 1), shapes)
        return self._changed(base, self.gains(mean).view(len(base), -1, self.coded), state)

    @torch.no_grad()
    def finish(self, state: State) -> Tensor:
        """The last `late` samples of a stream that `decode` began."""
        known: Tensor = state[self.past]
        silence = torch.zeros(len(known), 1, self.hop, device=known.device)
        return self._changed(silence, silence.new_zeros(len(known), 1, self.coded), state)

    def _changed(self, base: Tensor, gains: Tensor, state: State) -> Tensor:
        """Base [B, 1, n * hop] with gains [B, n, coded], natural logarithms: the same, a hop late."""
        windows = with_past(self.past, base[:, 0].float(), self.hop, 1, state).unfold(1, 2 * self.hop, self.hop)
        factors = stable_linear(
            gains.clamp(-MAX_GAIN, MAX_GAIN), self.bands[-self.coded :].t().contiguous(), None
        ).exp()
        spectrum = stable_linear(windows, self.window, None) * torch.cat([factors, factors], -1)
        frames = stable_linear(spectrum, self.synthesis, None)
        ends = with_past(self.tail, frames[..., self.hop :], 1, 1, state)[:, :-1]
        return (frames[..., : self.hop] + ends).reshape(len(base), 1, -1)

"""A spectral encoder and decoder: causal ConvNeXt networks between short-time spectra and frames.

    encoder  [B, 1, T] -> log spectra, 50 Hz -> blocks -> 12.5 Hz -> blocks -> [B, F, D]
    decoder  [B, F, D] -> blocks, 12.5 Hz -> blocks, 50 Hz -> blocks, 100 Hz -> spectrum -> overlap-add

The network never runs faster than 100 Hz, which makes it ten times cheaper than convolutions over
samples, and the inverse transform knows about phase from the start (Vocos, arXiv 2306.00814).

The windows of analysis end where their hop ends and those of synthesis begin where their hop
begins, so that a frame of 1920 samples needs nothing that comes later and its output needs nothing
but itself and the past:

    analysis   |----window----|          synthesis          |----window----|
               past  | hop k  |                             | hop k | fades out into the next hops
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..nn.convnext import ConvNeXtBlock, Downsample, Upsample
from ..nn.linear import RowStableLinear
from ..nn.spectra import fourier_matrix
from ..nn.streaming import State, Streaming, run, with_past
from .network_configs import FINE_SPECTRA, SpectralDecoderConfig, SpectralEncoderConfig
from .source import HarmonicNoiseSource


class Spectrum(Streaming):
    """Log magnitudes of overlapping windows: [B, 1, n * hop] -> [B, n, window / 2 + 1].

    Window k ends with the last sample of hop k. The logarithm is scaled to about unit variance for
    speech, with a floor 100 dB below full scale.
    """

    window: Tensor
    matrix: Tensor | None

    def __init__(self, hop: int, window: int):
        super().__init__()
        self.hop = hop
        self.register_buffer("window", torch.hann_window(window) * (2 / window) ** 0.5, False)
        self.register_buffer("matrix", None, False)
        self.bins = window // 2 + 1

    def as_matrix(self) -> None:
        """From now on transform by a matrix, for graphs that have no Fourier transform."""
        self.matrix = fourier_matrix(len(self.window)).t().contiguous()

    def forward(self, x: Tensor, state: State | None = None) -> Tensor:
        size = len(self.window)
        x = with_past(self, x[:, 0], size - self.hop, 1, state)
        if self.matrix is None:
            spectrum = torch.fft.rfft(x.unfold(1, size, self.hop) * self.window)
            real, imag = spectrum.real, spectrum.imag
        else:
            hops = x.unflatten(1, (-1, self.hop))
            over = size // self.hop
            frames = torch.cat([hops[:, j : hops.shape[1] - over + 1 + j] for j in range(over)], -1) * self.window
            real, imag = (frames @ self.matrix).chunk(2, -1)
        magnitude = (real.square() + imag.square() + 1e-10).sqrt()
        return magnitude.log() * 0.4 + 1.8


def _cepstrum(count: int, bins: int) -> torch.Tensor:
    """The first cosines over the frequency axis, [count, bins], scaled to about unit variance for speech.

    A log spectrum seen through them is its cepstrum: the filter in the first numbers, the pitch as a peak
    among the last. From there training finds pitch several times sooner than from random weights.
    """
    k = torch.arange(count)[:, None]
    cosines = torch.cos(math.pi * k * (torch.arange(bins) + 0.5) / bins) * (2 / bins) ** 0.5
    return cosines * (0.05 * (1 + k)).clamp_max(1.5)


class InverseSpectrum(Streaming):
    """Spectra -> waveform by causal overlap-add.

    Complex [B, n, window / 2 + 1] -> [B, 1, n * hop]. Window k begins with the first sample of hop k; what
    reaches past the end of a chunk is kept for the next one. The spectra are those of Hann windows, scaled
    as `Spectrum` scales them.
    """

    window: Tensor
    matrix: Tensor | None

    def __init__(self, hop: int, window: int):
        super().__init__()
        self.hop = hop
        self.register_buffer("matrix", None, False)
        self.overlap = window // hop
        hann = torch.hann_window(window)
        # Analysis and synthesis windows together, squared Hann windows, sum to one from three hops a window on.
        gain = hann.square().reshape(-1, hop).sum(0).mean()
        self.register_buffer("window", hann / gain * (window / 2) ** 0.5, False)

    def as_matrix(self) -> None:
        """From now on transform by a matrix, for graphs that have no Fourier transform."""
        size = len(self.window)
        twice = torch.full((size // 2 + 1,), 2.0)  # the bins that stand for their mirror images, too
        twice[0] = twice[-1] = 1.0
        self.matrix = fourier_matrix(size) * twice.repeat(2)[:, None] / size

    def forward(self, spectrum: Tensor, state: State | None = None) -> Tensor:
        return self.overlap_add(torch.fft.irfft(spectrum, n=len(self.window)), state)

    def from_parts(self, real: Tensor, imag: Tensor, state: State | None = None) -> Tensor:
        """`forward` of the real and imaginary part."""
        if self.matrix is None:
            return self(torch.complex(real, imag), state)
        return self.overlap_add(torch.cat([real, imag], -1) @ self.matrix, state)

    def overlap_add(self, frames: Tensor, state: State | None) -> Tensor:
        """Windows [B, n, window], not yet weighted -> [B, 1, n * hop]."""
        batch, steps, _ = frames.shape
        frames = frames * self.window
        # Each frame is `overlap` pieces of one hop; piece j of frame k belongs to hop k + j.
        pieces = frames.reshape(batch, steps, self.overlap, self.hop)
        tail = self.overlap - 1
        past = state.get(self) if state is not None else None
        if past is None:
            past = frames.new_zeros(batch, tail, self.hop)
        total = F.pad(past, (0, 0, 0, steps))
        # Added in order of time, so that the sum is the same however the stream is cut.
        for j in reversed(range(self.overlap)):
            total = total + F.pad(pieces[:, :, j], (0, 0, j, tail - j))
        if state is not None:
            state[self] = total[:, steps:].clone()
        return total[:, :steps].reshape(batch, 1, steps * self.hop)


class SpectralEncoder(Streaming):
    """Waveform [B, 1, F * frame_size] -> latent [B, F, dim]."""

    def __init__(self, dim: int, config: SpectralEncoderConfig):
        super().__init__()
        widths = config.channels
        self.spectrum = Spectrum(config.hop, config.window)
        self.input_proj = RowStableLinear(self.spectrum.bins, widths[0])
        self.fine_spectrum = Spectrum(config.hop // FINE_SPECTRA, config.fine) if config.fine else None
        if self.fine_spectrum is not None:
            # Begins at zero, so that a model trained without it can go on with it.
            self.fine_proj = RowStableLinear(self.fine_spectrum.bins * FINE_SPECTRA, widths[0], bias=False)
            nn.init.zeros_(self.fine_proj.weight)
        self.stages = nn.ModuleList()
        for i, (width, blocks) in enumerate(zip(widths, config.blocks)):
            layers: list[nn.Module] = [Downsample(widths[i - 1], width, config.strides[i - 1])] if i else []
            layers += [ConvNeXtBlock(width, config.expansion, config.kernel) for _ in range(blocks)]
            self.stages.append(nn.Sequential(*layers))
        self.norm = nn.LayerNorm(widths[-1], eps=1e-6)
        self.output_proj = RowStableLinear(widths[-1], dim)
        with torch.no_grad():
            self.input_proj.weight.copy_(_cepstrum(widths[0], self.spectrum.bins))

    def forward(self, x: Tensor, state: State | None = None) -> Tensor:
        y = self.input_proj(self.spectrum(x, state))
        if self.fine_spectrum is not None:
            fine = self.fine_spectrum(x, state)
            y = y + self.fine_proj(fine.reshape(*y.shape[:2], -1))
        y = run(self.stages, y, state)
        return self.output_proj(self.norm(y))


class SpectralDecoder(Streaming):
    """Latent [B, F, dim] -> waveform [B, 1, F * frame_size].

    The last features give a freely drawn spectrum, log magnitude and phase of every bin, and, if the
    config says so, one of a harmonic and a noise source; their sum is transformed back.
    """

    def __init__(self, dim: int, config: SpectralDecoderConfig, sample_rate: int, levels: int):
        super().__init__()
        widths = config.channels
        self.input_proj = RowStableLinear(dim, widths[0])
        self.level_embedding = nn.Embedding(levels + 1, widths[0]) if config.level_conditioned else None
        if self.level_embedding is not None:
            nn.init.zeros_(self.level_embedding.weight)
        self.stages = nn.ModuleList()
        for i, (width, blocks) in enumerate(zip(widths, config.blocks)):
            layers: list[nn.Module] = [Upsample(widths[i - 1], width, config.strides[i - 1])] if i else []
            layers += [ConvNeXtBlock(width, config.expansion, config.kernel) for _ in range(blocks)]
            self.stages.append(nn.Sequential(*layers))
        self.norm = nn.LayerNorm(widths[-1], eps=1e-6)
        self.output_proj = RowStableLinear(widths[-1], config.window + 2)
        self.source = HarmonicNoiseSource(widths[-1], config.hop, config.window, sample_rate) if config.source else None
        self.synthesis = InverseSpectrum(config.hop, config.window)
        with torch.no_grad():  # start quiet: at the level of soft speech, or below that of the source
            self.output_proj.bias[: config.window // 2 + 1] = -7.0 if config.source else -5.0

    def forward(self, x: Tensor, state: State | None = None, levels: Tensor | int = 0) -> Tensor:
        return self.with_pitch(x, state, None, levels)[0]

    def with_pitch(
        self, x: Tensor, state: State | None = None, pitch: Tensor | None = None, levels: Tensor | int = 0
    ) -> tuple[Tensor, Tensor | None]:
        """As `forward`, and what the source thinks of the pitch.

        Args:
            x: latent.
            state: of the stream.
            pitch: Hz of each window [B, n] where it is known (training), 0 elsewhere.
            levels: that the latents were made of, one number or [B].

        Returns:
            the waveform, and logits of pitch classes [B, n, PITCH_BINS] (None without a source).
        """
        x = self.input_proj(x)
        if self.level_embedding is not None:
            embedding = self.level_embedding.weight[levels]
            x = x + (embedding.unsqueeze(1) if embedding.dim() == 2 else embedding)
        x = run(self.stages, x, state)
        # Phases of many turns do not survive bfloat16.
        with torch.autocast(x.device.type, enabled=False):
            x = self.norm(x.float())
            log_magnitude, phase = self.output_proj(x).chunk(2, dim=-1)
            magnitude = log_magnitude.clamp(-16.0, 4.0).exp()
            real, imag, logits = magnitude * phase.cos(), magnitude * phase.sin(), None
            if self.source is not None:
                voiced_real, voiced_imag, logits = self.source(x, state, pitch)
                real, imag = real + voiced_real, imag + voiced_imag
            return self.synthesis.from_parts(real, imag, state), logits

"""A source of harmonics and noise for the spectral decoder, built in the spectral domain.

A network that has to draw every harmonic of a voice by itself, bin by bin and with phases that agree
from window to window, needs very long training or an adversary; until then voices hum or whisper. A
voice is simpler than that: a pulse train of some pitch and a noise, each through a smooth filter. The
network here only says pitch and filters, and the harmonics come out straight and in phase (the idea of
source-filter vocoders and of DDSP, Engel et al. 2020, arXiv 2001.04643; here without ever leaving the
short-time spectrum, which costs next to nothing).

    features [B, n, C] -+-> pitch ----> harmonic spectrum -> x filter -+
                        +-> filters -> noise spectrum ----> x filter -+-> + -> [B, n, bins] complex
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from ..nn.linear import RowStableLinear, stable_linear
from ..nn.streaming import State, Streaming
from .pitch_classes import NOISE_FRAMES, PITCH_BINS, PITCH_RANGE, TURN


def pitch_bins() -> Tensor:
    """Natural logarithms of the pitches of the classes, [PITCH_BINS]."""
    return torch.linspace(math.log(PITCH_RANGE[0]), math.log(PITCH_RANGE[1]), PITCH_BINS)


class HarmonicNoiseSource(Streaming):
    """Features of each window -> complex spectrum of a harmonic and a noise part.

    Args:
        channels: of the features.
        hop, window: of the synthesis, in samples.
        sample_rate: in Hz.
        bands: points on the frequency axis between which the filters are drawn.
    """

    noise_real: Tensor
    noise_imag: Tensor
    curve: Tensor
    signs: Tensor
    log_pitch: Tensor

    def __init__(self, channels: int, hop: int, window: int, sample_rate: int, bands: int = 64):
        super().__init__()
        self.hop, self.window, self.sample_rate, self.bands = hop, window, sample_rate, bands
        self.head = RowStableLinear(channels, 3 * bands + PITCH_BINS)
        with torch.no_grad():
            self.head.weight.mul_(0.5)
            self.head.bias[: 2 * bands] = -4.0
        bins = window // 2 + 1
        self.register_buffer("curve", _hat_functions(bands, bins, sample_rate), False)
        self.register_buffer("signs", 1.0 - 2.0 * (torch.arange(bins) % 2), False)
        self.register_buffer("log_pitch", pitch_bins(), False)
        noise = _noise_spectra(hop, window)
        self.register_buffer("noise_real", noise.real.contiguous(), False)
        self.register_buffer("noise_imag", noise.imag.contiguous(), False)

    def forward(
        self, x: Tensor, state: State | None = None, pitch: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Make the spectra of n windows.

        Args:
            x: features [B, n, channels], fp32.
            state: of the stream: phase of the pulse train, and place in the noise.
            pitch: Hz [B, n]; used instead of the predicted one where it is not 0 (training).

        Returns:
            real and imaginary part [B, n, bins], and logits of the pitch classes [B, n, PITCH_BINS].
        """
        harmonic, breath, turn, logits = self.head(x).split([self.bands, self.bands, self.bands, PITCH_BINS], -1)
        predicted = self._pitch(logits.detach())
        used = predicted if pitch is None else torch.where(pitch > 0, pitch, predicted)
        phase, frame = self._advance(used, state)
        # A filter's logarithm is drawn between its points; one product serves all three curves.
        points = torch.stack([harmonic, breath, turn], 2)
        drawn = stable_linear(points, self.curve, None, exact=not self.training)
        gain, loudness = drawn[:, :, 0].clamp(-16, 4).exp(), drawn[:, :, 1].clamp(-16, 4).exp()
        lobe, angle = self._harmonics(used, phase)
        lobe, angle = lobe * gain, angle + drawn[:, :, 2]
        real = torch.addcmul(lobe * angle.cos(), self.noise_real[frame], loudness)
        imag = torch.addcmul(lobe * angle.sin(), self.noise_imag[frame], loudness)
        return real, imag, logits

    @staticmethod
    def start(steps: int, device: torch.device) -> tuple[Tensor, Tensor]:
        """The memory of a stream that begins after so many windows: its place in the noise, and no phase."""
        place = torch.full((1, 1), steps % NOISE_FRAMES, dtype=torch.long, device=device)
        return torch.zeros_like(place), place

    def _pitch(self, logits: Tensor) -> Tensor:
        """Hz [B, n]: the mean of the likeliest class and its three neighbours on either side."""
        best = logits.argmax(-1, keepdim=True)
        around = (best + torch.arange(-3, 4, device=logits.device)).clamp(0, PITCH_BINS - 1)
        weight = logits.gather(-1, around).softmax(-1)
        return (weight * self.log_pitch[around]).sum(-1).exp()

    def _advance(self, pitch: Tensor, state: State | None) -> tuple[Tensor, Tensor]:
        """Phase of the fundamental at the middle of each window (integer turns / TURN), place in the noise."""
        batch, steps = pitch.shape
        turns = (pitch.double() * (self.hop / self.sample_rate * TURN)).round().long().cumsum(1)
        if self.training:  # no two batches hear the same noise
            start = torch.randint(NOISE_FRAMES, (batch, 1), device=pitch.device)
        else:
            start = torch.zeros(batch, 1, dtype=torch.long, device=pitch.device)
        past = state.get(self) if state is not None else None
        if past is not None:
            turns, start = (turns + past[0]) % TURN, past[1]
        frame = (start + torch.arange(steps, device=pitch.device)) % NOISE_FRAMES
        if state is not None and steps:
            state[self] = (turns[:, -1:] % TURN, (frame[:, -1:] + 1) % NOISE_FRAMES)
        return turns % TURN, frame

    @torch.no_grad()
    def _harmonics(self, pitch: Tensor, phase: Tensor) -> tuple[Tensor, Tensor]:
        """Spectrum of a windowed pulse train: in each bin the main lobe of the nearest harmonic.

        Pitch in Hz and phase [B, n] -> (signed) magnitude and angle [B, n, bins].
        """
        bins = torch.arange(len(self.signs), device=pitch.device)
        spacing = (pitch * (self.window / self.sample_rate)).unsqueeze(-1)  # harmonics' distance in bins
        number = (bins / spacing).round().clamp_min(1.0)
        off = bins - number * spacing
        # Fourier transform of a Hann window: sinc(d) / (1 - d^2), here within its main lobe; 1/2 at d = 1
        below = 1 - off.square()
        edge = below.abs() < 2e-3
        lobe = torch.where(edge, 0.5, torch.sinc(off) / below.masked_fill(edge, 1.0)) * (off.abs() < 2)
        angle = (number.long() * phase.unsqueeze(-1) % TURN).to(pitch.dtype) * (2 * math.pi / TURN)
        # The window's middle is half its length after its first sample: a sign for every bin.
        return lobe * self.signs, angle


def _hat_functions(bands: int, bins: int, sample_rate: int) -> Tensor:
    """Linear interpolation between `bands` points, mel-spaced above 100 Hz, as a matrix [bins, bands]."""
    top = 2595 * math.log10(1 + sample_rate / 2 / 700)
    points = 700 * (10 ** (torch.linspace(0, top, bands) / 2595) - 1)
    points = points * (sample_rate / 2 / points[-1])
    freqs = torch.linspace(0, sample_rate / 2, bins)
    upper = torch.searchsorted(points, freqs).clamp(1, bands - 1)
    share = (freqs - points[upper - 1]) / (points[upper] - points[upper - 1])
    out = torch.zeros(bands, bins)
    out[upper - 1, torch.arange(bins)] = 1 - share
    out[upper, torch.arange(bins)] += share
    return out.t().contiguous()


def _noise_spectra(hop: int, window: int) -> Tensor:
    """Spectra of `NOISE_FRAMES` windows of a white noise without end, complex [NOISE_FRAMES, bins]."""
    # This generator's numbers are frozen for good, so every machine hears the same noise.
    wave = torch.as_tensor(np.random.RandomState(1).randn(NOISE_FRAMES * hop).astype(np.float32))
    frames = torch.cat([wave, wave[: window - hop]]).unfold(0, window, hop)
    return torch.fft.rfft(frames * torch.hann_window(window)) * (8 / 3 / window) ** 0.5

"""Reconstruction losses between a decoded and an original waveform."""

from __future__ import annotations

import warnings

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...errors import CodecError
from ...nn.spectra import mel_filterbank, overlapping_frames, real_fft

# (window, mel bands): wide windows resolve pitch, narrow ones onsets.
SCALES = ((2048, 128), (1024, 80), (512, 40), (256, 20))


class SpectralLoss(nn.Module):
    """Multi-scale distances between spectra.

    * mel: mean absolute difference of natural-log mel spectra (as in DAC, arXiv 2306.06546, with fewer
      scales); it says what is heard.
    * magnitude: | |X| - |Y| | / |X| over all bins of an item; it keeps the energy right where the mel
      bands hardly look, below 100 Hz above all.
    * fine: mean absolute difference of natural-log spectra bin by bin. Mel bands are too wide above 1 kHz
      to tell harmonics from noise; bins are not.
    * complex: |X - Y| / |X|, which knows about phase. A codec whose encoder sees phase needs it; to one
      that does not it only says: be quieter.
    """

    def __init__(self, sample_rate: int = 24000, scales: tuple[tuple[int, int], ...] = SCALES, overlap: int = 4):
        super().__init__()
        self.scales = scales
        self.overlap = overlap
        for window, mels in scales:
            hann = torch.hann_window(window) * (2 / window) ** 0.5
            self.register_buffer(f"window_{window}", hann, False)
            self.register_buffer(f"mel_{window}", mel_filterbank(window // 2 + 1, mels, sample_rate), False)

    def forward(self, y: Tensor, x: Tensor) -> dict[str, Tensor]:
        """Decoded `y` and original `x`, both [B, T] fp32 -> the four distances, scalars."""
        terms: dict[str, list[Tensor]] = {"mel": [], "magnitude": [], "fine": [], "complex": []}
        for window, _ in self.scales:
            hann, mel = getattr(self, f"window_{window}"), getattr(self, f"mel_{window}")
            with torch.no_grad():
                original = torch.fft.rfft(overlapping_frames(x, window, self.overlap) * hann)
                wanted = _magnitude(original)
                norm = wanted.square().sum((1, 2, 3)).add(1e-3)
                log_wanted, fine_wanted = (wanted @ mel).add(1e-4).log(), wanted.add(1e-3).log()
            decoded = real_fft(overlapping_frames(y, window, self.overlap) * hann)
            magnitude = _magnitude(decoded)
            terms["mel"].append(((magnitude @ mel).add(1e-4).log() - log_wanted).abs().mean())
            terms["fine"].append((magnitude.add(1e-3).log() - fine_wanted).abs().mean())
            off = (magnitude - wanted).square().sum((1, 2, 3))
            terms["magnitude"].append((off / norm).add(1e-6).sqrt().mean())
            off = torch.view_as_real(decoded - original).square().sum((1, 2, 3, 4))
            terms["complex"].append((off / norm).add(1e-6).sqrt().mean())
        return {name: torch.stack(values).mean() for name, values in terms.items()}


def _magnitude(spectrum: Tensor) -> Tensor:
    return (spectrum.real.square() + spectrum.imag.square()).add(1e-9).sqrt()


class PesqTerm(nn.Module):
    """A differentiable PESQ (ITU-T P.862, wide band) as a loss, through the package `torch-pesq`.

    The package filters with recursive filters and a generic resampler, which take most of its time;
    here both are products with a frequency response.
    """

    def __init__(self, sample_rate: int = 24000):
        super().__init__()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                from torch_pesq import PesqLoss
            except ImportError as error:
                raise CodecError("the PESQ loss needs the extra 'train' (package torch-pesq)") from error
            self.loss = PesqLoss(1.0, sample_rate=16000).float()
        # A sixth power follows, which underflows in single precision and then has no gradient.
        norm = self.loss.fbank.weighted_norm
        self.loss.fbank.weighted_norm = lambda x, p: norm(x, p=p).double()
        self.sample_rate = sample_rate
        band, emphasis = self.loss.power_filter.double(), self.loss.pre_filter.double()
        self.loss.resampler = nn.Identity()
        self.loss.align_level = lambda x: x * (1e7 / self._power(x, band)).sqrt()
        self.loss.preemphasize = lambda x: self._filter(_fade(x), emphasis)
        self._responses: dict[tuple, Tensor] = {}

    def forward(self, y: Tensor, x: Tensor) -> Tensor:
        """Decoded `y` and original `x`, [B, T] fp32 -> disturbance [B]; 0 is a perfect copy.

        No row of either may be silent.
        """
        return self.loss(_resample(x, self.sample_rate), _resample(y, self.sample_rate)).float()

    def _power(self, x: Tensor, band: Tensor) -> Tensor:
        filtered = self._filter(x, band)
        return filtered.square().sum(1, keepdim=True) / (x.shape[1] + 5120) / 1.04684 + 1e-8

    def _filter(self, x: Tensor, coefficients: Tensor) -> Tensor:
        """Apply a recursive filter, rows (b, a), along the last axis by its frequency response."""
        size = x.shape[-1] + 2048  # room for the tail of the impulse response
        key = (len(coefficients[0]), size, x.device)
        if key not in self._responses:
            b, a = coefficients.cpu()
            turn = torch.exp(-2j * torch.pi * torch.arange(size // 2 + 1, dtype=torch.float64) / size)
            powers = turn[:, None] ** torch.arange(len(a))
            response = (powers @ b.to(powers.dtype)) / (powers @ a.to(powers.dtype))
            self._responses[key] = response.to(x.device, torch.complex64)
        return torch.fft.irfft(real_fft(F.pad(x, (0, 2048))) * self._responses[key], size)[..., : x.shape[-1]]


class StoiTerm(nn.Module):
    """A differentiable short-time intelligibility as a loss, after Taal et al. 2011.

    As in the measure, the envelopes of 15 third-octave bands are correlated over stretches of 30
    half-overlapping frames (0.4 s); the clipping of the measure is left out, and quiet stretches are
    weighted down instead of being cut out.
    """

    bands: Tensor
    window: Tensor

    def __init__(self, sample_rate: int = 24000, window: int = 640):
        super().__init__()
        self.size = window
        centers = 150 * 2 ** (torch.arange(15) / 3)
        freqs = torch.linspace(0, sample_rate / 2, window // 2 + 1)
        inside = (freqs[:, None] >= centers * 2 ** (-1 / 6)) & (freqs[:, None] < centers * 2 ** (1 / 6))
        nearest = (freqs[:, None] - centers).abs().argmin(0)
        inside[nearest, torch.arange(15)] = True
        self.register_buffer("bands", inside.float(), False)
        self.register_buffer("window", torch.hann_window(window), False)

    def forward(self, y: Tensor, x: Tensor) -> Tensor:
        """Decoded `y` and original `x`, [B, T] fp32, at least 0.5 s -> 1 - intelligibility [B]."""
        with torch.no_grad():
            wanted = self._envelopes(x)
            loudness = wanted.square().sum((2, 3))
            weight = loudness / (loudness + 1e-3 * loudness.amax(1, keepdim=True) + 1e-6)
            wanted = _standardized(wanted)
        agreement = (_standardized(self._envelopes(y)) * wanted).sum(2).mean(2)
        return 1 - (agreement * weight).sum(1) / weight.sum(1).clamp_min(1e-3)

    def _envelopes(self, x: Tensor) -> Tensor:
        """[B, T] -> band envelopes in stretches of 30 frames that start every 6 [B, stretches, 30, 15]."""
        frames = overlapping_frames(x, self.size, 2).transpose(1, 2).reshape(len(x), -1, self.size)
        spectrum = real_fft(frames * self.window)
        power = (spectrum.real.square() + spectrum.imag.square()) @ self.bands
        stretches = power.add(1e-8).sqrt().unfold(1, 30, 6)
        return stretches.transpose(2, 3)


def _standardized(x: Tensor) -> Tensor:
    """Zero mean and unit length over the frames of each stretch and band."""
    x = x - x.mean(2, keepdim=True)
    return x / (x.square().sum(2, keepdim=True) + 1e-8).sqrt()


def _fade(x: Tensor) -> Tensor:
    ramp = torch.linspace(0, 15, 16, device=x.device)[1:] / 16
    gain = torch.ones_like(x[0])
    gain[:15], gain[-15:] = ramp, ramp.flip(0)
    return x * gain


def _resample(x: Tensor, sample_rate: int, target: int = 16000) -> Tensor:
    """Band-limited resampling of whole excerpts by cutting their spectrum."""
    if sample_rate == target:
        return x
    out = x.shape[-1] * target // sample_rate
    spectrum = real_fft(x)[..., : out // 2 + 1]
    return torch.fft.irfft(spectrum, out) * (out / x.shape[-1])

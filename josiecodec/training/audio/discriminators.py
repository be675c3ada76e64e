"""The adversary: networks that learn to tell decoded audio from original audio.

`SpectrogramDiscriminator` at several resolutions after EnCodec (Défossez et al. 2022, arXiv 2210.13438,
section 3.4) and `PeriodDiscriminator` after HiFi-GAN (Kong et al. 2020, arXiv 2010.05646), with the
least-squares objective and feature matching.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from ...nn.spectra import overlapping_frames, real_fft

COMPRESSION, FAINT = 0.3, 1e-4  # exponent of magnitudes, and the least


@dataclass(frozen=True)
class AdversaryConfig:
    """Settings of the discriminators.

    Attributes:
        windows: one spectrogram discriminator for each window length.
        periods: one period discriminator for each period.
        channels: width of the first.
        start: share of the run after which the adversary sets in; 1 or more leaves it out.
        every: discriminators learn at every n-th step.
        seconds: length of the excerpts that are judged.
        weight: of the adversarial loss.
        feature_weight: of feature matching.
        lr: learning rate of the discriminators.
    """

    windows: tuple[int, ...] = (2048, 1024, 512)
    periods: tuple[int, ...] = ()
    channels: int = 32
    start: float = 1.0
    every: int = 1
    seconds: float = 0.64
    weight: float = 1.0
    feature_weight: float = 2.0
    lr: float = 3e-4


def _conv(layer: nn.Conv2d) -> nn.Module:
    """A layer whose output is as large as its input when training begins.

    With PyTorch's own start each of these layers makes its input smaller: judgements of real sound differed by 0.003
    (standard deviation) at the end, mostly biases, and after 150 steps a judge was still at chance.
    """
    nn.init.kaiming_normal_(layer.weight, 0.2)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return weight_norm(layer)


class SpectrogramDiscriminator(nn.Module):
    """Judges complex spectrograms of one window length with strided 2-D convolutions.

    Magnitudes are compressed, so that quiet bins are seen beside loud ones; phases stay.
    """

    window: Tensor

    def __init__(self, window: int, channels: int):
        super().__init__()
        self.size = window
        self.register_buffer("window", torch.hann_window(window) * (2 / window) ** 0.5, False)
        self.layers = nn.ModuleList(
            [
                _conv(nn.Conv2d(2, channels, (3, 9), padding=(1, 4))),
                _conv(nn.Conv2d(channels, channels, (3, 9), (1, 2), padding=(1, 4))),
                _conv(nn.Conv2d(channels, channels, (3, 9), (1, 2), (2, 4), dilation=(2, 1))),
                _conv(nn.Conv2d(channels, channels, (3, 9), (1, 2), (4, 4), dilation=(4, 1))),
                _conv(nn.Conv2d(channels, channels, 3, padding=1)),
            ]
        )
        self.last = _conv(nn.Conv2d(channels, 1, 3, padding=1))

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """[B, T] -> judgement map, features of each layer."""
        frames = overlapping_frames(x.float(), self.size)
        # back into the order of time, which the convolutions need
        frames = frames.transpose(1, 2).reshape(len(x), -1, self.size)
        spectrum = real_fft(frames * self.window)
        size = spectrum.abs().clamp_min(FAINT)
        y = torch.view_as_real(spectrum * size.pow(COMPRESSION - 1)).permute(0, 3, 1, 2)
        features = []
        for layer in self.layers:
            y = F.leaky_relu(layer(y), 0.2)
            features.append(y)
        return self.last(y), features


class PeriodDiscriminator(nn.Module):
    """Judges the waveform folded to rows of one period."""

    def __init__(self, period: int, channels: int):
        super().__init__()
        self.period = period
        widths = [1, channels, 4 * channels, 8 * channels, 8 * channels]
        self.layers = nn.ModuleList(_conv(nn.Conv2d(a, b, (5, 1), (3, 1), (2, 0))) for a, b in pairwise(widths))
        self.last = _conv(nn.Conv2d(widths[-1], 1, (3, 1), padding=(1, 0)))

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """[B, T] -> judgement map, features of each layer."""
        x = F.pad(x, (0, -x.shape[-1] % self.period))
        y = x.view(len(x), 1, -1, self.period)
        features = []
        for layer in self.layers:
            y = F.leaky_relu(layer(y), 0.1)
            features.append(y)
        return self.last(y), features


class Adversary(nn.Module):
    """All discriminators together."""

    def __init__(self, config: AdversaryConfig):
        super().__init__()
        self.config = config
        self.judges = nn.ModuleList(
            [SpectrogramDiscriminator(w, config.channels) for w in config.windows]
            + [PeriodDiscriminator(p, config.channels) for p in config.periods]
        )

    def discriminator_loss(self, fake: Tensor, real: Tensor) -> Tensor:
        """Decoded and original excerpts [B, T] -> what the discriminators minimise."""
        total = fake.new_zeros(())
        for judge in self.judges:
            real_score, _ = judge(real)
            fake_score, _ = judge(fake.detach())
            total = total + (1 - real_score.float()).square().mean() + fake_score.float().square().mean()
        return total / len(self.judges)

    def codec_loss(self, fake: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
        """What the codec minimises: (adversarial, feature matching)."""
        adversarial, matching = fake.new_zeros(()), fake.new_zeros(())
        for judge in self.judges:
            score, features = judge(fake)
            with torch.no_grad():
                _, wanted = judge(real)
            adversarial = adversarial + (1 - score.float()).square().mean()
            distances = [
                (a.float() - b.float()).abs().mean() / b.float().abs().mean().clamp_min(1e-4)
                for a, b in zip(features, wanted)
            ]
            matching = matching + torch.stack(distances).mean()
        return adversarial / len(self.judges), matching / len(self.judges)


def same_excerpt(a: Tensor, b: Tensor, length: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """A random stretch of `length` samples of both [B, T]."""
    length = min(length, a.shape[-1])
    first = int(torch.randint(a.shape[-1] - length + 1, (1,), generator=generator))
    return a[..., first : first + length], b[..., first : first + length]

"""The delay of a decoded recording, found by correlation: a codec that is late must not pay for it in every measure.

Measures compare sample by sample or frame by frame, and a late recording, cut to the length of the original, has lost
its end: that is the way of joining both, not a fault of the codec.
"""

from __future__ import annotations

import torch
from torch import Tensor

MAX_SECONDS = 0.5  # of delay, either way
ENOUGH = 0.5  # correlation of waveforms or envelopes below which nothing is sure
GAIN = 1.26  # by which what does not correlate must fall, 1 dB
BANDS = ((100, 500), (500, 1500), (1500, 4000), (4000, 8000))  # Hz, whose envelopes are compared
STEP = 0.002  # seconds, of envelopes
LEAST = 0.006  # seconds, below which envelopes say nothing


def find_delay(decoded: Tensor, original: Tensor, sample_rate: int) -> int:
    """By how many samples a decoded waveform [T] is late; negative if it is early, 0 unless it is plain.

    Waveforms are correlated first, to the sample. Where a codec makes phases of its own, envelopes of four bands are,
    in steps of 2 ms.
    """
    most = min(round(MAX_SECONDS * sample_rate), len(original) // 2)
    if most < 1 or not len(decoded):
        return 0
    lag = _best_lag(decoded[None], original[None], most)
    if lag is not None:
        return lag
    step = round(STEP * sample_rate)
    late = _best_lag(_envelopes(decoded, sample_rate, step), _envelopes(original, sample_rate, step), most // step)
    return step * late if late and abs(late) * STEP >= LEAST else 0


def align(decoded: Tensor, late: int) -> Tensor:
    """A waveform [T] moved ahead by `late` samples, or back by zeros if that is negative."""
    return decoded[late:] if late >= 0 else torch.nn.functional.pad(decoded, (-late, 0))


def _best_lag(decoded: Tensor, original: Tensor, most: int) -> int | None:
    """The lag in [-most, most] at which rows [N, T] correlate best; None if they hardly do, 0 if that is as good."""
    size = 1 << (max(decoded.shape[-1], original.shape[-1]) + most).bit_length()
    spectra = [torch.fft.rfft(x.double(), size) for x in (decoded, original)]
    product = torch.fft.irfft(spectra[0] * spectra[1].conj(), size).sum(0)
    power = float(decoded.double().square().sum() * original.double().square().sum()) ** 0.5
    if not power:
        return None
    found = torch.cat([product[-most:], product[: most + 1]]) / power
    best = int(found.argmax())
    if float(found[best]) < ENOUGH:
        return None
    left = [1 - float(found[i].clamp(0, 1)) ** 2 for i in (most, best)]
    return best - most if left[0] > GAIN * left[1] else 0


def _envelopes(wave: Tensor, sample_rate: int, step: int) -> Tensor:
    """Magnitudes of bands about their means, each as loud as the others: [bands, steps]."""
    size = 4 * step
    spectrum = torch.stft(wave, size, step, window=torch.hann_window(size), pad_mode="constant", return_complex=True)
    frequency = torch.linspace(0, sample_rate / 2, size // 2 + 1)
    bands = [spectrum[(frequency >= low) & (frequency < high)].abs().square().sum(0).sqrt() for low, high in BANDS]
    rows = torch.stack(bands)
    rows = rows - rows.mean(-1, keepdim=True)
    return rows / rows.norm(dim=-1, keepdim=True).clamp_min(1e-9)

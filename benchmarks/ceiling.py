"""Which part of an audio model is its bottleneck: what its base would be worth if one part of it were perfect.

    python benchmarks/ceiling.py MODEL FOLDER [--seconds 10] [--n-q N] [--json OUT]

Each row gives the base (all its levels, or N) one thing of the original and judges the result:

    coded               nothing: the base as it is
    unquantised         latents that no codebook has touched: the autoencoder's ceiling
    phase below f       phases of the spectrum below f Hz; magnitudes stay the base's own
    magnitudes          magnitudes of the spectrum; phases stay the base's own
    original below f    the whole spectrum below f Hz
    band energies       the energies of bands above 1.2 kHz every 10 ms

Spectra are short-time Fourier transforms of 480 samples every 120, at 24 kHz. Means over the recordings of FOLDER.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from josiecodec import load, load_audio
from josiecodec.audio.network import JodioNetwork
from josiecodec.media.audio_reader import AUDIO_SUFFIXES
from josiecodec.metrics.audio import mel_distance, pesq, si_sdr, stoi
from josiecodec.nn.spectra import mel_filterbank
from josiecodec.training.audio.validate import unquantised

WINDOW, HOP = 480, 120  # samples
BELOW = (500.0, 1000.0, 2000.0, 4000.0, math.inf)  # Hz
BANDS_FROM, BANDS, EVERY = 1200.0, 20, 2  # Hz; bands above; hops in 10 ms


def spectrum(wave: Tensor) -> Tensor:
    """[T] -> complex [bins, frames]."""
    window = torch.hann_window(WINDOW)
    return torch.stft(wave, WINDOW, HOP, window=window, pad_mode="constant", return_complex=True)


def waveform(bins: Tensor, length: int) -> Tensor:
    """The inverse of `spectrum`."""
    return torch.istft(bins, WINDOW, HOP, window=torch.hann_window(WINDOW), length=length)


def low_bins(below: float, sample_rate: int) -> Tensor:
    """Which bins lie below a frequency in Hz, bool [bins, 1]."""
    return (torch.arange(WINDOW // 2 + 1) * sample_rate / WINDOW < below)[:, None]


def with_phase(own: Tensor, original: Tensor, below: float, sample_rate: int) -> Tensor:
    """Waveform [T] with its own magnitudes, and the original's phases below a frequency."""
    a, b = spectrum(own), spectrum(original)
    return waveform(torch.where(low_bins(below, sample_rate), torch.polar(a.abs(), b.angle()), a), len(own))


def with_magnitudes(own: Tensor, original: Tensor) -> Tensor:
    """Waveform [T] with the original's magnitudes, and its own phases."""
    return waveform(torch.polar(spectrum(original).abs(), spectrum(own).angle()), len(own))


def with_low_band(own: Tensor, original: Tensor, below: float, sample_rate: int) -> Tensor:
    """Waveform [T] whose spectrum below a frequency is the original's."""
    return waveform(torch.where(low_bins(below, sample_rate), spectrum(original), spectrum(own)), len(own))


def with_band_energies(own: Tensor, original: Tensor, sample_rate: int) -> Tensor:
    """Waveform [T] with the original's energies in bands above 1.2 kHz, every 10 ms."""
    a, b = spectrum(own), spectrum(original)
    mel = mel_filterbank(len(a), 2 * BANDS, sample_rate)
    bands = mel[:, mel.argmax(0) * sample_rate / WINDOW >= BANDS_FROM]
    share = bands / bands.sum(1, keepdim=True).clamp_min(1e-9)
    outside = 1 - share.sum(1, keepdim=True)  # of bins that no band has
    gains = ((_energies(b, bands) + 1e-9) / (_energies(a, bands) + 1e-9)).sqrt()
    gains = share @ gains.repeat_interleave(EVERY, 1)[:, : a.shape[1]] + outside
    return waveform(a * torch.where(low_bins(BANDS_FROM, sample_rate), 1.0, gains), len(own))


def _energies(bins: Tensor, bands: Tensor) -> Tensor:
    """Energies [bands, frames / EVERY]."""
    energy = bands.t() @ bins.abs().square()
    short = -energy.shape[1] % EVERY
    return torch.nn.functional.pad(energy, (0, short)).unflatten(1, (-1, EVERY)).sum(2)


def variants(model: JodioNetwork, wave: Tensor, n_q: int | None = None) -> Iterator[tuple[str, Tensor]]:
    """Name and waveform [T] of each row."""
    rate = model.sample_rate
    own = model.decode(model.encode(wave[None, None], n_q or model.base_levels), len(wave))[0, 0]
    yield "coded", own
    yield "unquantised", unquantised(model, wave)
    for below in BELOW:
        yield f"phase below {below:g} Hz" if below < math.inf else "phase", with_phase(own, wave, below, rate)
    yield "magnitudes", with_magnitudes(own, wave)
    for below in BELOW[:-1]:
        yield f"original below {below:g} Hz", with_low_band(own, wave, below, rate)
    yield "band energies", with_band_energies(own, wave, rate)


def judged(decoded: Tensor, original: Tensor, sample_rate: int) -> dict[str, float]:
    """PESQ-WB, STOI, SI-SDR in dB and mel distance."""
    decoded = decoded.clamp(-1, 1)
    return {
        "pesq_wb": pesq(decoded, original, sample_rate),
        "stoi": stoi(decoded, original, sample_rate),
        "si_sdr": si_sdr(decoded, original),
        "mel": mel_distance(decoded, original, sample_rate),
    }


def ceiling(model: JodioNetwork, waves: list[Tensor], n_q: int | None = None) -> dict[str, dict[str, float]]:
    """Mean scores by row; those that are not known (nan) are left out."""
    found: dict[str, dict[str, list[float]]] = {}
    for wave in waves:
        for name, decoded in variants(model, wave, n_q):
            for measure, value in judged(decoded, wave, model.sample_rate).items():
                values = found.setdefault(name, {}).setdefault(measure, [])
                values += [] if math.isnan(value) else [value]
    return {
        name: {measure: round(sum(v) / len(v), 4) if v else math.nan for measure, v in scores.items()}
        for name, scores in found.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each recording, from its beginning")
    parser.add_argument("--n-q", type=int, help="levels of the base; all without it")
    parser.add_argument("--json", type=Path, help="where the scores go, too")
    given = parser.parse_args()
    model = load(given.model)
    assert isinstance(model, JodioNetwork)
    files = [path for path in sorted(given.folder.rglob("*")) if path.suffix.lower() in AUDIO_SUFFIXES]
    length = round(given.seconds * model.sample_rate)
    scores = ceiling(model, [load_audio(f, model.sample_rate).samples[0, :length] for f in files], given.n_q)
    print(f"{len(files)} recordings\n\n| | PESQ-WB | STOI | SI-SDR, dB | mel distance |\n|---|---|---|---|---|")
    for name, s in scores.items():
        print(f"| {name} | {s['pesq_wb']:.2f} | {s['stoi']:.3f} | {s['si_sdr']:.1f} | {s['mel']:.3f} |")
    if given.json:
        given.json.write_text(json.dumps(scores, indent=1) + "\n")


if __name__ == "__main__":
    main()

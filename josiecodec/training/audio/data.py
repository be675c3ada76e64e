"""Training recordings, kept whole in memory as 16-bit samples, and random crops of them.

Reading files while training is what starves small machines, and a few hours of 24 kHz mono are only
0.17 GB each: so everything is decoded once, laid end to end in one tensor (on the GPU if there is
one), and a batch is a gather from it.
"""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ...errors import MediaError
from ...media.audio_reader import AUDIO_SUFFIXES, load_audio

# Files start at multiples of this many samples (20 ms at 24 kHz), the grid of the teachers' targets.
GRID = 480
KINDS = ("speech", "music", "env")


@dataclass(frozen=True)
class Segment:
    """One recording inside the big tensor.

    Attributes:
        start, length: in samples.
        speaker, language, kind: labels of the manifest; `kind` is speech, music or env.
        bandwidth: highest frequency present, in Hz.
        path: file it came from, relative to the folder.
    """

    start: int
    length: int
    speaker: str
    language: str
    kind: str
    bandwidth: float
    path: str


@dataclass(frozen=True)
class Recordings:
    """A folder of recordings in memory.

    Attributes:
        samples: int16 [N], all files end to end, each starting at a multiple of `GRID`.
        segments: what is where.
        files: first sample of each file.
        sample_rate: in Hz.
    """

    samples: Tensor
    segments: list[Segment]
    files: dict[str, int]
    sample_rate: int

    def seconds(self, kind: str | None = None) -> float:
        """Length of all segments of a kind."""
        return sum(s.length for s in self.segments if kind in (None, s.kind)) / self.sample_rate

    @property
    def voices(self) -> int:
        """How many speakers there are."""
        return len({s.speaker for s in self.segments if s.kind == "speech"})

    def waveform(self, segment: Segment) -> Tensor:
        """One segment as float32 [length]."""
        return self.samples[segment.start : segment.start + segment.length].float() / 32768


def load_recordings(folder: str | Path, sample_rate: int = 24000) -> Recordings:
    """Read all audio below `folder`.

    A `manifest.tsv` (columns path, offset_s, duration_s, speaker, and if known language, kind and
    bandwidth_hz) says which parts of which files are used. Without one every file is a segment of its
    own, its folder is the speaker, and everything counts as speech.

    Raises:
        MediaError: if there is nothing to read.
    """
    folder = Path(folder)
    manifest = folder / "manifest.tsv"
    if manifest.exists():
        with open(manifest, newline="", encoding="utf-8") as f:
            rows = list(csv.DictReader(f, delimiter="\t"))
    else:
        found = sorted(p for p in folder.rglob("*") if p.suffix.lower() in AUDIO_SUFFIXES)
        rows = [{"path": str(p.relative_to(folder)), "speaker": p.parent.name} for p in found]
    if not rows:
        raise MediaError(f"no recordings in {folder}")
    if any(not row.get("path") for row in rows):
        raise MediaError(f"{manifest}: there must be a column 'path', and tabs between columns")
    parts: list[np.ndarray] = []
    files: dict[str, int] = {}
    lengths: dict[str, int] = {}
    total = 0
    for path in dict.fromkeys(row["path"] for row in rows):
        wave = load_audio(folder / path, sample_rate).samples[0]
        padded = -(-len(wave) // GRID) * GRID
        pcm = np.zeros(padded, np.int16)
        pcm[: len(wave)] = (wave.clamp(-1, 1) * 32767).round().numpy().astype(np.int16)
        parts.append(pcm)
        files[path], lengths[path] = total, len(wave)
        total += padded
    segments = []
    for line, row in enumerate(rows, 2):
        path = row["path"]
        where = f"{manifest}, line {line}" if manifest.exists() else str(folder / path)
        try:
            offset = round(float(row.get("offset_s") or 0) * sample_rate)
            length = round(float(row["duration_s"]) * sample_rate) if row.get("duration_s") else lengths[path]
            bandwidth = float(row.get("bandwidth_hz") or sample_rate / 2)
        except (ValueError, OverflowError):
            raise MediaError(f"{where}: a number is expected in offset_s, duration_s and bandwidth_hz") from None
        if row.get("kind") not in (None, "", *KINDS):
            raise MediaError(f"{where}: kind {row['kind']!r} is none of {', '.join(KINDS)}")
        length = min(length, lengths[path] - offset)
        if manifest.exists() and not (offset >= 0 and length > 0):
            raise MediaError(f"{where}: this part does not lie in the file")
        if length < 1:
            continue  # an empty file
        segments.append(
            Segment(
                start=files[path] + offset,
                length=length,
                speaker=row.get("speaker") or path,
                language=row.get("language") or "",
                kind=row.get("kind") or "speech",
                bandwidth=bandwidth,
                path=path,
            )
        )
    if not segments:
        raise MediaError(f"no recordings in {folder}")
    return Recordings(torch.from_numpy(np.concatenate(parts)), segments, files, sample_rate)


@dataclass(frozen=True)
class DataConfig:
    """What a batch is made of.

    Attributes:
        speech, music, env: share of the items of each kind; kinds that are absent are left out.
        voice_power: a voice is drawn in proportion to its seconds to this power: 1 samples by the
            second (few long voices dominate), 0 all voices alike (one-word voices dominate).
        gain_db: items are made louder or softer by up to this much, evenly over (low, high).
        mix: share of the speech items that get music or environment underneath.
        mix_snr_db: how far below, evenly over (low, high).
        telephone: share of the items that are limited to 3.4 kHz.
    """

    speech: float = 0.84
    music: float = 0.1
    env: float = 0.06
    voice_power: float = 0.65
    gain_db: tuple[float, ...] = (-12.0, 4.0)
    mix: float = 0.08
    mix_snr_db: tuple[float, ...] = (5.0, 30.0)
    telephone: float = 0.03


class CropSampler:
    """Random crops of `Recordings` as float batches.

    Segments are drawn voice by voice (see `DataConfig.voice_power`), and crops start on the `GRID`.
    A crop longer than its segment runs on into what follows it, or at the end of a file begins earlier.
    """

    def __init__(self, recordings: Recordings, config: DataConfig, device: torch.device, seed: int = 0):
        self.recordings = recordings
        self.config = config
        self.device = device
        self.samples = recordings.samples.to(device)
        self.random = torch.Generator().manual_seed(seed)
        weights = self._segment_weights()
        self.weights = torch.tensor(weights, dtype=torch.float64)
        self.is_speech = torch.tensor([s.kind == "speech" for s in recordings.segments])
        self.starts = torch.tensor([s.start for s in recordings.segments])
        self.lengths = torch.tensor([s.length for s in recordings.segments])
        other = self.weights * ~self.is_speech
        self.other = other if float(other.sum()) > 0 else None
        ends = sorted([*recordings.files.values(), len(recordings.samples)])
        self.file_ends = torch.tensor(ends[1:])

    def _segment_weights(self) -> list[float]:
        segments, config = self.recordings.segments, self.config
        by_voice: dict[tuple[str, str], float] = {}
        for s in segments:
            by_voice[s.kind, s.speaker] = by_voice.get((s.kind, s.speaker), 0.0) + s.length
        by_kind: dict[str, float] = {}
        for (kind, _), length in by_voice.items():
            by_kind[kind] = by_kind.get(kind, 0.0) + length**config.voice_power
        share = {"speech": config.speech, "music": config.music, "env": config.env}
        weights = []
        for s in segments:
            voice = by_voice[s.kind, s.speaker]
            weights.append(share.get(s.kind, 0.0) * voice ** (config.voice_power - 1) * s.length / by_kind[s.kind])
        return weights

    def batch(self, items: int, length: int) -> tuple[Tensor, Tensor, Tensor]:
        """Draw crops.

        Args:
            items: B.
            length: samples of each, T.

        Returns:
            waveforms [B, 1, T]; first samples of the crops in the big tensor [B] (CPU); which are
            clean or mixed speech, bool [B] (CPU).
        """
        picked, first = self._positions(self.weights, items, length)
        x = self._gather(first, length)
        x = self._mix(x, picked, length)
        x = self._telephone(x)
        low, high = self.config.gain_db
        gain = 10 ** ((torch.rand(items, 1, generator=self.random) * (high - low) + low) / 20)
        sign = torch.randint(0, 2, (items, 1), generator=self.random) * 2 - 1
        x = x * (gain * sign).to(x.device)
        peak = x.abs().amax(1, keepdim=True).clamp_min(1e-3)
        x = x * (0.99 / peak).clamp_max(1)
        return x.unsqueeze(1), first, self.is_speech[picked]

    def _positions(self, weights: Tensor, items: int, length: int) -> tuple[Tensor, Tensor]:
        picked = torch.multinomial(weights, items, replacement=True, generator=self.random)
        room = (self.lengths[picked] - length).clamp_min(0)
        first = self.starts[picked] + (torch.rand(items, generator=self.random) * room).long()
        end = self.file_ends[torch.searchsorted(self.file_ends, first, right=True)]
        first = torch.minimum(first, end - length).clamp_min(0)
        return picked, torch.div(first, GRID, rounding_mode="floor") * GRID

    def _gather(self, first: Tensor, length: int) -> Tensor:
        index = first[:, None].to(self.device) + torch.arange(length, device=self.device)
        return self.samples[index.clamp_max(len(self.samples) - 1)].float() / 32768

    def _mix(self, x: Tensor, picked: Tensor, length: int) -> Tensor:
        chosen = torch.rand(len(x), generator=self.random) < self.config.mix
        if self.other is None:
            return x
        _, first = self._positions(self.other, len(x), length)
        low, high = self.config.mix_snr_db
        snr = torch.rand(len(x), 1, generator=self.random) * (high - low) + low
        rows = (chosen & self.is_speech[picked]).nonzero()[:, 0]
        if len(rows) == 0:
            return x
        under = self._gather(first[rows], length)
        voice = x[rows.to(x.device)]
        loudness = (_rms(voice) / _rms(under).clamp_min(1e-4)) * 10 ** (-snr[rows].to(x.device) / 20)
        return x.index_copy(0, rows.to(x.device), voice + under * loudness.clamp_max(4))

    def _telephone(self, x: Tensor) -> Tensor:
        chosen = torch.rand(len(x), generator=self.random) < self.config.telephone
        rows = chosen.nonzero()[:, 0].to(x.device)
        if len(rows) == 0:
            return x
        spectrum = torch.fft.rfft(x[rows])
        freqs = torch.linspace(0, self.recordings.sample_rate / 2, spectrum.shape[-1], device=x.device)
        response = torch.sigmoid((3500 - freqs) / 60) * torch.sigmoid((freqs - 250) / 30)
        return x.index_copy(0, rows, torch.fft.irfft(spectrum * response, x.shape[-1]))

    def state(self) -> Tensor:
        """Where the random row stands, for exact resumption."""
        return self.random.get_state()

    def restore(self, state: Tensor) -> None:
        """Continue the random row from `state`."""
        self.random.set_state(state)


def _rms(x: Tensor) -> Tensor:
    return x.square().mean(1, keepdim=True).sqrt()


def crop_frames(seconds: float, sample_rate: int, frame_size: int) -> int:
    """Samples of a crop of about `seconds`, a whole number of frames."""
    return max(1, math.floor(seconds * sample_rate / frame_size + 0.5)) * frame_size

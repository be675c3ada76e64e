"""Pitch of recordings by an offline tracker (swift-f0), as labels for the decoder's harmonic source."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...audio.source import pitch_bins
from ...errors import CodecError, ConfigError
from ...media.audio_reader import resample
from .data import Recordings
from .labels import STEP, label_segments, load_labels

CONFIDENT = 0.8


def label_pitch(wave: Tensor, sample_rate: int) -> Tensor:
    """Pitch at every `STEP` samples of [T] -> int16 [ceil(T / STEP)] in tenths of a Hz, 0 where there is none.

    Raises:
        CodecError: if swift-f0 is not installed.
    """
    labels = torch.zeros(-(-len(wave) // STEP), dtype=torch.int16)
    if len(wave) < sample_rate // 10:
        return labels
    found = _tracker().detect(resample(wave[None], sample_rate, 16000)[0].numpy(), 16000)
    at = np.arange(len(labels)) * STEP / sample_rate
    log_pitch = np.interp(at, found.timestamps, np.log(np.maximum(found.pitch_hz, 1.0)))
    voiced = np.interp(at, found.timestamps, (found.confidence > CONFIDENT).astype(float)) > 0.5
    labels[torch.from_numpy(voiced)] = torch.from_numpy(np.exp(log_pitch[voiced]) * 10).round().to(torch.int16)
    return labels


def label_recordings(recordings: Recordings, out: str | Path, workers: int = 2) -> None:
    """Label all speech and music and write the labels to `out` (safetensors)."""
    tonal = [s for s in recordings.segments if s.kind != "env"]
    label_segments(recordings, tonal, label_pitch, 0, out, workers)


def load_pitch(path: str | Path, recordings: Recordings) -> Tensor:
    """Labels of all recordings end to end, float32 [samples / STEP] in Hz, 0 where there is no pitch."""
    return load_labels(path, recordings, 0).float() / 10


class PitchLabels:
    """Pitch of crops, for a decoder with a harmonic source.

    Args:
        labels: float32 [samples / STEP] of all recordings, as `load_pitch` gives them.
        hop, window: of the decoder's synthesis, in samples.
    """

    def __init__(self, labels: Tensor, hop: int, window: int):
        if hop % STEP or (window // 2) % STEP:
            raise ConfigError(f"pitch: hop and half the window must be multiples of {STEP} samples")
        self.labels = labels
        self.stride = hop // STEP
        self.middle = window // 2 // STEP

    def targets(self, first: Tensor, windows: int) -> Tensor:
        """Hz in the middle of each window of crops that start at samples `first` [B]: [B, windows]."""
        index = first[:, None] // STEP + self.middle + torch.arange(windows) * self.stride
        return self.labels[index.clamp_max(len(self.labels) - 1).to(self.labels.device)]


def pitch_loss(logits: Tensor, pitch: Tensor) -> tuple[Tensor, Tensor]:
    """Cross-entropy with the classes around the true pitch, over the windows that have one.

    Args:
        logits: [B, windows, classes].
        pitch: Hz [B, windows], 0 where there is none.

    Returns:
        the loss, and the share of the windows whose likeliest class is within half a semitone.
    """
    log_pitch = pitch_bins().to(logits.device)
    low, high = float(log_pitch[0]), float(log_pitch[-1])
    target = pitch.clamp_min(1.0).log()
    known = ((pitch > 0) & (target > low) & (target < high)).float()
    width = (high - low) / (len(log_pitch) - 1)
    wanted = (-0.5 * ((log_pitch - target.unsqueeze(-1)) / width).square()).softmax(-1)
    count = known.sum().clamp_min(1)
    loss = -((wanted * logits.log_softmax(-1)).sum(-1) * known).sum() / count
    near = (log_pitch[logits.argmax(-1)] - target).abs() < 0.5 / 12 * 0.6931
    return loss, (near.float() * known).sum() / count


@lru_cache(1)
def _tracker() -> Any:
    try:
        from swift_f0 import SwiftF0
    except ImportError as error:
        raise CodecError("pitch labels need the extra 'train' (package swift-f0)") from error
    return SwiftF0(threads=1)


def make_pitch_labels(path: str, recordings: Recordings, decoder: Any, device: torch.device) -> PitchLabels | None:
    """Pitch labels from a file, for a decoder's config; None without labels or without a source."""
    if not path or not getattr(decoder, "source", False):
        return None
    return PitchLabels(load_pitch(path, recordings).to(device), decoder.hop, decoder.window)

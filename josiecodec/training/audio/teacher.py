"""What the semantic level is taught: targets for every 20 ms of the training recordings.

Three teachers, all computed once before training and then read by position:

* `mfcc`: cepstra 1-12 and their differences, normalised per recording, so that what was said stays and
  who said it and how loud largely goes. Needs nothing.
* `wavlm`: hidden states of a WavLM model whose weights are on this machine (as in Mimi, arXiv 2410.00037).
* phone labels of an offline recogniser (see `phones.py`), as a classification beside either.

Targets at 50 Hz are averaged to the frame rate without causality (8 steps wide, every 4th), which Mimi
found important: a frame's meaning shows only in what follows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...errors import CodecError, ConfigError
from ...nn.spectra import mel_filterbank
from .data import GRID, Recordings
from .phones import PHONES, UNKNOWN


@dataclass(frozen=True)
class TeacherConfig:
    """Settings of what the semantic level is taught.

    Attributes:
        kind: where the features come from; "none" for phone labels only, or nothing at all.
        model: folder or hub name of the WavLM weights (`kind` wavlm).
        layer: hidden layer of WavLM; -1 is the last.
        phones: file of phone labels (`train phones`); "auto" to have them made in the run's folder; "" for
            none.
        feature_weight: of 1 - cosine similarity with the features.
        phone_weight: of the cross-entropy in nats per frame.
    """

    kind: Literal["mfcc", "wavlm", "none"] = "mfcc"
    model: str = "microsoft/wavlm-large"
    layer: int = -1
    phones: str = ""
    feature_weight: float = 1.0
    phone_weight: float = 0.2

    def __post_init__(self) -> None:
        if self.feature_weight < 0 or self.phone_weight < 0:
            raise ConfigError("teacher: weights must not be negative")


class Teacher:
    """Targets for crops of the recordings, looked up by position.

    Args:
        features: fp16 [G, D], one row for each `GRID` samples of all recordings, or None.
        phones: uint8 [2 G], a label for each half of `GRID`, or None.
        steps_per_frame: `GRID` steps in a codec frame.
    """

    def __init__(self, features: Tensor | None, phones: Tensor | None, steps_per_frame: int):
        self.features = features
        self.phones = phones
        self.steps = steps_per_frame

    @property
    def dim(self) -> int:
        """Width of the features, 0 without."""
        return self.features.shape[1] if self.features is not None else 0

    def feature_targets(self, first: Tensor, frames: int) -> Tensor | None:
        """Features of crops that start at samples `first` [B]: [B, frames, D]."""
        if self.features is None:
            return None
        around = torch.arange(-self.steps // 2, frames * self.steps + self.steps // 2)
        index = (first[:, None] // GRID + around).clamp(0, len(self.features) - 1)
        rows = self.features[index.to(self.features.device)].float().transpose(1, 2)
        return F.avg_pool1d(rows, 2 * self.steps, self.steps).transpose(1, 2)

    def phone_targets(self, first: Tensor, frames: int) -> Tensor | None:
        """Shares of the phones in each frame [B, frames, phones]; all zero where nothing is known."""
        if self.phones is None:
            return None
        halves = 2 * self.steps
        index = (first[:, None] // (GRID // 2) + torch.arange(frames * halves)).clamp_max(len(self.phones) - 1)
        labels = self.phones[index.to(self.phones.device)].long()
        one_hot = F.one_hot(labels.clamp_max(len(PHONES)), len(PHONES) + 1)[..., : len(PHONES)].float()
        shares = one_hot.view(len(first), frames, halves, len(PHONES)).mean(2)
        return shares * (shares.sum(-1, keepdim=True) > 0.99)


class SemanticHead(nn.Module):
    """Linear heads on the semantic level, used in training only.

    Args:
        dim: width of the codec's latent.
        teacher: whose targets are to be met.
        config: weights of the terms.
    """

    def __init__(self, dim: int, teacher: Teacher, config: TeacherConfig):
        super().__init__()
        self.config = config
        self.features = nn.Linear(dim, teacher.dim) if teacher.features is not None else None
        self.phones = nn.Linear(dim, len(PHONES)) if teacher.phones is not None else None

    def forward(self, semantic: Tensor, features: Tensor | None, phones: Tensor | None) -> dict[str, Tensor]:
        """Semantic vectors [B, F, D] and targets -> weighted loss and what to log."""
        semantic = semantic.float()
        out: dict[str, Tensor] = {}
        total = semantic.new_zeros(())
        if self.features is not None and features is not None:
            cosine = F.cosine_similarity(self.features(semantic), features, dim=-1)
            # silent stretches have no direction to be met
            weight = (features.square().sum(-1) > 1e-6).float()
            out["teacher_cosine"] = (cosine * weight).sum() / weight.sum().clamp_min(1)
            total = total + self.config.feature_weight * (1 - out["teacher_cosine"])
        if self.phones is not None and phones is not None:
            known = phones.sum(-1)
            log_p = self.phones(semantic).log_softmax(-1)
            loss = -(phones * log_p).sum() / known.sum().clamp_min(1)
            hits = (log_p.argmax(-1) == phones.argmax(-1)).float() * known
            out["phone_loss"] = loss
            out["phone_accuracy"] = hits.sum() / known.sum().clamp_min(1)
            total = total + self.config.phone_weight * loss
        out["semantic_loss"] = total
        return out


def make_teacher(
    recordings: Recordings, config: TeacherConfig, frame_size: int, device: torch.device
) -> Teacher | None:
    """Compute or load the targets for all recordings; None if the config asks for none."""
    if frame_size % GRID:
        raise ConfigError(f"teacher: frames of {frame_size} samples are no whole number of {GRID}")
    features = None
    if config.kind == "mfcc":
        features = mfcc_features(recordings)
    elif config.kind == "wavlm":
        features = wavlm_features(recordings, config.model, config.layer, device)
    phones = None
    if config.phones:
        from .phones import load_phones

        phones = load_phones(config.phones, recordings).to(device)
    if features is None and phones is None:
        return None
    return Teacher(features.to(device) if features is not None else None, phones, frame_size // GRID)


def mfcc_features(recordings: Recordings) -> Tensor:
    """Cepstra 1-12 and their differences, normalised per segment: fp16 [G, 24]."""
    steps = len(recordings.samples) // GRID
    out = torch.zeros(steps, 24, dtype=torch.float16)
    window = torch.hann_window(1024)
    mel = mel_filterbank(513, 40, recordings.sample_rate)
    k, n = torch.arange(1, 13)[:, None], torch.arange(40)
    cosine = torch.cos(math.pi * k * (n + 0.5) / 40) * (2 / 40) ** 0.5
    lifter = 1 + 11 * torch.sin(math.pi * k / 22)
    for segment in recordings.segments:
        count = segment.length // GRID
        if count < 8:
            continue
        wave = F.pad(recordings.waveform(segment), (272, 1024))
        frames = wave.unfold(0, 1024, GRID)[:count] * window
        energy = torch.fft.rfft(frames).abs() @ mel
        cepstra = (energy + 1e-3 * energy.mean() + 1e-5).log() @ (cosine * lifter).t()
        cepstra = (cepstra - cepstra.mean(0)) / (cepstra.std(0) + 1e-3)
        ahead = F.pad(cepstra.t()[None], (2, 2), mode="replicate")[0].t()
        slope = (2 * (ahead[4:] - ahead[:-4]) + ahead[3:-1] - ahead[1:-3]) / 5
        first = segment.start // GRID
        out[first : first + count] = torch.cat([cepstra, slope], 1).half()[: steps - first]
    return out


@torch.no_grad()
def wavlm_features(recordings: Recordings, model: str, layer: int, device: torch.device) -> Tensor:
    """Hidden states of a WavLM model at 50 Hz: fp16 [G, D].

    `model` is a folder with the weights, a name that the local hub cache holds, or the name of a
    torchaudio bundle (such as WAVLM_LARGE) whose weights were downloaded before.

    Raises:
        CodecError: if the weights are not on this machine.
    """
    run = _wavlm(model, layer, device)
    out: Tensor | None = None
    steps = len(recordings.samples) // GRID
    for segment in recordings.segments:
        if segment.length < 2 * GRID:
            continue
        hidden = run(recordings.waveform(segment), recordings.sample_rate)
        if out is None:
            out = torch.zeros(steps, hidden.shape[1], dtype=torch.float16)
        first = segment.start // GRID
        count = min(len(hidden), segment.length // GRID, steps - first)
        out[first : first + count] = hidden[:count].half().cpu()
    if out is None:
        raise CodecError("no recording is long enough for the WavLM teacher")
    return out


def _wavlm(model: str, layer: int, device: torch.device) -> Any:
    """A function waveform [T], rate -> hidden states [steps, D]."""
    from ...media.audio_reader import resample

    def prepare(wave: Tensor, rate: int) -> Tensor:
        # 16 kHz, and the 400-sample windows centred on the 20 ms steps
        return F.pad(resample(wave[None], rate, 16000), (40, 400)).to(device)

    if model.startswith("WAVLM"):
        try:
            import torchaudio

            network = getattr(torchaudio.pipelines, model).get_model().to(device).eval()
        except (ImportError, AttributeError, OSError) as error:
            raise CodecError(f"WavLM bundle {model}: {error}") from None
        return lambda wave, rate: network.extract_features(prepare(wave, rate))[0][layer][0]
    try:
        from transformers import WavLMModel
    except ImportError as error:
        raise CodecError("the WavLM teacher needs the package transformers") from error
    if not Path(model).is_dir() and "/" not in model:
        raise CodecError(f"WavLM weights: no folder {model}")
    try:
        loaded: Any = WavLMModel.from_pretrained(model, local_files_only=True)
        hub = loaded.to(device).eval()
    except (OSError, ValueError) as error:
        raise CodecError(f"WavLM weights {model} are not on this machine ({str(error).splitlines()[0]})") from None
    return lambda wave, rate: hub(prepare(wave, rate), output_hidden_states=True).hidden_states[layer][0]


__all__ = ["UNKNOWN", "SemanticHead", "Teacher", "TeacherConfig", "make_teacher", "mfcc_features", "wavlm_features"]

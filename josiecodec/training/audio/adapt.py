"""Adapting a codec to a voice, a language or a microphone: its decoder learns, its codes stay as they are.

Some of the recordings are held out, and the weights kept are those that did best on them. The adapted model has both
decoders: what the levels after the base say is relative to the first one.
"""

from __future__ import annotations

import copy
import dataclasses
import itertools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from ...audio.config import AdaptedConfig
from ...audio.spectral import SpectralDecoder
from ...coding.jodio import Jodio
from ...errors import ConfigError, MediaError
from ...hub.store import save
from ...media.audio_reader import resample
from ..core.settings import OptimizerConfig
from .config import LossConfig, QuantizationConfig, TrainConfig
from .data import GRID, DataConfig, Recordings, Segment
from .discriminators import AdversaryConfig
from .pitch import PitchLabels
from .teacher import TeacherConfig
from .trainer import AudioTrainer
from .validate import validate

PART_SECONDS = 10.0  # of what is held out in one piece
HELD_EVERY = 5
MIN_SECONDS = 15.0
SPEEDS = (0.92, 1.08)
SECOND = "adapted_decoder."  # names of tensors of the second decoder
SHOWN = ("pesq_wb", "stoi", "mel")


def adapting_config(codec: Any, name: str, precision: Literal["fp32", "bf16"] = "fp32") -> TrainConfig:
    """The settings with which the decoder of a codec is trained on; those of further training, at a lower rate.

    Raises:
        ConfigError: if there is no decoder that can be adapted.
    """
    if not isinstance(codec, Jodio):
        raise ConfigError(f"{name} is no codec of audio: only those can be adapted")
    if not isinstance(codec.decoder, SpectralDecoder):
        raise ConfigError(f"{name}: only spectral decoders can be adapted, and this model has another one")
    return TrainConfig(
        model=dataclasses.replace(codec.config, adapted=None, encoding=codec.settings),
        batch=8,
        precision=precision,
        validate_minutes=2.0,
        pitch_given=0.0,
        freeze_codes=True,
        loss=LossConfig(mel=2.0, magnitude=0.3, fine=1.0, pesq=0.7, stoi=2.0, pesq_start=0.0, pitch=0.5, overlap=2),
        quantization=QuantizationConfig(continuous=0.0, fewer=0.3, more=0.0),
        optimizer=OptimizerConfig(lr=3e-4, ema=0.99),
        data=DataConfig(),
        teacher=TeacherConfig(kind="none"),
        adversary=AdversaryConfig(start=1.0),
    )


def hold_out(recordings: Recordings) -> tuple[Recordings, Recordings]:
    """Recordings to learn from, and every fifth part of `PART_SECONDS` to judge on; no sample is in both.

    Raises:
        MediaError: if there is too little.
    """
    if recordings.seconds() < MIN_SECONDS:
        raise MediaError(
            f"{recordings.seconds():.1f} s of sound are too little to adapt to: at least {MIN_SECONDS:g} s are "
            "needed, and some minutes are better"
        )
    longest = min(PART_SECONDS, recordings.seconds() / HELD_EVERY)
    parts = [part for segment in recordings.segments for part in _parts(segment, recordings.sample_rate, longest)]
    first = min(HELD_EVERY // 2, len(parts) - 1)
    held = parts[first::HELD_EVERY]
    return chosen(recordings, [part for part in parts if part not in held]), chosen(recordings, held)


def _parts(segment: Segment, sample_rate: int, seconds: float) -> list[Segment]:
    """A segment in equal parts of at most so many seconds."""
    count = max(1, math.ceil(segment.length / sample_rate / seconds))
    edges = [segment.length * k // count for k in range(count + 1)]
    return [dataclasses.replace(segment, start=segment.start + a, length=b - a) for a, b in itertools.pairwise(edges)]


def chosen(recordings: Recordings, segments: list[Segment]) -> Recordings:
    """These segments alone, each as a file of its own, so that no crop reaches beyond them."""
    samples: list[Tensor] = []
    files: dict[str, int] = {}
    moved: list[Segment] = []
    start = 0
    for segment in segments:
        own = recordings.samples[segment.start : segment.start + segment.length]
        name = f"{segment.path}@{segment.start}"
        files[name] = start
        moved.append(dataclasses.replace(segment, start=start, path=name))
        samples += [own, own.new_zeros(-len(own) % GRID)]
        start += len(own) + len(samples[-1])
    return Recordings(torch.cat(samples), moved, files, recordings.sample_rate)


def at_other_speeds(recordings: Recordings, speeds: tuple[float, ...] = SPEEDS) -> Recordings:
    """Recordings, and the same faster and slower: a minute of a voice is soon known by heart otherwise."""
    samples, files, segments = [recordings.samples], dict(recordings.files), list(recordings.segments)
    rate, start = recordings.sample_rate, len(recordings.samples)
    for speed in speeds:
        for segment in recordings.segments:
            wave = resample(recordings.waveform(segment)[None], round(rate * speed), rate)[0]
            pcm = (wave.clamp(-1, 1) * 32767).round().to(torch.int16)
            name = f"{segment.path}@{segment.start}x{speed:g}"
            files[name] = start
            segments.append(dataclasses.replace(segment, start=start, length=len(pcm), path=name))
            samples += [pcm, pcm.new_zeros(-len(pcm) % GRID)]
            start += len(pcm) + len(samples[-1])
    return Recordings(torch.cat(samples), segments, files, recordings.sample_rate)


class AdaptTrainer(AudioTrainer):
    """Trains the decoder of a codec on; what is saved is the model with the best decoder so far beside its own.

    Args:
        source: the model to adapt.
        config: of `adapting_config`.
        recordings, held: to learn from, and to judge on; see `hold_out`.
        folder, minutes, pitch, device, report: as of `AudioTrainer`.

    Attributes:
        before, after: scores of the model and of the adapted one, like `pesq_wb@9`; empty until they are known.
    """

    def __init__(
        self,
        source: Jodio,
        config: TrainConfig,
        recordings: Recordings,
        held: Recordings,
        folder: str | Path,
        minutes: float | None = None,
        pitch: PitchLabels | None = None,
        device: str | torch.device = "cpu",
        report: Callable[[str], None] = print,
    ):
        super().__init__(config, recordings, folder, None, minutes, held, pitch, device, report)
        self.source = source
        self.start_from(with_one_decoder(source))
        self.best: Any = nn.Module()
        self.best.decoder = copy.deepcopy(self.average.decoder)
        self.before: dict[str, float] = {}
        self.after: dict[str, float] = {}

    @property
    def judged(self) -> tuple[int, ...]:
        """Numbers of levels at which it is validated."""
        return tuple(sorted({max(1, self.default_levels // 2), self.default_levels}))

    def prepare(self) -> None:
        if not self.before:
            self.before = validate(self.source.to(self.device), self.excerpts, self.judged)
            self._tell("as it is", self.before)

    def validate(self) -> dict[str, float]:
        """Judge the averaged weights, log what comes out, and keep them if they are the best so far."""
        scores = validate(self.average, self.excerpts, self.judged)
        self.log({"valid": scores})
        self._tell("adapted", scores)
        if self.quality(scores) > self.quality(self.after or self.before):
            self.after = scores
            self.best.decoder.load_state_dict(self.average.decoder.state_dict())
            self.save_model()
        return scores

    def quality(self, scores: dict[str, float]) -> float:
        """One number of all measures at the default levels: .1 of PESQ counts as .025 of STOI, or .1 of mel."""
        n = self.default_levels
        weights = {"pesq_wb": 1.0, "stoi": 4.0, "mel": -1.0, "mel_other": -1.0}
        known = ((weight, scores.get(f"{key}@{n}", math.nan)) for key, weight in weights.items())
        return sum(weight * value for weight, value in known if not math.isnan(value))

    def _tell(self, what: str, scores: dict[str, float]) -> None:
        for n in self.judged:
            values = "  ".join(f"{key} {scores[f'{key}@{n}']:.3f}" for key in SHOWN if f"{key}@{n}" in scores)
            self.report(f"  {what}, {n} levels:  {values}")

    def save_model(self) -> None:
        """Write the adapted model, once it is better than it was."""
        if self.after:
            save(adapted(self.source, self.best.decoder), self.folder / "model")

    def state(self) -> tuple[dict[str, nn.Module], dict[str, torch.optim.Optimizer]]:
        modules, optimizers = super().state()
        return {**modules, "best": self.best}, optimizers

    def progress_state(self) -> dict[str, Any]:
        return {**super().progress_state(), "before": self.before, "after": self.after}

    def restore_progress(self, values: dict[str, Any]) -> None:
        super().restore_progress(values)
        self.before, self.after = dict(values["before"]), dict(values["after"])


def with_one_decoder(codec: Jodio) -> Jodio:
    """A copy of a codec; of an adapted one the decoder that it was adapted with is the only one."""
    made = Jodio(dataclasses.replace(codec.config, adapted=None))
    tensors = codec.state_dict()
    for name in [name for name in tensors if name.startswith(SECOND)]:
        tensors[name.replace(SECOND, "decoder.")] = tensors.pop(name)
    made.load_state_dict(tensors)
    return made


def adapted(codec: Jodio, decoder: nn.Module) -> Jodio:
    """A codec with a second decoder of the base, which files of `codec` are decoded with; it makes the same files.

    Args:
        codec: whose codes these are; a model that is adapted already gets the new decoder in place of its own.
        decoder: of the same shape as the codec's.
    """
    config = dataclasses.replace(codec.config, adapted=AdaptedConfig(codec.fingerprint))
    made = Jodio(config).eval().requires_grad_(False)
    own = {name: value for name, value in codec.state_dict().items() if not name.startswith(SECOND)}
    made.load_state_dict(own | {SECOND + name: value for name, value in decoder.state_dict().items()})
    made.settings, made.tables = codec.settings, codec.tables
    return made

"""Recordings with texts as material for a voice: symbols and their times, pitch and level, and the codec's latents."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from josiecodec.errors import CodecError
from josiecodec.hearing.mel import SAMPLE_RATE as MEL_RATE
from josiecodec.hearing.mel import LogMel
from josiecodec.media.apart import shared_pool
from josiecodec.media.audio_reader import resample
from josiecodec.tokenization.audio import load_clip
from josiecodec.tokenization.manifest import Item, manifest_lines
from josiecodec.training.audio.labels import STEP
from josiecodec.training.audio.pitch import label_pitch

from ..speech.adaptor import STEP_SECONDS
from ..speech.codes import LatentCodes
from ..speech.lexicon import Lexicon
from ..speech.phones import IDS
from ..speech.words import TextError, sentences
from .alignment import Clip, align_clips
from .voice import Spoken

Report = Callable[[str], None]
LONGEST = 25.0  # seconds of a clip
PITCH_CENTRE = 100.0  # Hz
LEAST = 20  # clips
MEL_STEP = 2  # frames of `LogMel` in a frame of alignment


@dataclass
class Recorded:
    """A clip that is to be aligned.

    Attributes:
        ids: symbols, int64 [L].
        seconds: of each, float32 [L], where the manifest says so.
        wave: float32 [T] at the codec's rate.
        speed, semitones: by which the recording was changed, 1 and 0 for none.
    """

    ids: Tensor
    seconds: Tensor | None
    wave: Tensor
    speed: float = 1.0
    semitones: float = 0.0


def read_recordings(manifest: str | Path, lexicon: Lexicon, rate: int, report: Report) -> Iterator[Recorded]:
    """Clips of a manifest that have a text; those that cannot be used are reported and left out.

    A line has `path` and `text`, as for `josiecodec tokenize`. Synthetic speech may say more: `symbols`, pairs of a
    symbol and its seconds, in place of the text, `speed` and `semitones`, by which the recording was changed.

    Raises:
        CodecError: if the manifest cannot be read.
    """
    for values, item in manifest_lines(Path(manifest)):
        try:
            ids, seconds = _symbols(values, item, lexicon)
        except (TextError, ValueError) as error:
            report(f"warning: {item.id}: {error}")
            continue
        clip = load_clip(shared_pool(), item, rate, LONGEST)
        if clip.error is not None or clip.wave is None:
            report(f"warning: {item.id}: {clip.error or f'longer than {LONGEST:g} s, cut it first'}")
            continue
        wave = torch.as_tensor(np.asarray(clip.wave), dtype=torch.float32).reshape(-1)
        if len(ids) * STEP_SECONDS > len(wave) / rate:
            report(f"warning: {item.id}: too short for its text")
            continue
        speed, semitones = (_number(values, name, usual) for name, usual in (("speed", 1.0), ("semitones", 0.0)))
        yield Recorded(ids, seconds, wave, speed, semitones)


def _symbols(values: dict[str, Any], item: Item, lexicon: Lexicon) -> tuple[Tensor, Tensor | None]:
    given = values.get("symbols")
    if given is not None:
        if not isinstance(given, list) or not all(
            isinstance(pair, list) and len(pair) == 2 and pair[0] in IDS and type(pair[1]) in (int, float)
            for pair in given
        ):
            raise ValueError("symbols are pairs of a symbol that voices know and its seconds")
        seconds = torch.tensor([float(s) for _, s in given])
        if not len(given) or not bool((seconds >= 0).all()) or not bool(torch.isfinite(seconds).all()):
            raise ValueError("symbols last 0 seconds or longer")
        return torch.tensor([IDS[symbol] for symbol, _ in given]), seconds
    text = item.known.get("text")
    if not isinstance(text, str) or not text.strip():
        raise ValueError("no text")
    pieces = [piece for sentence in sentences(text) for piece in sentence]
    return torch.tensor([IDS[symbol] for symbol in lexicon.sentence(pieces)[0]]), None


def _number(values: dict[str, Any], name: str, usual: float) -> float:
    value = values.get(name, usual)
    return float(value) if type(value) in (int, float) and math.isfinite(value) else usual


def spoken(
    recorded: list[Recorded], latent_codes: LatentCodes, align_minutes: float, seed: int, report: Report
) -> list[Spoken]:
    """Material for `train_voice`.

    Args:
        recorded: clips of one speaker.
        latent_codes: of the codec.
        align_minutes: of processor time for finding when symbols are spoken, where that is not known.
        report: called with lines of progress.

    Raises:
        CodecError: if there are too few clips.
    """
    if len(recorded) < LEAST:
        raise CodecError(f"{len(recorded)} usable clips are too few for a voice; at least {LEAST}, better an hour")
    rate = latent_codes.codec.sample_rate
    unknown = [clip for clip in recorded if clip.seconds is None]
    if unknown:
        mel = LogMel()
        clips = [Clip(clip.ids, _bands(mel, clip.wave, rate)) for clip in unknown]
        for clip, counts in zip(unknown, align_clips(clips, len(IDS), align_minutes, seed, report), strict=True):
            clip.seconds = counts.float() * STEP_SECONDS
    out = []
    for number, clip in enumerate(recorded):
        out.append(_measured(clip, latent_codes, rate))
        if number % 200 == 199:
            report(f"encoded {number + 1} of {len(recorded)} clips")
    return out


@torch.inference_mode()
def _bands(mel: LogMel, wave: Tensor, rate: int) -> Tensor:
    wave = resample(wave[None], rate, MEL_RATE)[0]
    size = MEL_RATE // 100 * MEL_STEP
    wave = torch.nn.functional.pad(wave, (0, -len(wave) % size))
    bands: Tensor = mel(wave[None])[0].T
    return bands.reshape(-1, MEL_STEP, bands.shape[-1]).mean(1).clone()


def _measured(clip: Recorded, latent_codes: LatentCodes, rate: int) -> Spoken:
    """Pitch, voicing and level of each symbol, and the latents of the clip."""
    assert clip.seconds is not None
    pitch_step = STEP / 24000  # seconds of a label, which is made at 24 kHz
    wave = clip.wave if rate == 24000 else resample(clip.wave[None], rate, 24000)[0]
    hertz = label_pitch(wave, 24000).float().numpy() / 10
    ends = clip.seconds.double().cumsum(0).numpy()
    begins = ends - clip.seconds.double().numpy()
    tone = np.where(hertz > 0, np.log2(np.maximum(hertz, 1.0) / PITCH_CENTRE), 0.0)
    octaves, counts = _sums(tone, begins, ends, pitch_step), _sums((hertz > 0).astype(float), begins, ends, pitch_step)
    spans = np.maximum(_sums(np.ones_like(tone), begins, ends, pitch_step), 1)
    pitch = np.where(counts > 0, octaves / np.maximum(counts, 1), 0.0)
    power = _sums(clip.wave.double().numpy() ** 2, begins, ends, 1 / rate)
    level = 0.5 * np.log(power / np.maximum((ends - begins) * rate, 1) + 1e-6)
    usual = np.stack([clip.seconds.numpy() * clip.speed, np.where(counts > 0, pitch - clip.semitones / 12, 0.0)])
    tone_of, voiced, energy = (torch.tensor(np.asarray(x), dtype=torch.float32) for x in (pitch, counts / spans, level))
    latents = latent_codes.latents(clip.wave).half().clone()
    changed = torch.tensor(usual, dtype=torch.float32)
    return Spoken(clip.ids, clip.seconds, tone_of, voiced, energy, latents, changed)


def _sums(values: np.ndarray, begins: np.ndarray, ends: np.ndarray, step: float) -> np.ndarray:
    """Sums of values, one every `step` seconds, over the times of symbols."""
    total = np.concatenate([[0.0], np.cumsum(values)])
    at = [np.clip(np.round(times / step).astype(int), 0, len(values)) for times in (begins, ends)]
    return np.asarray(total[at[1]] - total[at[0]])

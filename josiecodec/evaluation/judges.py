"""Judges beside those that every comparison has: models that come in packages of their own, imported where used.

Each takes the decoded and the original recording [T] at `SAMPLE_RATE`, in step and of equal length, and gives one
number or more.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import CodecError
from ..hearing.store import speaker_encoder
from ..media.audio_reader import resample
from ..metrics.audio import silent
from .items import SAMPLE_RATE

Scores = dict[str, float]
LEVEL = 10 ** (-26 / 20)  # root mean square, of which full scale is 1: DNSMOS minds how loud a recording is
LOWEST_MOS = 1.0
SPEAKER_SECONDS = 0.5  # below which nobody knows a voice
VOICED = 0.9  # confidence of the tracker of pitch


@dataclass(frozen=True)
class Judge:
    """A judge.

    Attributes:
        columns: of its scores.
        modules: that it imports, each with the package that has it.
        score: from decoded and original to its scores; nan where it cannot say anything.
        lower: of its columns, those of which less is better.
    """

    columns: tuple[str, ...]
    modules: dict[str, str]
    score: Callable[[Tensor, Tensor], Scores]
    lower: tuple[str, ...] = ()

    def missing(self) -> list[str]:
        """Packages that are not installed."""
        return [package for module, package in self.modules.items() if importlib.util.find_spec(module) is None]


def chosen(text: str) -> list[str]:
    """Judges of "visqol,f0", or of "all", that can be used here.

    Raises:
        CodecError: if there is none of a name, or one that is named needs a package that is not installed.
    """
    names = [name.strip() for name in text.split(",")]
    if names == ["all"]:
        return [name for name, judge in JUDGES.items() if not judge.missing()]
    for name in names:
        if name in UNAVAILABLE:
            raise CodecError(f"judge {name}: {UNAVAILABLE[name]}")
        if name not in JUDGES:
            raise CodecError(f"no judge {name!r}; there are {', '.join(JUDGES)}")
        lacking = JUDGES[name].missing()
        if lacking:
            raise CodecError(f"judge {name} needs {', '.join(lacking)}: pip install {' '.join(lacking)}")
    return list(dict.fromkeys(names))


def left_out(text: str) -> list[str]:
    """What "all" leaves out, a line each."""
    if text.strip() != "all":
        return []
    lacking = {name: judge.missing() for name, judge in JUDGES.items()}
    return [f"judge {name} is left out: it needs {', '.join(names)}" for name, names in lacking.items() if names]


def _at(wave: Tensor, rate: int) -> np.ndarray:
    return np.asarray(resample(wave[None], SAMPLE_RATE, rate)[0].numpy(), np.float32)


def visqol(decoded: Tensor, original: Tensor) -> Scores:
    """ViSQOL v3 (Chinen et al. 2020) for sound in general, at 48 kHz, MOS-LQO from 1 to 4.75."""
    return {"visqol": _visqol("audio", 48000, decoded, original)}


def visqol_speech(decoded: Tensor, original: Tensor) -> Scores:
    """ViSQOL v3 for speech, at 16 kHz with its lattice, 1 to 4.5."""
    return {"visqol_speech": _visqol("speech", 16000, decoded, original)}


def _visqol(mode: str, rate: int, decoded: Tensor, original: Tensor) -> float:
    if silent(original):
        return float("nan")
    if silent(decoded):
        return LOWEST_MOS
    return float(_visqol_api(mode).measure_from_arrays(_at(original, rate), _at(decoded, rate), rate).moslqo)


@cache
def _visqol_api(mode: str) -> Any:
    from visqol import VisqolApi

    api = VisqolApi()
    api.create(mode=mode, use_lattice_model=True if mode == "speech" else None)  # never another mapping unasked
    return api


def dnsmos(decoded: Tensor, original: Tensor) -> Scores:
    """DNSMOS P.835, overall, and P.808 (Reddy et al. 2021, 2022), 1 to 5: predicted without the original.

    Both are given the gain that brings the original to -26 dB of full scale: 20 dB less cost half a point. Silence
    would have 1.8, more than noisy speech; it has 1.
    """
    if silent(original):
        return dict.fromkeys(JUDGES["dnsmos"].columns, float("nan"))
    if silent(decoded):
        return dict.fromkeys(JUDGES["dnsmos"].columns, LOWEST_MOS)
    from speechmos import dnsmos as package

    gain = LEVEL / max(float(original.square().mean().sqrt()), 1e-9)
    found = package.run(_at((gain * decoded).clamp(-1, 1), 16000).clip(-1, 1), 16000)
    return {"dnsmos": float(found["ovrl_mos"]), "dnsmos_p808": float(found["p808_mos"])}


def speaker(decoded: Tensor, original: Tensor) -> Scores:
    """Cosine of speaker embeddings (GE2E, Wan et al. 2018, weights of resemblyzer) of decoded and original, 0 to 1.

    Two voices have 0.5 to 0.7, two recordings of one 0.75 and more.
    """
    if silent(original) or len(original) < SPEAKER_SECONDS * SAMPLE_RATE:
        return {"speaker": float("nan")}
    if silent(decoded):
        return {"speaker": 0.0}
    import resemblyzer

    waves = [resemblyzer.normalize_volume(_at(x, 16000), -30, increase_only=True) for x in (decoded, original)]
    first, second = (_speaker_encoder().embed_utterance(wave) for wave in waves)
    return {"speaker": float(first @ second)}


def voice(decoded: Tensor, original: Tensor) -> Scores:
    """Cosine of the voices of decoded and original by the speaker encoder of this package, -1 to 1."""
    if silent(original) or len(original) < SPEAKER_SECONDS * SAMPLE_RATE:
        return {"voice": float("nan")}
    if silent(decoded):
        return {"voice": 0.0}
    first, second = (speaker_encoder().embed(torch.from_numpy(_at(x, 16000))) for x in (decoded, original))
    return {"voice": float(first @ second)}


@cache
def _speaker_encoder() -> Any:
    from resemblyzer import VoiceEncoder

    return VoiceEncoder("cpu", verbose=False)


def f0(decoded: Tensor, original: Tensor) -> Scores:
    """Pitch by swift-f0: root mean square error in cents where both are voiced, and the share of frames (16 ms) that
    are voiced in one alone; nan, where the original or both are never voiced.
    """
    if silent(original):
        return {"f0_cents": float("nan"), "voicing_error": float("nan")}
    first, second = (_pitch(_at(x, 16000)) for x in (decoded, original))
    frames = min(len(first), len(second))
    first, second = first[:frames], second[:frames]
    both = (first > 0) & (second > 0)
    cents = 1200 * np.log2(first[both] / second[both])
    return {
        "f0_cents": float(np.sqrt(np.mean(np.square(cents)))) if both.any() else float("nan"),
        "voicing_error": float(np.mean((first > 0) != (second > 0))) if (second > 0).any() else float("nan"),
    }


def _pitch(wave: np.ndarray) -> np.ndarray:
    """Hz a frame, 0 where there is no voice."""
    found = _pitch_tracker().detect(wave, 16000)
    return np.where(found.confidence >= VOICED, found.pitch_hz, 0.0)


@cache
def _pitch_tracker() -> Any:
    from swift_f0 import SwiftF0

    return SwiftF0(threads=1)


JUDGES = {
    "visqol": Judge(("visqol",), {"visqol": "visqol-python", "libsvm": "libsvm-official"}, visqol),
    "visqol_speech": Judge(
        ("visqol_speech",), {"visqol": "visqol-python", "ai_edge_litert": "ai-edge-litert"}, visqol_speech
    ),
    "dnsmos": Judge(
        ("dnsmos", "dnsmos_p808"),
        {"speechmos": "speechmos", "librosa": "librosa", "onnxruntime": "onnxruntime", "requests": "requests"},
        dnsmos,
    ),
    "speaker": Judge(
        ("speaker",), {"resemblyzer": "resemblyzer", "librosa": "librosa", "webrtcvad": "webrtcvad"}, speaker
    ),
    "voice": Judge(("voice",), {}, voice),
    "f0": Judge(("f0_cents", "voicing_error"), {"swift_f0": "swift-f0"}, f0, ("f0_cents", "voicing_error")),
}
# Judges of the field whose weights no package has.
UNAVAILABLE = {
    "utmos": "no package has its weights, and none are downloaded in a comparison",
    "nisqa": "no package has its weights, and none are downloaded in a comparison",
    "lpips": "no package has the weights of its network, and none are downloaded in a comparison",
    "dists": "no package has the weights of its network, and none are downloaded in a comparison",
    "vmaf": "it is a column of `eval vision`, where there is an ffmpeg program with libvmaf",
}

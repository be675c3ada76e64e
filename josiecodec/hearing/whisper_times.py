"""Times of given words by the attention of a Whisper model (Radford et al. 2022), through faster-whisper."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np

from ..errors import CodecError
from .mel import SAMPLE_RATE

LONGEST = 30.0  # seconds that Whisper hears at once
STEP_SECONDS = 0.02


@cache
def load_whisper(name: str) -> Any:
    """A model by its name, or from a folder in CTranslate2's format.

    Raises:
        CodecError: if faster-whisper is not installed, or the model cannot be had.
    """
    if importlib.util.find_spec("faster_whisper") is None:
        raise CodecError("the aligner whisper needs faster-whisper: pip install faster-whisper")
    from faster_whisper import WhisperModel

    try:
        return WhisperModel(name, device="cpu", compute_type="float32", cpu_threads=1)
    except Exception as error:  # whatever ctranslate2 or the hub says
        first = (str(error) or type(error).__name__).splitlines()[0]
        raise CodecError(
            f"whisper {name}: neither a folder of a CTranslate2 model nor one to be had: {first}"
        ) from None


def check_language(name: str, language: str) -> None:
    """Make sure that a model knows a language.

    Raises:
        CodecError: if it does not.
    """
    whisper = load_whisper(name)
    known = list(whisper.supported_languages)
    if language not in known:
        more = f"one of {', '.join(known)}" if len(known) < 10 else f"one of {len(known)} like en, de, zh"
        raise CodecError(f"whisper {name} knows no language {language!r}: it is to be {more}")


def whisper_times(wave: np.ndarray, words: Sequence[str], language: str, name: str) -> list[tuple[float, float]]:
    """From where to where each word is said, in seconds.

    Args:
        wave: mono [T] at 16 kHz, 30 s at most.
        words: as they are written, in their order.
        language: a code like "en".
        name: of the model, or its folder.

    Raises:
        ValueError: if the recording is too long, or the words are too many for the model.
    """
    from faster_whisper.tokenizer import Tokenizer

    if len(wave) > LONGEST * SAMPLE_RATE:
        raise ValueError(f"whisper aligns {LONGEST:g} s at most, not {len(wave) / SAMPLE_RATE:.1f} s")
    whisper = load_whisper(name)
    tokenizer = Tokenizer(whisper.hf_tokenizer, whisper.model.is_multilingual, "transcribe", language)
    gap = "" if language in ("zh", "ja", "th", "lo", "my", "yue") else " "
    tokens = [tokenizer.encode(gap + word) for word in words]
    if sum(map(len, tokens)) > whisper.max_length - len(tokenizer.sot_sequence) - 1:
        raise ValueError(f"{len(words)} words are too many for whisper")
    features = whisper.feature_extractor(wave)
    frames = min(features.shape[-1], 3000)
    padded = np.zeros((features.shape[0], 3000), np.float32)
    padded[:, :frames] = features[:, :frames]
    flat = [token for word in tokens for token in word]
    found = whisper.model.align(whisper.encode(padded), tokenizer.sot_sequence, [flat], frames)[0].alignments
    first: dict[int, int] = {}
    for text, time in found:
        first.setdefault(text, time)
    times = np.array([first.get(i, -1) for i in range(len(flat) + 1)], np.float64) * STEP_SECONDS
    times = np.maximum.accumulate(np.where(times < 0, 0, times))
    times[-1] = max(times[-1], times[-2])
    begins = np.cumsum([0, *map(len, tokens)])
    return [(float(times[a]), float(times[b])) for a, b in pairwise(begins)]

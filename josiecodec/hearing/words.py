"""When each word of a text is said in a recording."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from ..errors import CodecError
from .alignment import best_path
from .mel import SAMPLE_RATE
from .spelling import spelled, written_words
from .store import aligner
from .whisper_times import check_language, whisper_times

SILENT = 1e-4  # root mean square below which nothing is said, -80 dB of full scale
STEP_SECONDS = 0.02
WHISPER = "whisper"
DEFAULT_WHISPER = "base"
Word = tuple[str, float, float]


def check_aligner(name: str, languages: Sequence[str]) -> None:
    """Make sure that an aligner can be used for languages, before files are read.

    Args:
        name: "whisper", "whisper:NAME" with the name or folder of a model, or the folder of a conformer.
        languages: codes like "en".

    Raises:
        CodecError: if it cannot.
    """
    kind, _, model = name.partition(":")
    if kind == WHISPER:
        for language in languages:
            check_language(model or DEFAULT_WHISPER, language)
        return
    known = aligner(name).config.languages
    for language in languages:
        if language not in known:
            raise CodecError(
                f"no aligner for {language!r}: {name} knows {', '.join(known)}; --aligner whisper knows more"
            )
        if language == "zh":
            spelled(["中"], " a", language)  # needs a package


def align_words(wave: np.ndarray, text: str, language: str, name: str = WHISPER) -> list[Word]:
    """The words of a text and from where to where they are said, in seconds.

    Args:
        wave: mono, float32 [T] at 16 kHz.
        text: what is said, as it is written: case, punctuation and accents do not matter.
        language: a code like "en".
        name: of the aligner, see `check_aligner`.

    Raises:
        ValueError: if the text has no word, nothing is to be heard, or the words do not fit into the recording.
        CodecError: if the aligner cannot be used.
    """
    words = written_words(text, language)
    if not words:
        raise ValueError("its text has no word")
    if not len(wave) or not np.isfinite(wave).all() or float(np.mean(np.square(wave, dtype=np.float64))) < SILENT**2:
        raise ValueError("nothing is to be heard")
    kind, _, model = name.partition(":")
    if kind == WHISPER:
        times = whisper_times(wave, words, language, model or DEFAULT_WHISPER)
    else:
        network = aligner(name)
        frames, _ = network.hear(torch.from_numpy(np.ascontiguousarray(wave, np.float32)), language)
        path = best_path(frames.numpy(), spelled(words, network.config.letters, language))
        times = [(first * STEP_SECONDS, behind * STEP_SECONDS) for first, behind in path.words]
    end = len(wave) / SAMPLE_RATE
    return [(w, round(min(a, end), 3), round(min(b, end), 3)) for w, (a, b) in zip(words, times, strict=True)]

"""Words by Whisper (Radford et al. 2022) through faster-whisper, as word error rates of the field are made.

Hypothesis and reference go through Whisper's own normaliser: spellings, numbers, contractions, fillers.
"""

from __future__ import annotations

import importlib.util
from functools import cache
from typing import Any

from torch import Tensor

from ..errors import CodecError
from ..media.audio_reader import resample

NO_SPEECH = 0.6  # probability above which a segment holds no words
PACKAGES = {"faster_whisper": "faster-whisper", "whisper_normalizer": "whisper-normalizer"}


def check(model: str) -> None:
    """Load a model once, before hours of encoding.

    Raises:
        CodecError: if a package is missing, or the model can be had neither as a folder nor by name.
    """
    lacking = [package for module, package in PACKAGES.items() if importlib.util.find_spec(module) is None]
    if lacking:
        raise CodecError(f"--whisper needs {', '.join(lacking)}: pip install {' '.join(lacking)}")
    _load(model)


@cache
def _load(model: str) -> Any:
    from faster_whisper import WhisperModel

    try:
        return WhisperModel(model, device="cpu", compute_type="float32", cpu_threads=1)
    except Exception as error:  # whatever ctranslate2 or the hub says
        first = (str(error) or type(error).__name__).splitlines()[0]
        raise CodecError(
            f"--whisper {model}: neither a folder of a CTranslate2 model nor one to be had: {first}"
        ) from None


def hears(model: str, language: str) -> bool:
    """Whether a model knows a language: one of English alone hears words in any speech, but says nothing of it.

    Args:
        model: its name or folder.
        language: a code like "en"; empty if it is not known.
    """
    return language in ("", "en") or bool(_load(model).model.is_multilingual)


def transcript(wave: Tensor, sample_rate: int, model: str, language: str | None) -> tuple[str, ...]:
    """The words that are heard in a waveform [T], normalised; beam search of 5 without a fallback to sampling.

    Args:
        model: its name, or the folder of a CTranslate2 model.
        language: a code like "en"; None to let Whisper tell.
    """
    whisper = _load(model)
    samples = resample(wave[None], sample_rate, 16000)[0].numpy()
    spoken = language if whisper.model.is_multilingual else "en"
    segments, about = whisper.transcribe(
        samples, language=spoken, beam_size=5, temperature=0.0, condition_on_previous_text=False
    )
    text = " ".join(segment.text for segment in segments if segment.no_speech_prob < NO_SPEECH)
    return words(text, about.language)


def words(text: str, language: str) -> tuple[str, ...]:
    """Words after Whisper's normaliser, the English one or that of all languages."""
    return tuple(_normaliser(language == "en")(text).split())


@cache
def _normaliser(english: bool) -> Any:
    from whisper_normalizer.basic import BasicTextNormalizer
    from whisper_normalizer.english import EnglishTextNormalizer

    return EnglishTextNormalizer() if english else BasicTextNormalizer()

"""Word error rate of a speech recogniser on decoded speech.

The recogniser is PocketSphinx with the English model of its package, which works offline. The reference is its
transcript of the original, so only errors that the codec adds are counted.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from ..errors import CodecError
from ..media.audio_reader import resample

_recogniser: Any = None


def transcript(wave: Tensor, sample_rate: int) -> tuple[str, ...]:
    """The words recognised in a waveform [T].

    Raises:
        CodecError: if the package is not installed.
    """
    global _recogniser
    if _recogniser is None:
        try:
            from pocketsphinx import Decoder
        except ImportError:
            raise CodecError("word error rates need the package pocketsphinx (extra 'eval')") from None
        _recogniser = Decoder(samprate=16000, loglevel="FATAL")
    pcm = (resample(wave[None], sample_rate, 16000)[0].clamp(-1, 1) * 32767).short().numpy().tobytes()
    _recogniser.start_utt()
    _recogniser.process_raw(pcm, full_utt=True)
    _recogniser.end_utt()
    hypothesis = _recogniser.hyp()
    return tuple(hypothesis.hypstr.split()) if hypothesis is not None else ()


def word_errors(reference: tuple[str, ...], hypothesis: tuple[str, ...]) -> int:
    """Substitutions, deletions and insertions, the fewest that make one of the other."""
    row = list(range(len(hypothesis) + 1))
    for i, word in enumerate(reference, 1):
        last, row[0] = row[0], i
        for j, other in enumerate(hypothesis, 1):
            last, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, last + (word != other))
    return row[-1]


def word_error_rate(reference: tuple[str, ...], hypothesis: tuple[str, ...]) -> float | None:
    """Substitutions, deletions and insertions per word of the reference; None if that is empty."""
    return word_errors(reference, hypothesis) / len(reference) if reference else None


def counts(reference: tuple[str, ...], hypothesis: tuple[str, ...]) -> dict[str, float | None]:
    """The rate as `wer`, and what it is made of as `wer_errors` and `wer_words`: over many files the field divides all
    errors by all words, so that a file counts by its words."""
    errors = {"wer_errors": word_errors(reference, hypothesis), "wer_words": len(reference)} if reference else {}
    return {"wer": word_error_rate(reference, hypothesis), **errors}

"""Words that a speech recogniser hears: how many a codec changes.

The recogniser is PocketSphinx with the English model of its package, which works offline. Its own transcript of the
original is the reference, so its own mistakes are not counted, only what the codec adds.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from ..errors import CodecError
from ..media.audio_reader import resample

_recogniser: Any = None


def transcript(wave: Tensor, sample_rate: int) -> tuple[str, ...]:
    """The words heard in a recording [T].

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
    found = _recogniser.hyp()
    return tuple(found.hypstr.split()) if found is not None else ()


def error_rate(reference: tuple[str, ...], heard: tuple[str, ...]) -> float | None:
    """Words to be replaced, left out or put in, per word of the reference; None if that has none."""
    if not reference:
        return None
    row = list(range(len(heard) + 1))
    for i, word in enumerate(reference, 1):
        last, row[0] = row[0], i
        for j, other in enumerate(heard, 1):
            last, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, last + (word != other))
    return row[-1] / len(reference)

"""Phone labels of English recordings by an offline recogniser (pocketsphinx).

The recogniser's English model comes inside its package. It is asked for phones, not words, so its
vocabulary does not matter. Labels are noisy (it is an old model) but carry exactly what the semantic
level is for: what is said, whoever says it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...errors import CodecError
from ...media.audio_reader import resample
from .data import Recordings
from .labels import STEP, label_segments, load_labels

_NAMES = (
    "SIL +NSN+ +SPN+ AA AE AH AO AW AY B CH D DH EH ER EY F G HH IH IY JH K L M N NG OW OY P R S SH T TH "
    "UH UW V W Y Z ZH"
)
PHONES = tuple(_NAMES.split(" "))
UNKNOWN = 255


def label_phones(wave: Tensor, sample_rate: int) -> Tensor:
    """Phone of each 10 ms of one utterance [T] -> uint8 [ceil(T / STEP)], `UNKNOWN` where there is none.

    Raises:
        CodecError: if pocketsphinx is not installed.
    """
    decoder = _decoder()
    speech = resample(wave[None], sample_rate, 16000)[0]
    speech = speech / speech.abs().max().clamp_min(1e-6) * 0.7
    labels = torch.full((-(-len(wave) // STEP),), UNKNOWN, dtype=torch.uint8)
    decoder.start_utt()
    decoder.process_raw((speech * 32767).numpy().astype(np.int16).tobytes(), full_utt=True)
    decoder.end_utt()
    for found in decoder.seg() or []:
        if found.word in PHONES:
            labels[found.start_frame : found.end_frame + 1] = PHONES.index(found.word)
    return labels


def label_recordings(recordings: Recordings, out: str | Path, workers: int = 2) -> None:
    """Label every English speech segment and write the labels to `out` (safetensors)."""
    english = [s for s in recordings.segments if s.kind == "speech" and s.language.startswith("en")]
    label_segments(recordings, english, label_phones, UNKNOWN, out, workers)


def load_phones(path: str | Path, recordings: Recordings) -> Tensor:
    """Labels of all recordings end to end, uint8 [samples / STEP]."""
    return load_labels(path, recordings, UNKNOWN)


def _decoder() -> Any:
    try:
        from pocketsphinx import Decoder, get_model_path
    except ImportError as error:
        raise CodecError("phone labels need the extra 'train' (package pocketsphinx)") from error
    settings = {"lw": 2.0, "pip": 0.3, "beam": 1e-20, "pbeam": 1e-20, "loglevel": "FATAL", "dict": None, "lm": None}
    models = {"hmm": get_model_path("en-us/en-us"), "allphone": get_model_path("en-us/en-us-phone.lm.bin")}
    return Decoder(**models, **settings)

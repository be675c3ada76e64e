"""Phone labels of English recordings by an offline recogniser (pocketsphinx), computed once.

The recogniser's English model comes inside its package. It is asked for phones, not words, so its
vocabulary does not matter. Labels are noisy (it is an old model) but carry exactly what the semantic
level is for: what is said, whoever says it.
"""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
from torch import Tensor

from ..audio.files import resample
from ..errors import CodecError, MediaError
from .data import GRID, Recordings

PHONES = (
    "SIL +NSN+ +SPN+ AA AE AH AO AW AY B CH D DH EH ER EY F G HH IH IY JH K L M N NG OW OY P R S SH T TH "
    "UH UW V W Y Z ZH"
).split()
UNKNOWN = 255
STEP = GRID // 2  # samples per label: 10 ms


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
    """Label every English speech segment and write the labels of each file to `out` (safetensors)."""
    chosen = [s for s in recordings.segments if s.kind == "speech" and s.language.startswith("en")]
    if not chosen:
        raise MediaError("no English speech to label")
    ends = dict(zip(recordings.files, [*list(recordings.files.values())[1:], len(recordings.samples)]))
    labels = {
        path: torch.full(((ends[path] - first) // STEP,), UNKNOWN, dtype=torch.uint8)
        for path, first in recordings.files.items()
    }
    waves = (recordings.waveform(s) for s in chosen)
    with ProcessPoolExecutor(workers) as pool:
        results = pool.map(label_phones, waves, [recordings.sample_rate] * len(chosen), chunksize=4)
        for segment, found in zip(chosen, results):
            row = labels[segment.path]
            first = (segment.start - recordings.files[segment.path]) // STEP
            row[first : first + len(found)] = found[: len(row) - first]
    safetensors.torch.save_file(labels, str(out))


def load_phones(path: str | Path, recordings: Recordings) -> Tensor:
    """Labels of all recordings end to end, uint8 [samples / STEP]; files without labels are unknown.

    Raises:
        MediaError: if the file is missing or no safetensors file.
    """
    try:
        labels = safetensors.torch.load_file(str(path))
    except Exception as error:  # the library raises its own and OS errors
        raise MediaError(f"{path}: no phone labels ({error})") from None
    out = torch.full((len(recordings.samples) // STEP,), UNKNOWN, dtype=torch.uint8)
    for name, first in recordings.files.items():
        if name in labels:
            row = labels[name][: len(out) - first // STEP]
            out[first // STEP : first // STEP + len(row)] = row
    return out


def _decoder():
    try:
        from pocketsphinx import Decoder, get_model_path
    except ImportError as error:
        raise CodecError("phone labels need the extra 'train' (package pocketsphinx)") from error
    settings = dict(lw=2.0, pip=0.3, beam=1e-20, pbeam=1e-20, loglevel="FATAL", dict=None, lm=None)
    return Decoder(
        hmm=get_model_path("en-us/en-us"), allphone=get_model_path("en-us/en-us-phone.lm.bin"), **settings
    )

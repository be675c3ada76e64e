"""What a recording itself is like, for columns of datasets: level, noise, clipping, predicted MOS.

Nothing here compares with an original. What cannot be said of a clip is None: everything but `silent` of a silent one,
since predictors of MOS give silence 1.8, more than noisy speech.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from ..errors import CodecError
from ..metrics.audio import silent
from .items import SAMPLE_RATE
from .judges import JUDGES, dnsmos

Values = dict[str, float | None]
FRAME, HOP = 0.02, 0.01  # seconds, of powers
QUIET = 0.1  # share of frames that are taken to be pause
MOST_DB = 100.0
FULL = 0.999  # of full scale, from which a sample counts as clipped


@dataclass(frozen=True)
class Measure:
    """A measure of a clip: its columns, from samples [T] in [-1, 1] at `SAMPLE_RATE`, and the packages it needs."""

    columns: tuple[str, ...]
    values: Callable[[np.ndarray], Values]
    modules: dict[str, str]


def snr(wave: np.ndarray) -> float:
    """Signal to noise ratio in dB, an estimate: mean power over that of the quietest tenth of frames of 20 ms.

    It says what it should where a tenth of a clip is pause, and too little of sound that never pauses. From -20 to 100,
    which is no noise at all.
    """
    size, hop = round(FRAME * SAMPLE_RATE), round(HOP * SAMPLE_RATE)
    x = np.asarray(wave, np.float64)
    x = x - x.mean()
    x = np.pad(x, (0, max(size - len(x), 0)))
    total = np.concatenate([[0.0], np.cumsum(np.square(x))])
    starts = np.arange(0, len(x) - size + 1, hop)
    power = np.sort((total[starts + size] - total[starts]) / size)
    floor = power[: max(math.ceil(QUIET * len(power)), 1)].mean()
    signal = max(power.mean() - floor, 1e-12)
    return float(np.clip(10 * np.log10(signal / max(floor, 1e-12)), -20.0, MOST_DB))


def level(wave: np.ndarray) -> float:
    """Root mean square in dB of full scale."""
    return 20 * math.log10(max(float(np.sqrt(np.mean(np.square(wave, dtype=np.float64)))), 1e-6))


def clipped(wave: np.ndarray) -> float:
    """Share of samples at full scale, 0 to 1."""
    return float(np.mean(np.abs(wave) >= FULL))


def _dnsmos(wave: np.ndarray) -> Values:
    x = torch.from_numpy(np.ascontiguousarray(wave, np.float32))
    return {**dnsmos(x, x)}


MEASURES = {
    "snr": Measure(("snr_db",), lambda wave: {"snr_db": snr(wave)}, {}),
    "level": Measure(("level_dbfs",), lambda wave: {"level_dbfs": level(wave)}, {}),
    "clipped": Measure(("clipped",), lambda wave: {"clipped": clipped(wave)}, {}),
    "dnsmos": Measure(JUDGES["dnsmos"].columns, _dnsmos, JUDGES["dnsmos"].modules),
}
SILENT = "silent"  # a column of every measure: 1.0 of a clip without sound


def chosen_measures(text: str) -> list[Measure]:
    """The measures of "snr,dnsmos".

    Raises:
        CodecError: if there is none of a name, or a package is not installed.
    """
    names = list(dict.fromkeys(name.strip() for name in text.split(",")))
    for name in names:
        if name not in MEASURES:
            raise CodecError(f"no quality {name!r}; there are {', '.join(MEASURES)}")
        lacking = [p for module, p in MEASURES[name].modules.items() if importlib.util.find_spec(module) is None]
        if lacking:
            raise CodecError(f"quality {name} needs {', '.join(lacking)}: pip install {' '.join(lacking)}")
    return [MEASURES[name] for name in names]


def columns(measures: list[Measure]) -> tuple[str, ...]:
    """Names of the columns of measures."""
    return (SILENT, *(column for measure in measures for column in measure.columns))


def quality(wave: np.ndarray | None, measures: list[Measure]) -> Values:
    """The columns of a clip; all None if its sound cannot be had."""
    found: Values = dict.fromkeys(columns(measures))
    if wave is None:
        return found
    quiet = silent(torch.from_numpy(np.ascontiguousarray(wave)))
    found[SILENT] = float(quiet)
    for measure in () if quiet else measures:
        found |= measure.values(wave)
    return {
        name: None if value is None or not math.isfinite(value) else round(value, 4) for name, value in found.items()
    }

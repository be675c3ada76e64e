"""How many levels after the base each frame of audio gets, so that a file keeps to a bitrate.

A frame gets the levels that matter more than a threshold, one for the waveform layer and one for the envelope layer
(`WaveformLayer.priorities`, `EnvelopeLayer.priorities`). Both follow from one number, the mean of levels a frame:

    few     the envelope alone: a waveform of fewer than some four levels is worse than none
    more    waveform, and a share of envelope that grows with the rate

The base of a recording is coded once to know what is left for the layers; files are then made until one fits.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..bitstream.bitpacking import code_bits
from ..bitstream.container import BLOCK_FRAMES
from ..entropy.code_tables import EntropyTables, frame_bits
from ..settings import EncoderSettings

WAVEFORM_FROM = 6.0  # levels a frame from which on the waveform is coded
ENVELOPE_THEN, ENVELOPE_SHARE = 1.5, 0.16  # levels of the envelope there, and of each further level
COUNTS_BITS = 5.0  # that zeros at the end of a frame take, about
FILE_BYTES, BLOCK_BYTES = 90, 12  # around the codes of a file, and of a block, about
MAX_PASSES = 5
AIM, CLOSE = 0.998, 0.994  # share of the budget that is aimed at, and that is near enough

Encode = Callable[[EncoderSettings], tuple[bytes, float]]  # settings -> a whole file, seconds of audio in it


@dataclass(frozen=True)
class LayerAnalysis:
    """What is known of a recording once its base is coded.

    Attributes:
        base: codes of the base, [frames, levels].
        waveform, envelope: how much each level of the layers matters, [levels, frames].
        min_levels: the fewest levels of the waveform layer that a frame has, if any.
    """

    base: np.ndarray
    waveform: np.ndarray
    envelope: np.ndarray
    min_levels: int

    @property
    def levels(self) -> int:
        """Of both layers."""
        return len(self.waveform) + len(self.envelope)


def thresholds(analysis: LayerAnalysis, levels: float) -> tuple[float, float]:
    """Thresholds of waveform and envelope that give a frame so many levels on average."""
    envelope = min(levels, float(len(analysis.envelope)))
    waveform = 0.0
    if levels >= min(WAVEFORM_FROM, len(analysis.envelope)):
        share = ENVELOPE_THEN + ENVELOPE_SHARE * (levels - WAVEFORM_FROM)
        envelope = min(envelope, max(share, levels - len(analysis.waveform)))
        waveform = levels - envelope
    return _waveform_threshold(analysis, waveform), _envelope_threshold(analysis, envelope)


def _envelope_threshold(analysis: LayerAnalysis, levels: float) -> float:
    descending = -np.sort(-analysis.envelope.reshape(-1))
    wanted = round(levels * analysis.envelope.shape[1])
    if wanted <= 0:
        return float("inf")
    return float(descending[wanted]) if wanted < len(descending) else float("-inf")


def _waveform_threshold(analysis: LayerAnalysis, levels: float) -> float:
    if levels <= 0:
        return float("inf")
    low, high = float(analysis.waveform.min(initial=0.0)) - 1, float(analysis.waveform.max(initial=0.0)) + 1
    for _ in range(40):
        middle = (low + high) / 2
        counts = (analysis.waveform > middle).sum(0)
        if float((counts * (counts >= analysis.min_levels)).mean()) > levels:
            low = middle
        else:
            high = middle
    return high


def fit_layers(
    encode: Encode,
    analysis: LayerAnalysis,
    settings: EncoderSettings,
    kbps: float,
    codebook_size: int,
    frame_rate: float,
    tables: EntropyTables,
) -> bytes | None:
    """The file with as much of the layers as keeps to a bitrate; None if there is no room for any.

    Args:
        encode: makes the file of all levels with some settings.
        analysis: of the recording.
        settings: of the encoder, of which the thresholds are chosen.
        kbps: thousands of bits per second of the whole file.
        codebook_size: codes of each level.
        frame_rate: frames per second.
        tables: of the model.
    """
    frames = len(analysis.base)
    if not frames:
        return None
    blocks = [analysis.base[first : first + BLOCK_FRAMES] for first in range(0, frames, BLOCK_FRAMES)]
    base_bits = sum(float(frame_bits(block, tables).sum()) for block in blocks)
    per_level = code_bits(codebook_size) * frame_rate
    around = 8 * (FILE_BYTES + BLOCK_BYTES * len(blocks)) + COUNTS_BITS * frames
    levels = (1000 * kbps - (base_bits + around) * frame_rate / frames) / per_level
    best, low, high = None, 0.0, float(analysis.levels)
    for _ in range(MAX_PASSES):
        if levels <= 0:
            break
        levels = min(levels, float(analysis.levels))
        water, envelope = thresholds(analysis, levels)
        data, seconds = encode(dataclasses.replace(settings, water_level=water, envelope_threshold=envelope))
        taken = 8 * len(data) / max(seconds, 1e-9)
        if taken <= 1000 * kbps:
            best, low = data, levels
            if taken >= CLOSE * 1000 * kbps or levels >= analysis.levels:
                break
        else:
            high = levels
        levels += (AIM * 1000 * kbps - taken) / per_level
        if not low < levels < high:
            levels = analysis.levels if high == analysis.levels and levels >= high else (low + high) / 2
    return best

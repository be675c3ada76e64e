"""How many levels after the base each frame of audio gets, so that a file keeps to a bitrate.

A frame gets the levels that matter more than a threshold, one for the waveform layer and one for the envelope layer
(`WaveformLayer.priorities`, `EnvelopeLayer.priorities`). Both follow from one number, the mean of levels a frame:

    fewest  nothing: an envelope of which hardly anything is coded costs PESQ and brings few words
    few     the envelope alone, of the loudest frames at first: a waveform of fewer than some four levels is worse than
            none
    more    waveform, and a share of envelope that grows with the rate

The base of a recording is coded once to know what is left for the layers; files are then made until one fits. Frames
in which nothing is to be heard have no levels, and do not count.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..bitstream.bitpacking import code_bits
from ..bitstream.container import BLOCK_FRAMES
from ..entropy.code_tables import EntropyTables, frame_bits

ENVELOPE_FROM = 0.5  # levels a frame from which on the envelope is coded
WAVEFORM_FROM = 6.0  # levels a frame from which on the waveform is coded
DOUBT = 0.3  # levels by which the first estimate can be too low
ENVELOPE_THEN, ENVELOPE_SHARE = 1.5, 0.16  # levels of the envelope there, and of each further level
COUNTS_BITS = 5.0  # that zeros at the end of a frame take, about
FILE_BYTES, BLOCK_BYTES = 90, 12  # around the codes of a file, and of a block, about
MAX_PASSES = 5
AIM, CLOSE = 0.998, 0.994  # share of the budget that is aimed at, and that is near enough

ROOM, MORE_ROOM = 1.1, 0.5  # times as many levels, and more, are searched than the first trial takes
EVEN, GOLDEN = 0.01, 0.6180339887  # by how much frames that are alike differ, so that some of them can have more levels

Levels = tuple[np.ndarray, np.ndarray]  # of the waveform layer and of the envelope layer, [frames]
Search = Callable[[np.ndarray, np.ndarray, Levels], np.ndarray]  # see `LayerSearch.codes`
Write = Callable[[np.ndarray], tuple[bytes, float]]  # codes [frames, levels] -> a whole file, seconds of audio in it


@dataclass(frozen=True)
class LayerAnalysis:
    """What is known of a recording once its base is coded.

    Attributes:
        base: codes of the base, [frames, levels].
        waveform, envelope: how much each level of the layers matters, [levels, frames]; minus infinity in frames that
            have none.
        min_levels: the fewest levels of the waveform layer that a frame has, if any.
    """

    base: np.ndarray
    waveform: np.ndarray
    envelope: np.ndarray
    min_levels: int

    @property
    def active(self) -> np.ndarray:
        """Frames that can have levels, bool [frames]."""
        return np.isfinite(self.waveform).all(0)

    @property
    def levels(self) -> float:
        """The most levels of both layers that a frame can have on average."""
        return (len(self.waveform) + len(self.envelope)) * float(self.active.mean())

    @property
    def fewest(self) -> float:
        """The fewest levels of both layers on average that are better than none."""
        return min(ENVELOPE_FROM, float(len(self.envelope))) * float(self.active.mean())

    def evened(self) -> LayerAnalysis:
        """The same with frames that are alike told apart by a little, neighbours by most."""
        less = (EVEN * (np.arange(self.waveform.shape[1]) * GOLDEN % 1)).astype(np.float32)
        return LayerAnalysis(self.base, self.waveform - less, self.envelope - less, self.min_levels)


def thresholds(analysis: LayerAnalysis, levels: float) -> tuple[float, float]:
    """Thresholds of waveform and envelope that give a frame so many levels on average."""
    active = analysis.active
    if not active.any():
        return float("inf"), float("inf")
    rows, envelope_rows = analysis.waveform[:, active], analysis.envelope[:, active]
    levels = levels / float(active.mean())
    envelope = min(levels, float(len(envelope_rows)))
    waveform = 0.0
    if levels >= min(WAVEFORM_FROM, len(envelope_rows)):
        share = ENVELOPE_THEN + ENVELOPE_SHARE * (levels - WAVEFORM_FROM)
        envelope = min(envelope, max(share, levels - len(rows)))
        waveform = levels - envelope
    return _waveform_threshold(rows, analysis.min_levels, waveform), _envelope_threshold(envelope_rows, envelope)


def counts(analysis: LayerAnalysis, levels: float) -> Levels:
    """How many levels of waveform and envelope each frame has, so many on average."""
    water, envelope = thresholds(analysis, levels)
    waveform = (analysis.waveform > water).sum(0)
    return waveform * (waveform >= analysis.min_levels), (analysis.envelope > envelope).sum(0)


def _envelope_threshold(envelope: np.ndarray, levels: float) -> float:
    descending = -np.sort(-envelope.reshape(-1))
    wanted = round(levels * envelope.shape[1])
    if wanted <= 0:
        return float("inf")
    return float(descending[wanted]) if wanted < len(descending) else float("-inf")


def _waveform_threshold(waveform: np.ndarray, min_levels: int, levels: float) -> float:
    if levels <= 0:
        return float("inf")
    low, high = float(waveform.min(initial=0.0)) - 1, float(waveform.max(initial=0.0)) + 1
    for _ in range(40):
        middle = (low + high) / 2
        counts = (waveform > middle).sum(0)
        if float((counts * (counts >= min_levels)).mean()) > levels:
            low = middle
        else:
            high = middle
    return high


@dataclass(frozen=True)
class Fitted:
    """A file that keeps to a bitrate.

    Attributes:
        data: its bytes.
        full: whether all frames have all the levels that they can have.
    """

    data: bytes
    full: bool


def fit_layers(
    search: Search,
    write: Write,
    analysis: LayerAnalysis,
    kbps: float,
    codebook_size: int,
    frame_rate: float,
    tables: EntropyTables,
) -> Fitted | None:
    """The file with as much of the layers as keeps to a bitrate; None if there is room for too few, or nothing to code.

    Args:
        search: codes of the recording for some numbers of levels.
        write: makes a file of codes.
        analysis: of the recording.
        kbps: thousands of bits per second of the whole file.
        codebook_size: codes of each level.
        frame_rate: frames per second.
        tables: of the model.
    """
    frames, most = len(analysis.base), analysis.levels if len(analysis.base) else 0.0
    if not most:
        return None
    blocks = [analysis.base[first : first + BLOCK_FRAMES] for first in range(0, frames, BLOCK_FRAMES)]
    base_bits = sum(float(frame_bits(block, tables).sum()) for block in blocks)
    per_level = code_bits(codebook_size) * frame_rate
    around = 8 * (FILE_BYTES + BLOCK_BYTES * len(blocks)) + COUNTS_BITS * frames
    levels = (1000 * kbps - (base_bits + around) * frame_rate / frames) / per_level
    if levels <= max(0.0, analysis.fewest - DOUBT):
        return None
    levels = max(levels, analysis.fewest)
    best, low, high = None, analysis.fewest, most
    room: Levels | None = None
    for _ in range(MAX_PASSES):
        levels = min(levels, most)
        room = room or counts(analysis, min(ROOM * levels + MORE_ROOM, most))
        data, seconds = write(search(*counts(analysis, levels), room))
        taken = 8 * len(data) / max(seconds, 1e-9)
        if taken <= 1000 * kbps:
            best, low = Fitted(data, levels >= most), levels
            if taken >= CLOSE * 1000 * kbps or levels >= most:
                break
        elif levels <= analysis.fewest:
            break
        else:
            high = levels
        levels += (AIM * 1000 * kbps - taken) / per_level
        if not low < levels < high:
            levels = most if high == most and levels >= high else (low + high) / 2
    return best

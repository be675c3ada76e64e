"""Codes of cuts of Lhotse (https://github.com/lhotse-speech/lhotse) as `tokens export --to lhotse` writes them.

    from lhotse import CutSet
    cuts = CutSet.from_shar(in_dir="out/shar").map(drop_stale)
    for cut in windows(cuts, frames=64):
        codes = load_codes(cut)                     # int64 [64, n_q], -1 behind the end of padded cuts

`cut.load_codes()` is what Lhotse itself gives: it rounds times to the nearest frame, so that windows of 0.5 s (6.25
frames of 80 ms) lose rows, and it goes on giving the codes of a sound whose speed, volume or room was changed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from ..errors import CodesError
from .clips import PADDING
from .export_lhotse import CODES

_NEAR = 1e-6  # of a frame, by which sums of seconds may be off


def stale(cut: Any) -> bool:
    """Whether codes of a cut are no longer those of its sound: it was changed, or mixed with another."""
    parts = sounding(cut)
    if len(parts) != 1 or any(track.snr is not None for track in getattr(cut, "tracks", ())):
        return True
    if getattr(cut, "transforms", None):
        return True
    recording = parts[0].recording
    return recording is not None and bool(recording.transforms)


def sounding(cut: Any) -> list[Any]:
    """The parts of a cut that are no padding: itself, or those of a mixed cut."""
    parts = [track.cut for track in cut.tracks] if hasattr(cut, "tracks") else [cut]
    return [part for part in parts if hasattr(part, "supervisions") and hasattr(part, "recording")]


def drop_stale(cut: Any) -> Any:
    """The cut, without codes if they are no longer those of its sound; for `CutSet.map`."""
    if not stale(cut):
        return cut
    if hasattr(cut, "tracks"):
        return replace(cut, tracks=[replace(track, cut=_without(track.cut)) for track in cut.tracks])
    return _without(cut)


def _without(part: Any) -> Any:
    """A copy without codes: cuts share what they hold with those that they were made from."""
    custom = {key: value for key, value in (getattr(part, "custom", None) or {}).items() if key != CODES}
    return replace(part, custom=custom) if hasattr(part, "custom") else part


def frame_range(cut: Any) -> tuple[int, int]:
    """The first frame that is heard in a cut, and the first that is not.

    Raises:
        CodesError: if the cut has no codes.
    """
    array = (cut.custom or {}).get(CODES)
    if array is None:
        raise CodesError(f"cut {cut.id!r} has no codes")
    begin = (cut.start - array.start) / array.frame_shift
    end = begin + cut.duration / array.frame_shift
    return max(math.floor(begin + _NEAR), 0), min(math.ceil(end - _NEAR), array.shape[array.temporal_dim])


def load_codes(cut: Any) -> np.ndarray:
    """Codes of every frame that is heard in a cut, int64 [n_frames, n_q]; -1 where it was padded.

    Raises:
        CodesError: if it has none, or its sound was changed since.
    """
    if stale(cut):
        raise CodesError(f"cut {cut.id!r}: its sound was changed or mixed, its codes are those of before; drop_stale")
    part = sounding(cut)[0]
    begin, end = frame_range(part)
    array = part.custom[CODES]
    codes = array.load()[begin:end].astype(np.int64)
    if part is cut:
        return codes
    offset = next(track.offset for track in cut.tracks if track.cut is part)
    before = round(offset / array.frame_shift)
    size = max(math.ceil(cut.duration / array.frame_shift - _NEAR), before + len(codes))
    return np.pad(codes, ((before, size - before - len(codes)), (0, 0)), constant_values=PADDING)


def windows(cuts: Iterable[Any], frames: int) -> Iterator[Any]:
    """Cuts of `frames` whole frames each, fewer at the end of a cut; a part of a last frame belongs to it.

    Raises:
        CodesError: if a cut has no codes, or there are no frames.
    """
    if frames < 1:
        raise CodesError(f"a window has at least one frame, not {frames}")
    for cut in cuts:
        begin, end = frame_range(cut)
        array = cut.custom[CODES]
        for first in range(begin, end, frames):
            offset = max(array.start + first * array.frame_shift - cut.start, 0.0)
            stop = array.start + min(first + frames, end) * array.frame_shift - cut.start
            piece = cut.truncate(offset=offset, duration=min(stop, cut.duration) - offset, preserve_id=True)
            piece.id = f"{cut.id}-{first}"
            yield piece

"""How many levels after the base are of use, without torch: a few of a waveform layer by frame are none."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any


def useful_levels(n_q: int, base: int, positions: Collection[int], fewest: int) -> int:
    """The most levels up to `n_q` of which a decoder uses the last one.

    Args:
        n_q: levels of all frames.
        base: levels before those of the layers.
        positions: those of the envelope layer, among those after the base.
        fewest: levels of the waveform layer that are used at all.
    """
    for count in range(n_q - base, 0, -1):
        waveform = count - sum(k < count for k in positions)
        if count - 1 in positions or waveform >= fewest:
            return base + count
    return min(n_q, base)


def useful_in(values: dict[str, Any], n_q: int) -> int:
    """`useful_levels` of the audio model whose `config.json` holds `values`; `n_q` if that does not say.

    A file of `n_q` levels and one of so many decode to the same.
    """
    config = values.get("config", {})
    try:
        waveform, base = config.get("waveform") or {}, 1 + config["quantizer"]["acoustic_levels"]
        if not waveform.get("by_frame"):
            return n_q
        positions = (config.get("envelope") or {"positions": ()})["positions"]
        return useful_levels(n_q, base, positions, min(waveform["min_levels"], waveform["levels"]))
    except (KeyError, TypeError, AttributeError):
        return n_q


def base_in(values: dict[str, Any], levels: int) -> int:
    """Levels of the base of the audio model whose `config.json` holds `values`; `levels` if that does not say."""
    config = values.get("config", {})
    try:
        return 1 + int(config["quantizer"]["acoustic_levels"]) if config.get("waveform") else levels
    except (KeyError, TypeError, AttributeError):
        return levels

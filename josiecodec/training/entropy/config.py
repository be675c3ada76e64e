"""Sizes of context models, and how they and the tables are fitted."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ContextConfig:
    """Size of a context model.

    Attributes:
        levels: that it is for; deeper ones gain nothing.
        width: dimensions in which it sees codes: the first principal axes of all sums of codes.
        outer, hidden: widths of the layers that see the neighbourhood, and of those that see the levels before.
    """

    levels: int = 12
    width: int = 96
    outer: int = 256
    hidden: int = 256


AUDIO_CONTEXT = ContextConfig(levels=9, width=64, outer=128, hidden=128)
VISION_CONTEXT = ContextConfig()
AUDIO_CLASSES, VISION_CLASSES = 32, 24  # of the codes of a level, in tables
AUDIO_CONTEXT_LEVELS = 2  # whose tables have contexts; deeper ones gain nothing from them
LAMBDAS = (0.002, 0.3)  # range of the lambdas at which codes of pictures are counted
FULL_SHARE = 0.15  # share of the pictures that have all levels everywhere
PRIOR = 20.0  # observations that a context, or a code, is worth before it has any
HELD_OUT = 20  # every so many-th picture or block is held out: it decides whether a context model is worth its bytes
MAX_BEAMS = 4  # of the search for the codes that are counted
LAYER_SECONDS = 1200.0  # of audio, whose levels after the base are counted
NEW_LR, WARM_LR = 1.5e-3, 8e-4  # of a new context model, and of one with a warm start

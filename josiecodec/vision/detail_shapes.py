"""The numbers of a detail layer: their shapes by name, and which coefficients are coded together."""

from __future__ import annotations

import numpy as np

from .block_arrays import COEFFICIENTS, SIDE
from .block_shapes import PLACES
from .config import DetailConfig
from .detail_network import MAX_COUNT
from .detail_steps import PER_KNOWN, STEPS

MAX_SYMBOL = 15  # coefficients of greater size have a symbol for "more", and the rest coded after it
SHRINK = 0.05  # of a step: coefficients lie a little nearer to zero than the middle of their step
DECISIONS, CLASSES, GUESSES, BANDS = (
    3,
    8,
    7,
    8,
)  # of coefficients that are coded bit by bit, see `coding/detail_bits.py`
CODING = ("frequencies", "decisions", "chances", "mixing")  # numbers that are not the network's
FILTER_DEPTHS = (4, 8)  # blocks of the filters that there are graphs of
KNOWN_STEPS = -(-STEPS // PER_KNOWN)


def passes_of(splits: tuple[tuple[int, ...], ...]) -> tuple[np.ndarray, ...]:
    """Coefficients of each pass, from where each colour's passes end in the zigzag order."""
    size = SIDE * SIDE
    kinds = (splits[0], splits[1], splits[1])
    return tuple(
        np.concatenate([color * size + np.arange(ends[k - 1] if k else 0, ends[k]) for color, ends in enumerate(kinds)])
        for k in range(len(splits[0]))
    )


def shapes_of(config: DetailConfig, latent_dim: int, patch: int) -> dict[str, tuple[int, ...]]:
    """Shapes of the whole numbers of a layer, int32, by the names that `DetailNetwork` has for them; and
    those that coefficients are coded with: "frequencies" of the symbols at each scale, or with dependent quantization
    logits of "decisions" by quantizer and scale, "chances" of contexts, and weights of guesses ("mixing")."""
    blocks = (patch // SIDE) ** 2
    width, hidden = config.channels, config.channels * config.expansion
    passes = passes_of(config.splits)
    shapes: dict[str, tuple[int, ...]] = {"matrix": (latent_dim, blocks * COEFFICIENTS)}
    shapes["offset"] = (blocks * COEFFICIENTS,)
    shapes |= {"count": (MAX_COUNT + 1, width), "step": (KNOWN_STEPS, width)}
    if config.strengths > 1:
        shapes["strength"] = (config.strengths, width)
    if config.shapes > 1:
        places = PLACES * config.shapes
        shapes |= {"shape": (places, width), "offsets": (places, COEFFICIENTS)}
    shapes |= _linear("input", COEFFICIENTS, width)
    for k in range(sum(config.blocks)):
        shapes |= {f"blocks.{k}.depth.weight": (9, width), f"blocks.{k}.depth.bias": (width,)}
        shapes |= _linear(f"blocks.{k}.expand", width, hidden) | _linear(f"blocks.{k}.contract", hidden, width)
    for k, members in enumerate(passes):
        shapes |= _linear(f"heads.{k}", width, len(members))
        if k + 1 < len(passes):
            shapes |= _linear(f"seen.{k}", 2 * len(members), width)
    if config.states == 1:
        shapes["frequencies"] = (config.scales, 2 * MAX_SYMBOL + 1)
    else:
        contexts = DECISIONS * CLASSES * (3 * 2 * config.scales + COEFFICIENTS + CLASSES**2)
        shapes |= {"decisions": (2 * config.scales, MAX_SYMBOL), "chances": (contexts,)}
        shapes["mixing"] = (len(passes), DECISIONS, BANDS, GUESSES)
    return shapes


def filter_margin(config: DetailConfig) -> int:
    """Patches that the filter looks beyond each patch."""
    reach = config.filter_blocks * (config.filter_kernel // 2) * config.fine
    return -(-reach // (2 * SIDE))


def filter_graph(config: DetailConfig) -> str:
    """The graph that runs the filter without torch, by its depth."""
    return "picture_filter" + (f"_{config.filter_blocks}" if config.filter_blocks != FILTER_DEPTHS[0] else "")


def _linear(name: str, inputs: int, outputs: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}

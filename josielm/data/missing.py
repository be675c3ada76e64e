"""Leaving modalities out: in training now and then, so that a model can do without, and to measure what each is worth.

What is left out is ABSENT, as what never was there: it adds nothing and is neither predicted nor counted.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from ..model.config import VisionConfig
from ..model.ids import Ids
from ..model.language_model import Inputs
from .modalities import MODALITIES, MissingConfig, Modality


def without(inputs: Inputs, gone: dict[Modality, Tensor], ids: Ids, vision: VisionConfig | None = None) -> Inputs:
    """A batch less some modalities.

    Args:
        inputs: whole.
        gone: bool [B] by modality, True for the clips that are to lack it.
        ids: of the model.
        vision: of the model.
    """
    changed: dict[str, Tensor] = {}
    fields: tuple[tuple[Modality, str, int], ...] = (
        ("sound", "codes", ids.absent),
        ("text", "text", ids.text_absent),
        ("user", "user", ids.absent),
    )
    for name, field, absent in fields:
        rows, mask = getattr(inputs, field), gone.get(name)
        if rows is not None and mask is not None:
            changed[field] = torch.where(mask.to(rows.device).view(-1, *[1] * (rows.dim() - 1)), absent, rows)
    mask = gone.get("vision")
    if inputs.vision is not None and vision is not None and mask is not None:
        lost = mask.to(inputs.vision.device).view(-1, 1, 1)
        changed["vision"] = torch.where(lost, vision.codebook_size + 1, inputs.vision)
    return replace(inputs, **changed)


def drop(
    inputs: Inputs, config: MissingConfig, ids: Ids, vision: VisionConfig | None, generator: torch.Generator
) -> Inputs:
    """Leave modalities out at random, each clip by itself; `generator` is on the CPU."""
    batch = len(next(x for x in (inputs.codes, inputs.text, inputs.user) if x is not None))
    drawn = torch.rand(len(MODALITIES), batch, generator=generator)
    gone = {name: drawn[n] < getattr(config, name) for n, name in enumerate(MODALITIES)}
    gone["text"] &= ~gone["sound"]
    if inputs.text is None:
        gone["sound"] &= False
    else:  # a clip that has no text has nothing but its sound
        gone["sound"] &= (inputs.text != ids.text_absent).any(1).cpu()
    return without(inputs, gone, ids, vision)

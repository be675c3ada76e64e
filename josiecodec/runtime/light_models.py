"""Opening a model without torch."""

from __future__ import annotations

from pathlib import Path

from ..errors import ModelError
from ..shipped import find_local
from .audio_codec import AudioCodec
from .choose import WITHOUT_TORCH, model_reason, picture_reason
from .model_files import audio_config
from .picture_codec import PictureCodec


def light_model(name: str | Path, threads: int | None = None) -> AudioCodec | PictureCodec:
    """A model by its name or folder.

    Args:
        name: of a model of the package, or its folder.
        threads: of the CPU; None for as many as there are.

    Raises:
        ModelError: if there is none, or only torch runs it.
    """
    place = find_local(name)
    if place is None:
        raise ModelError(f"{name} needs torch, which is not installed: {WITHOUT_TORCH}")
    sound = audio_config(place) is not None
    why = model_reason(place) if sound else picture_reason(place)
    if why is not None:
        raise ModelError(f"{why}, which is not installed: {WITHOUT_TORCH}")
    return AudioCodec(place, threads) if sound else PictureCodec(place, threads)

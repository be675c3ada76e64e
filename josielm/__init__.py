"""Language models over josiecodec's tokens (a temporal transformer over frames, a depth transformer over levels), and
voices that speak text."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .inference.generate import generate, reply
    from .inference.sampling import Draw, Sampling
    from .inference.stream import LMStream
    from .model.config import ModelConfig
    from .model.language_model import LM, Inputs, LMOutput
    from .model.presets import preset
    from .speech.speak import Speaker
    from .speech.store import load_voice
    from .store import Trained, load, save
    from .training.config import TrainConfig

__all__ = [
    "LM",
    "Draw",
    "Inputs",
    "LMOutput",
    "LMStream",
    "ModelConfig",
    "Sampling",
    "Speaker",
    "TrainConfig",
    "Trained",
    "generate",
    "load",
    "load_voice",
    "preset",
    "reply",
    "save",
]

# Imported when they are asked for: settings and the command line should not wait for torch.
_PLACES = {
    "LM": ".model.language_model",
    "Draw": ".inference.sampling",
    "Inputs": ".model.language_model",
    "LMOutput": ".model.language_model",
    "LMStream": ".inference.stream",
    "ModelConfig": ".model.config",
    "Sampling": ".inference.sampling",
    "Speaker": ".speech.speak",
    "TrainConfig": ".training.config",
    "Trained": ".store",
    "generate": ".inference.generate",
    "load": ".store",
    "load_voice": ".speech.store",
    "preset": ".model.presets",
    "reply": ".inference.generate",
    "save": ".store",
}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_PLACES[name], __name__), name)


def __dir__() -> list[str]:
    return sorted(__all__)

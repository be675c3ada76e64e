"""A language model over josiecodec's tokens: a temporal transformer over frames, a depth transformer over levels."""

from .inference.generate import generate, reply
from .inference.sampling import Draw, Sampling
from .inference.stream import LMStream
from .model.config import ModelConfig, TrainConfig
from .model.language_model import LM, Inputs, LMOutput
from .model.presets import preset
from .store import Trained, load, save

__all__ = [
    "LM",
    "Draw",
    "Inputs",
    "LMOutput",
    "LMStream",
    "ModelConfig",
    "Sampling",
    "TrainConfig",
    "Trained",
    "generate",
    "load",
    "preset",
    "reply",
    "save",
]

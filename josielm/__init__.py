"""A language model over josiecodec's tokens: a temporal transformer over frames, a depth transformer over levels."""

from .config import ModelConfig, TrainConfig
from .generate import generate, reply
from .model import LM, Inputs, LMOutput
from .presets import preset
from .sampling import Draw, Sampling
from .store import Trained, load, save
from .stream import LMStream

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

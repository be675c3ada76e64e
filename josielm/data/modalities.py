"""Modalities by name, and how often each is left out in training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from josiecodec.errors import ConfigError

Modality = Literal["sound", "text", "user", "vision"]
MODALITIES: tuple[Modality, ...] = ("sound", "text", "user", "vision")


@dataclass(frozen=True)
class MissingConfig:
    """How often a clip lacks each modality in training; own sound and text are never left out together.

    Attributes:
        sound, text, user, vision: shares of the clips, in [0, 1): own sound, text, the other speaker, pictures.
    """

    sound: float = 0.0
    text: float = 0.0
    user: float = 0.0
    vision: float = 0.0

    def __post_init__(self) -> None:
        if not all(0 <= getattr(self, name) < 1 for name in MODALITIES):
            raise ConfigError("missing: shares must be in [0, 1)")

    @property
    def any(self) -> bool:
        """Whether anything is ever left out."""
        return any(getattr(self, name) for name in MODALITIES)

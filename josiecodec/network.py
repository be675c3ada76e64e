"""What the networks of all codecs have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import nn

from .settings import EncoderSettings, checked_levels


class CodecNetwork(nn.Module, ABC):
    """Base of the networks of audio and of vision: tensors to codes and back, without files or rates.

    Attributes:
        config: its configuration; has a `name` and `encoding`, the encoder settings it was made with.
        settings: encoder settings where a call gives no others; may be replaced at any time.
    """

    config: Any
    settings: EncoderSettings

    def __init__(self, config: Any):
        super().__init__()
        self.config = config
        self.settings = config.encoding

    @property
    @abstractmethod
    def n_q(self) -> int:
        """Levels that the model has."""

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return next(self.parameters()).device

    def levels(self, n_q: int | None, settings: EncoderSettings | None = None) -> int:
        """`n_q`, or for None that of `settings` (of the network's own, if they are None, too).

        Raises:
            CodesError: if it is no number of levels of this model.
        """
        return checked_levels(n_q, settings or self.settings, self.n_q)

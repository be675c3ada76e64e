"""A model's files without torch: its configuration, and its weights as arrays, which stay on disk until used."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from ..audio.config import JodioConfig
from ..errors import ModelError
from ..hub.config_files import layout_of, read_config
from ..vision.config import DetailConfig, JovioConfig
from ..vision.presets import JOVIO_16
from ..weight_files import WEIGHTS_FILE, weights_bytes


class Weights(Mapping[str, np.ndarray]):
    """The tensors of a model by their names in files.

    Args:
        folder: of the model.

    Raises:
        ModelError: if they cannot be read.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self._open: Any = None
        self._arrays: dict[str, np.ndarray] = {}
        try:
            if (folder / WEIGHTS_FILE).is_file():
                self._open = safetensors.safe_open(str(folder / WEIGHTS_FILE), "np")
                self._names = list(self._open.keys())
            else:
                self._arrays = safetensors.numpy.load(weights_bytes(folder))
                self._names = list(self._arrays)
        except (OSError, safetensors.SafetensorError) as error:
            raise ModelError(f"{folder}: its weights cannot be read ({error})") from None

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self._names:
            raise KeyError(name)
        try:
            return self._arrays[name] if self._open is None else self._open.get_tensor(name)
        except (OSError, TypeError, safetensors.SafetensorError) as error:
            raise ModelError(f"{self.folder}: {name} cannot be read ({error})") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


@lru_cache(maxsize=2)
def weights_of(folder: Path) -> Weights:
    """The tensors of a model, opened once: to see whether it can be run, and to run it.

    Raises:
        ModelError: if they cannot be read.
    """
    return Weights(folder)


def audio_config(folder: Path) -> JodioConfig | None:
    """The configuration of a model of audio in our layout; None of any other.

    Raises:
        ModelError: if it cannot be read.
    """
    if not folder.is_dir() or layout_of(folder) != "josiecodec":
        return None
    config = read_config(folder)
    return config if isinstance(config, JodioConfig) else None


def vision_config(folder: Path) -> JovioConfig | None:
    """The configuration of a model of vision in our layout whose networks are those of the graphs; None of any other.

    Raises:
        ModelError: if it cannot be read.
    """
    if not folder.is_dir() or layout_of(folder) != "josiecodec":
        return None
    config = read_config(folder)
    return config if isinstance(config, JovioConfig) and _usual(config) else None


def _usual(config: JovioConfig) -> bool:
    """Whether the parts of a model are those that the graphs and the NumPy code around them know."""
    detail, plain = config.detail, DetailConfig()
    parts = config.patch, config.latent_dim, config.encoder, config.decoder
    if parts != (16, JOVIO_16.latent_dim, JOVIO_16.encoder, JOVIO_16.decoder):
        return False
    if detail is None:
        return True
    # Of the network of whole numbers and of what its symbols are coded with.
    free = {"splits", "channels", "expansion", "blocks", "scales", "strengths", "shapes", "states"}
    return all(getattr(detail, f.name) == getattr(plain, f.name) for f in fields(detail) if f.name not in free)

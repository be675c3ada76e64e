"""A model's files without torch: its configuration, and its weights as arrays, which stay on disk until used."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields
from functools import lru_cache
from pathlib import Path

import numpy as np
import safetensors

from ..audio.config import JodioConfig
from ..errors import ModelError
from ..fingerprint import CONFIG_FILE, ENCODER_FILE
from ..hub.config_files import layout_of, read_config
from ..vision.config import DetailConfig, JovioConfig
from ..vision.detail_shapes import FILTER_DEPTHS
from ..vision.presets import JOVIO_16
from ..weight_files import shared_names, weights_files

State = tuple[tuple[int, int, int], ...]  # of files


class Weights(Mapping[str, np.ndarray]):
    """The tensors of a model by their names in files, which stay on disk until they are asked for.

    Args:
        folder: of the model.

    Raises:
        ModelError: if they cannot be read.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        try:
            paths = weights_files(folder)
            self._files = [safetensors.safe_open(str(path), "np") for path in paths]
            self._places = {name: file for file in reversed(self._files) for name in file.keys()}  # noqa: SIM118
            names = self._files[0].keys() if len(paths) == 1 else shared_names(paths[0])
            self._places = {name: self._places[name] for name in names}
        except (OSError, KeyError, safetensors.SafetensorError) as error:
            raise ModelError(f"{folder}: its weights cannot be read ({error})") from None

    def __getitem__(self, name: str) -> np.ndarray:
        place = self._places[name]
        try:
            value: np.ndarray = place.get_tensor(name)
            return value
        except (OSError, TypeError, safetensors.SafetensorError) as error:
            raise ModelError(f"{self.folder}: {name} cannot be read ({error})") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


def weights_of(folder: Path) -> Weights:
    """The tensors of a model, opened once as long as its files stay what they are: to see whether it can be run, and to
    run it.

    Raises:
        ModelError: if they cannot be read.
    """
    return _open(folder, _state(weights_files(folder)))


@lru_cache(maxsize=2)
def _open(folder: Path, _: State) -> Weights:
    return Weights(folder)


def audio_config(folder: Path) -> JodioConfig | None:
    """The configuration of a model of audio in our layout; None of any other.

    Raises:
        ModelError: if it cannot be read.
    """
    if not folder.is_dir() or layout_of(folder) != "josiecodec":
        return None
    config = _config(folder)
    return config if isinstance(config, JodioConfig) else None


def vision_config(folder: Path) -> JovioConfig | None:
    """The configuration of a model of vision in our layout whose networks are those of the graphs; None of any other.

    Raises:
        ModelError: if it cannot be read.
    """
    if not folder.is_dir() or layout_of(folder) != "josiecodec":
        return None
    config = _config(folder)
    return config if isinstance(config, JovioConfig) and _usual(config) else None


def _config(folder: Path) -> JodioConfig | JovioConfig:
    """The configuration of a model, read once as long as its files stay what they are."""
    return _read(folder, _state([folder / CONFIG_FILE, folder / ENCODER_FILE]))


@lru_cache(maxsize=4)
def _read(folder: Path, _: State) -> JodioConfig | JovioConfig:
    return read_config(folder)


def _state(files: list[Path]) -> State:
    """By what files are told from later ones of the same names; of those that are there."""
    found = [path.stat() for path in files if path.is_file()]
    return tuple((file.st_ino, file.st_size, file.st_mtime_ns) for file in found)


def _usual(config: JovioConfig) -> bool:
    """Whether the parts of a model are those that the graphs and the NumPy code around them know."""
    detail, plain = config.detail, DetailConfig()
    parts = config.patch, config.latent_dim, config.encoder, config.decoder
    if parts != (16, JOVIO_16.latent_dim, JOVIO_16.encoder, JOVIO_16.decoder):
        return False
    if detail is None:
        return True
    # Of the network of whole numbers and of what its symbols are coded with.
    free = {"splits", "channels", "expansion", "blocks", "scales", "strengths", "shapes", "states", "bases"}
    if detail.filter_blocks not in FILTER_DEPTHS:
        return False
    free.add("filter_blocks")
    return all(getattr(detail, f.name) == getattr(plain, f.name) for f in fields(detail) if f.name not in free)

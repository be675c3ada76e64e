"""Small models and sounds that all tests share. Nothing here needs a network or any data."""

from __future__ import annotations

import os
from pathlib import Path

# Tests run side by side (see pyproject.toml), each with a thread of its own; so do the processes that they start.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
import torch
from kit.audio import RATE, tiny_model
from torch import Tensor

from josiecodec.coding.jodio import Jodio

SHARED = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


@pytest.fixture(scope="session", params=["spectral", "seanet", "mimi"])
def model(request) -> Jodio:
    """Every causal family in turn."""
    return tiny_model(request.param)


@pytest.fixture(scope="session")
def spectral() -> Jodio:
    return tiny_model("spectral")


@pytest.fixture(scope="session")
def valid_pictures() -> list[Tensor]:
    """A few real pictures [3, H, W]: of the data, if they are at hand; else the originals of the contact sheet."""
    from josiecodec.media.images import load_image

    folder = SHARED / "vision" / "valid" / "images"
    if not folder.is_dir():
        sheet = load_image(Path(__file__).parents[1] / "docs" / "contact_sheet.webp")
        return list(sheet[:, :, :320].split(450, 1))  # its first column
    return [load_image(path) for path in sorted(folder.iterdir())[::8]]


@pytest.fixture(scope="session")
def valid_speech() -> list[tuple[str, Tensor]]:
    """A few real recordings, where the data are at hand; else the sample that comes with the package."""
    folder = SHARED / "audio" / "valid"
    from josiecodec.media.audio_reader import load_audio

    if not folder.is_dir():
        sample = Path(__file__).parents[1] / "josiecodec" / "samples" / "speech.flac"
        return [(sample.name, load_audio(sample).samples[0, : 12 * RATE])]
    files = ("resemblyzer_01.flac", "flashcards_01.flac")
    return [(name, load_audio(folder / name).samples[0, : 12 * RATE]) for name in files]

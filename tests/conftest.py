"""Small models and sounds that all tests share. Nothing here needs a network or any data."""

from __future__ import annotations

import dataclasses
import math
import os
import subprocess
import sys
from pathlib import Path

# Tests run side by side (see pyproject.toml), each with a thread of its own; so do the processes that they start.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
import torch
from torch import Tensor

from josiecodec.audio.config import JodioConfig, QuantizerConfig
from josiecodec.audio.jodio import Jodio
from josiecodec.audio.mimi import MimiConfig
from josiecodec.audio.seanet import SeaNetConfig
from josiecodec.audio.spectral import SpectralDecoderConfig, SpectralEncoderConfig
from josiecodec.nn.transformer import TransformerConfig

RATE = 24000
SHARED = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def tiny_config(kind: str = "spectral", **changes) -> JodioConfig:
    """A model of the real structure and frame rate, but a few thousand parameters."""
    shared = {} if kind == "mimi" else {"shared_from": 3, "semantic_dim": 24, "beams": 3}
    quantizer = changes.pop("quantizer", QuantizerConfig(acoustic_levels=5, codebook_size=64, dim=16, **shared))
    transformer = TransformerConfig(dim=32, layers=1, heads=2, hidden=48, dropout=0.0, context=6)
    if kind == "spectral":
        encoder = SpectralEncoderConfig(channels=(32, 32), blocks=(1, 1), fine=240)
        decoder = SpectralDecoderConfig(channels=(32, 32, 32), blocks=(1, 1, 1), told=True)
    elif kind == "mimi":
        quantizer = dataclasses.replace(quantizer, mode="mimi")
        transformer = dataclasses.replace(
            transformer, norm="layer", activation="gelu", layer_scale=0.5, final_norm=False
        )
        encoder = decoder = MimiConfig(channels=4, transformer=transformer)
    else:
        encoder = decoder = SeaNetConfig(channels=(4, 4, 8, 8, 16))
        changes |= {"encoder_transformer": transformer, "decoder_transformer": transformer}
    return JodioConfig(
        name=f"tiny-{kind}",
        latent_dim=32,
        default_n_q=4,
        encoder=encoder,
        decoder=decoder,
        quantizer=quantizer,
        **changes,
    )


def tiny_model(kind: str = "spectral", **changes) -> Jodio:
    """A tiny model whose codebooks fit what its encoder gives, so that codes vary as in a trained one."""
    torch.manual_seed(1)
    model = Jodio(tiny_config(kind, **changes)).eval()
    with torch.no_grad():
        if kind == "spectral":  # zeroed, it would hide what it does
            model.encoder.fine_proj.weight.normal_(std=0.02)
        latent = model.latent(speechlike(60, batch=10))
        model.initialise_codebooks(latent.reshape(-1, latent.shape[-1]), torch.Generator().manual_seed(0))
        if getattr(model.decoder, "coarseness", None) is not None:
            model.decoder.coarseness.weight.normal_(std=0.05)
    return model


def speechlike(frames: float, batch: int = 1, seed: int = 0, rate: int = RATE) -> Tensor:
    """Voiced and noisy stretches with pauses: [batch, 1, frames * 1920]."""
    random = torch.Generator().manual_seed(seed)
    samples = round(frames * 1920)
    time = torch.arange(samples) / rate
    rows = []
    for _ in range(batch):
        pitch = 90 + 120 * torch.rand(1, generator=random) + 20 * torch.sin(2 * math.pi * 0.7 * time)
        phase = 2 * math.pi * torch.cumsum(pitch, 0) / rate
        voice = sum(torch.sin(k * phase) / k for k in range(1, 12))
        syllables = torch.sin(2 * math.pi * 2.3 * time + 6 * torch.rand(1, generator=random)).clamp_min(0)
        noise = torch.randn(samples, generator=random) * torch.sin(2 * math.pi * 0.9 * time).clamp_min(0)
        rows.append(0.15 * voice * syllables + 0.02 * noise + 0.0005 * torch.randn(samples, generator=random))
    return torch.stack(rows)[:, None]


@pytest.fixture(scope="session", params=["spectral", "seanet", "mimi"])
def model(request) -> Jodio:
    """Every causal family in turn."""
    return tiny_model(request.param)


@pytest.fixture(scope="session")
def spectral() -> Jodio:
    return tiny_model("spectral")


def run_cli(*args: object, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own; it must exit with `code`, and never with a traceback."""
    command = [sys.executable, "-W", "ignore", "-m", "josiecodec_cli.main", *map(str, args)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done


def run(*args: object, code: int = 0) -> str:
    """What the command line says: on standard output, or, if it is to fail, on standard error."""
    done = run_cli(*args, code=code)
    return done.stderr if code else done.stdout


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

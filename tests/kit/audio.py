"""Small models of audio, and sounds like speech. Nothing here needs a network or any data."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import soundfile
import torch
from torch import Tensor

from josiecodec.audio.bit_plan import BandStep
from josiecodec.audio.config import JodioConfig
from josiecodec.audio.envelope_layer import EnvelopeLayerConfig
from josiecodec.audio.low_band_filter import LowBandFilterConfig
from josiecodec.audio.mimi import MimiConfig
from josiecodec.audio.seanet import SeaNetConfig
from josiecodec.audio.spectral import SpectralDecoderConfig, SpectralEncoderConfig
from josiecodec.audio.waveform_layer import WaveformLayerConfig
from josiecodec.coding.jodio import Jodio
from josiecodec.hub.store import load, save
from josiecodec.nn.transformer import TransformerConfig
from josiecodec.quantization.config import SplitQuantizerConfig
from josiecodec.settings import EncoderSettings
from josiecodec.training.audio.data import load_recordings
from josiecodec.training.entropy.trainer import make_tables

RATE = 24000
BASE = 6  # levels of a tiny model
POSITIONS = (0, 2)  # of the envelope layer of `layered_model`


def tiny_config(kind: str = "spectral", **changes) -> JodioConfig:
    """A model of the real structure and frame rate, but a few thousand parameters."""
    shared = {} if kind == "mimi" else {"shared_from": 3, "semantic_dim": 24}
    quantizer = changes.pop("quantizer", SplitQuantizerConfig(acoustic_levels=5, codebook_size=64, dim=16, **shared))
    transformer = TransformerConfig(dim=32, layers=1, heads=2, hidden=48, dropout=0.0, context=6)
    if kind == "spectral":
        encoder = SpectralEncoderConfig(channels=(32, 32), blocks=(1, 1), fine=240)
        decoder = SpectralDecoderConfig(channels=(32, 32, 32), blocks=(1, 1, 1), level_conditioned=True)
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
        encoding=EncoderSettings(n_q=4, beams=1 if kind == "mimi" else 3),
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
        if getattr(model.decoder, "level_embedding", None) is not None:
            model.decoder.level_embedding.weight.normal_(std=0.05)
    return model


def tiny_waveform() -> WaveformLayerConfig:
    """A waveform layer of three levels below 200 Hz, the first of them below 100 Hz above all."""
    schedule = (BandStep(1, 100.0, 10.0), BandStep(3, 200.0, 0.0))
    return WaveformLayerConfig(
        levels=3, cutoff=200.0, taper=50.0, segment=4, width=32, expansion=1, blocks=1, schedule=schedule
    )


def layered_model() -> Jodio:
    """A tiny model with a waveform layer, a filter and an envelope layer, by frame, that do something."""
    waveform = dataclasses.replace(
        tiny_waveform(), by_frame=True, min_levels=2, filter=LowBandFilterConfig(width=32, blocks=1, expansion=1)
    )
    envelope = EnvelopeLayerConfig(positions=POSITIONS, width=32, blocks=1, expansion=1)
    model = tiny_model(waveform=waveform, envelope=envelope)
    torch.nn.init.normal_(model.waveform_layer.covariance.parts.weight, std=0.02)
    torch.nn.init.normal_(model.waveform_layer.filter.output_proj.weight, std=0.01)
    torch.nn.init.normal_(model.envelope_layer.output_proj.weight, std=0.01)
    return model


def coded_model(folder: Path) -> Jodio:
    """`layered_model` with tables, as loaded from a file in a folder."""
    save(layered_model(), folder / "m", torch.float32)
    for n in range(2):
        soundfile.write(folder / f"{n}.wav", speechlike(100, seed=n)[0, 0].numpy(), RATE)
    make_tables(folder / "m", load_recordings(folder), minutes=0)
    return load(folder / "m")


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

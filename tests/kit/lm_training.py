"""Short training runs of tiny language models."""

from __future__ import annotations

from dataclasses import replace

import safetensors.torch

from josiecodec.training.core.settings import DescentConfig
from josielm.data.batches import Pieces, open_datasets
from josielm.training.config import TrainConfig
from josielm.training.trainer import Trainer
from kit.lm import TINY

CONFIG = TrainConfig(
    model=replace(TINY, temporal=replace(TINY.temporal, dropout=0.1), delays=(0, 1, 1), context=24),
    steps=12,
    batch=4,
    frames=16,
    depth_frame_fraction=0.5,
    log_every=5,
    save_every=100,
    validate_every=100,
    optimizer=DescentConfig(lr=5e-3, warmup=3),
)


def trainer(tokens, folder, config=CONFIG, **changes):
    data = open_datasets([tokens])
    return Trainer(config, Pieces(data, config.model, config.frames), folder, report=lambda _: None, **changes)


def weights(folder):
    return safetensors.torch.load_file(folder / "model" / "model.safetensors")

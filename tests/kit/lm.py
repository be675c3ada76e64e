"""What the tests of josielm share: tiny models, and datasets of made-up tokens."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from josiecodec.datasets.dataset import DatasetInfo, ShardWriter
from josielm.model.config import ModelConfig, StackConfig, VisionConfig
from josielm.model.language_model import LM, Inputs

CARD, LEVELS, TEXT = 16, 3, 20
TINY = ModelConfig(
    name="test",
    n_q=LEVELS,
    codebook_size=CARD,
    temporal=StackConfig(dim=32, layers=2, heads=2, hidden=48),
    depth=StackConfig(dim=24, layers=2, heads=2, hidden=32),
    context=12,
)
SEEING = VisionConfig(n_q=2, codebook_size=CARD, max_patches=8)
# one model for everything that can be chosen, in combinations that meet
VARIANTS = {
    "plain": TINY,
    "delayed": replace(TINY, delays=(0, 1, 2)),
    "text": replace(TINY, text_head="temporal", text_size=TEXT, delays=(0, 1, 1)),
    "text in depth": replace(TINY, text_head="depth", text_size=TEXT, text_delay=1),
    "text read only": replace(TINY, text_size=TEXT),
    "split": replace(TINY, semantic="split", text_head="temporal", text_size=TEXT),
    "duplex": replace(TINY, streams=2, delays=(0, 1, 1), user_delays=(0, 1, 1)),
    "all": replace(
        TINY,
        streams=2,
        text_head="temporal",
        text_size=TEXT,
        delays=(0, 2, 2),
        user_delays=(0, 0, 1),
        text_delay=1,
        vision=SEEING,
    ),
    "v4o": replace(
        TINY,
        depth_tables="tied",
        acoustic_tables="shared",
        text_head="depth",
        text_size=TEXT,
        text_column=True,
        learned_specials=False,
        head_bias=False,
        temporal=replace(TINY.temporal, heads=3, input_norm=True, final_norm=True),
    ),
    "weights per step": replace(TINY, depth_weights="per_step", delays=(1, 1, 1)),
    "layer norm": replace(TINY, temporal=replace(TINY.temporal, norm="layer"), depth=replace(TINY.depth, norm="layer")),
    "no rotary": replace(TINY, temporal=replace(TINY.temporal, rotary=False)),
    "added positions": replace(
        TINY,
        frame_bias=True,
        temporal=replace(TINY.temporal, rotary=False, added_positions=True),
        depth=replace(TINY.depth, rotary=False, added_positions=True),
    ),
    "no temporal": replace(TINY, temporal_on=False),
}


def made(config: ModelConfig, seed: int = 0) -> LM:
    """A model with random weights, large enough for outputs to differ clearly."""
    torch.manual_seed(seed)
    model = LM(config).eval()
    with torch.no_grad():
        for p in model.parameters():
            if p.dim() > 1:
                p.mul_(2.0)
    return model


def inputs_for(config: ModelConfig, batch: int = 2, frames: int = 9, seed: int = 1) -> Inputs:
    """All that a model can take."""
    g = torch.Generator().manual_seed(seed)

    def rows() -> torch.Tensor:
        return torch.randint(0, config.codebook_size, (batch, config.n_q, frames), generator=g)

    seen = config.vision
    return Inputs(
        codes=rows(),
        text=torch.randint(0, config.text_size + 2, (batch, frames), generator=g) if config.text_size else None,
        user=rows() if config.streams == 2 else None,
        vision=torch.randint(0, seen.codebook_size, (batch, seen.n_q, 4), generator=g) if seen else None,
        grid=torch.tensor([[0, 0, 0], [0, 0, 1], [0, 1, 0], [0, 1, 1]]).float().repeat(batch, 1, 1) if seen else None,
    )


def info(fingerprint: str = "f" * 64, kind: str = "audio", n_q: int = LEVELS, card: int = CARD) -> DatasetInfo:
    """The `dataset.json` of a made-up codec."""
    sound = kind == "audio"
    rate = (25, 2) if sound else (0, 1)
    return DatasetInfo("made-up", fingerprint, kind, n_q, card, 24000 if sound else None, rate, int(sound))


def dataset(folder: Path, clips, about: DatasetInfo | None = None) -> Path:
    """A dataset of (codes [frames, K], metadata) in two shards."""
    writer = ShardWriter(folder, about or info())
    full = [(np.asarray(codes), {"id": str(n), **meta}) for n, (codes, meta) in enumerate(clips)]
    half = (len(full) + 1) // 2
    writer.write(0, full[:half])
    writer.write(1, full[half:])
    return folder


def random_clips(count: int, frames: int = 40, seed: int = 0, levels: int = LEVELS, card: int = CARD):
    """Clips whose every level is a walk along the codes, so that there is something to learn."""
    rng = np.random.default_rng(seed)
    clips = []
    for _ in range(count):
        steps = rng.integers(0, 3, (frames + int(rng.integers(10)), levels))
        clips.append(((rng.integers(card) + np.cumsum(steps, 0)) % card, {}))
    return clips

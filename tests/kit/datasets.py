"""Small datasets of tokens."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from josiecodec.datasets.dataset import DatasetInfo, ShardWriter, TokenDataset

AUDIO_INFO = DatasetInfo("tiny", "ab" * 32, "audio", 4, 64, 24000, (25, 2), 1)
VISION_INFO = DatasetInfo("tiny", "cd" * 32, "vision", 3, 64, None, (0, 1), 0)


def made_codes(count: int, seed: int = 0, max_frames: int = 50) -> list[np.ndarray]:
    random = np.random.default_rng(seed)
    return [random.integers(0, 64, (random.integers(1, max_frames), 4), np.uint16) for _ in range(count)]


def make_dataset(
    folder: Path, clips: list[np.ndarray], shards: int = 3, info: DatasetInfo = AUDIO_INFO
) -> TokenDataset:
    writer = ShardWriter(folder, info)
    share = -(-len(clips) // shards)
    for s in range(shards):
        part = range(s * share, min((s + 1) * share, len(clips)))
        lines = [{"id": f"c{i}", "source": "x.wav", "start": 0.0, "duration": 0.08 * len(clips[i])} for i in part]
        writer.write(s, [(clips[i], line) for i, line in zip(part, lines)])
    return TokenDataset(folder)

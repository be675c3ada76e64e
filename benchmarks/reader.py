"""Throughput of random crops from a dataset of tokens, on one core with a warm file cache.

    python benchmarks/reader.py [DATASET] [--out benchmarks/results/reader.json]

Without DATASET a temporary one of 42 hours is made (20,000 clips, 8 levels; --clips for fewer). The rates are the best
of some repetitions, as on an idle machine.
"""

from __future__ import annotations

import argparse
import json
import platform
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from josiecodec.datasets.dataset import DatasetInfo, ShardWriter, TokenDataset
from josiecodec.datasets.sampler import TokenSampler

FRAMES = 64
CROPS = 200_000
REPEATS = 5


def make_random_dataset(folder: Path, clips: int = 20_000, shard: int = 1000) -> Path:
    """Clips of 3 to 12 s of random codes."""
    random = np.random.default_rng(0)
    writer = ShardWriter(folder, DatasetInfo("random", "0" * 64, "audio", 8, 2048, 24000, (25, 2), 1))
    for index in range(-(-clips // shard)):
        sizes = random.integers(38, 152, min(shard, clips - index * shard))
        codes = [random.integers(0, 2048, (n, 8), np.uint16) for n in sizes]
        writer.write(index, ((c, {"id": f"{index}/{i}"}) for i, c in enumerate(codes)))
    return folder


def best_rate(work: Callable[[], int]) -> float:
    """Items per second, the best of some repetitions."""
    rates = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        count = work()
        rates.append(count / (time.perf_counter() - began))
    return max(rates)


def measure(folder: Path) -> dict[str, float]:
    """Rates of opening, cropping and sampling."""
    dataset = TokenDataset(folder)
    random = np.random.default_rng(1)
    clips = random.integers(0, len(dataset), CROPS).tolist()
    starts = [int(random.integers(0, max(n - FRAMES, 0) + 1)) for n in dataset.lengths[clips]]
    narrow = TokenDataset(folder, max(dataset.n_q // 2, 1))
    sampler = TokenSampler(dataset, FRAMES, seed=1)

    def crops(source: TokenDataset) -> int:
        for clip, start in zip(clips, starts):
            source.crop(clip, start, FRAMES)
        return CROPS

    def sampled() -> int:
        count = 0
        for crop in sampler:
            dataset[crop]
            count += 1
        return count

    def loaded() -> int:
        usable = TokenSampler(dataset, FRAMES, seed=1, drop_short=True)
        return sum(len(batch) for batch in torch.utils.data.DataLoader(dataset, 256, sampler=usable))

    def opened() -> int:
        TokenDataset(folder)
        return 1

    return {
        "crops_per_second": round(best_rate(lambda: crops(dataset))),
        "crops_per_second_half_the_levels": round(best_rate(lambda: crops(narrow))),
        "sampled_crops_per_second": round(best_rate(sampled)),
        "data_loader_crops_per_second": round(best_rate(loaded)),
        "whole_clips_with_metadata_per_second": round(best_rate(lambda: sum(1 for i in clips[:20000] if dataset[i]))),
        "openings_per_second": round(best_rate(opened), 1),
    }


def main() -> None:
    """Measure, print, and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dataset", nargs="?", type=Path)
    parser.add_argument("--clips", type=int, default=20_000, help="of the dataset that is made")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "reader.json")
    args = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.dataset or make_random_dataset(Path(temporary) / "tokens", args.clips)
        dataset = TokenDataset(folder)
        result = {
            "clips": len(dataset),
            "frames": int(dataset.lengths.sum()),
            "levels": dataset.n_q,
            "shards": len(dataset.shards),
            "crop_frames": FRAMES,
            **measure(folder),
            "machine": platform.processor() or platform.machine(),
            "python": platform.python_version(),
            "numpy": np.__version__,
        }
    text = json.dumps(result, indent=1) + "\n"
    print(text, end="")
    args.out.write_text(text)


if __name__ == "__main__":
    main()

"""Throughput of random crops from object storage, which answers late: `ShardStream` against single requests.

    python benchmarks/remote_reader.py [--latency 0.05] [--rate 100] [--out benchmarks/results/remote_reader.json]

The storage is memory behind a delay: each request waits for the latency, and comes at so many megabytes a second.
"""

from __future__ import annotations

import argparse
import json
import platform
import tempfile
import time
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import torch
from fsspec.implementations.memory import MemoryFileSystem
from reader import FRAMES, make_random_dataset

from josiecodec.datasets.remote import ShardStream

SECONDS_OF_FRAMES = 0.08


class Slow(MemoryFileSystem):
    """Memory that answers as object storage does."""

    latency, rate = 0.05, 1e8  # seconds, bytes a second

    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **more: Any) -> bytes:
        data = super().cat_file(path, start, end, **more)
        time.sleep(self.latency + len(data) / self.rate)
        return data


def streamed(url: str, workers: int = 0) -> dict[str, float]:
    """Crops a second of an epoch, by the clock and by the time of one core."""
    stream = ShardStream(url, FRAMES)
    wall, processor = time.perf_counter(), time.process_time()
    count = sum(len(batch) for batch in torch.utils.data.DataLoader(stream, 256, num_workers=workers))
    seconds = time.perf_counter() - wall
    rates = {"crops_per_second": count / seconds, "times_real_time": count * FRAMES * SECONDS_OF_FRAMES / seconds}
    return rates | {"crops_per_cpu_second": count / (time.process_time() - processor)}


def single(url: str, count: int = 40) -> float:
    """Crops a second, each by a request of its own."""
    system, root = fsspec.core.url_to_fs(url)
    random = np.random.default_rng(0)
    began = time.perf_counter()
    for start in random.integers(1000, 100_000, count):
        system.cat_file(f"{root}/00000.safetensors", int(start), int(start) + 16 * FRAMES)
    return count / (time.perf_counter() - began)


def main() -> None:
    """Measure, print, and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--latency", type=float, default=0.05, help="seconds of each request")
    parser.add_argument("--rate", type=float, default=100.0, help="megabytes a second of each request")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "remote_reader.json")
    args = parser.parse_args()
    torch.set_num_threads(1)
    Slow.latency, Slow.rate = args.latency, 1e6 * args.rate
    with tempfile.TemporaryDirectory() as temporary:
        folder = make_random_dataset(Path(temporary) / "tokens")
        fsspec.filesystem("memory").put(f"{folder}/", "/tokens", recursive=True)
        quick = streamed("memory://tokens")
        fsspec.register_implementation("memory", Slow, clobber=True)
        result = {
            "latency": args.latency,
            "megabytes_per_second": args.rate,
            "crop_frames": FRAMES,
            "single_requests_crops_per_second": round(single("memory://tokens"), 1),
            "stream": {key: round(value) for key, value in streamed("memory://tokens").items()},
            "stream_without_delay": {key: round(value) for key, value in quick.items()},
            "machine": platform.processor() or platform.machine(),
            "fsspec": fsspec.__version__,
        }
    text = json.dumps(result, indent=1) + "\n"
    print(text, end="")
    args.out.write_text(text)


if __name__ == "__main__":
    main()

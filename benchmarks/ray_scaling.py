"""What a second worker of the engine for Ray adds: hours of sound by the clock and by the time of processors.

    python benchmarks/ray_scaling.py FOLDER [--shards 8] [--clips 8] [--out benchmarks/results/ray_scaling.json]

FOLDER has recordings; ten-second clips of them are tokenized by one and by two encoders, one thread each. Counted is
from the first shard that is done to the last, without the start. On a machine that does other work the clock says
little; the time of processors says whether workers get into each other's way.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil
import ray
import soundfile

from josiecodec.tokenization.plan import Settings, make_plan
from josiecodec.tokenization.ray_engine import tokenize_with_ray

SECONDS = 10.0


def manifest(folder: Path, target: Path, clips: int) -> Path:
    """A manifest of so many clips of ten seconds."""
    lines: list[str] = []
    for path in sorted(folder.rglob("*.flac")):
        count = int(soundfile.info(path).duration // SECONDS)
        parts = [{"path": str(path.resolve()), "start": SECONDS * n, "duration": SECONDS} for n in range(count)]
        lines += [json.dumps(part) for part in parts]
    lines = lines[:: max(len(lines) // clips, 1)][:clips]
    target.write_text("\n".join(lines) + "\n")
    return target


def processor_seconds() -> float:
    """Of all workers of Ray on this machine that are encoders or readers, and the processes that they started."""
    total = 0.0
    for process in psutil.process_iter(["name", "cmdline"]):
        title = " ".join(process.info["cmdline"] or [])
        if title.startswith(("ray::Encoder", "ray::Reader")):
            for one in (process, *process.children(recursive=True)):
                times = one.cpu_times()
                total += times.user + times.system
    return total


def measure(source: Path, shard_clips: int, actors: int) -> dict[str, float]:
    """Times real time of some encoders."""
    marks: list[tuple[float, float, float]] = []

    def note(report: Any) -> None:
        marks.append((time.monotonic(), processor_seconds(), report.seconds))

    with tempfile.TemporaryDirectory() as folder:
        plan = make_plan(source, "audio", shard_clips)
        tokenize_with_ray("jodio-24k-v4", plan, folder, Settings(9), actors=actors, on_shard=note)
    first, last = marks[actors - 1], marks[-1]
    seconds = sum(mark[2] for mark in marks[actors:])
    return {
        "times_real_time": round(seconds / (last[0] - first[0]), 2),
        "times_real_time_of_a_processor": round(seconds / (last[1] - first[1]), 2),
    }


def main() -> None:
    """Measure, print, and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--shards", type=int, default=8)
    parser.add_argument("--clips", type=int, default=8, help="of a shard")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "ray_scaling.json")
    args = parser.parse_args()
    ray.init(num_cpus=2, log_to_driver=False, include_dashboard=False, object_store_memory=1 << 28)
    result: dict[str, Any] = {"load_before": round(os.getloadavg()[0], 1), "cpus": os.cpu_count()}
    with tempfile.TemporaryDirectory() as folder:
        source = manifest(args.folder, Path(folder) / "m.jsonl", args.shards * args.clips)
        for actors in (1, 2):
            result[f"encoders_{actors}"] = measure(source, args.clips, actors)
    ray.shutdown()
    one, two = result["encoders_1"], result["encoders_2"]
    result["efficiency_by_clock"] = round(two["times_real_time"] / one["times_real_time"] / 2, 3)
    key = "times_real_time_of_a_processor"
    result["efficiency_by_processor_time"] = round(two[key] / one[key], 3)
    text = json.dumps(result | {"ray": ray.__version__}, indent=1) + "\n"
    print(text, end="")
    args.out.write_text(text)


if __name__ == "__main__":
    main()

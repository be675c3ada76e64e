"""What a language model loses, and saves, when it remembers less of a conversation.

    python benchmarks/lm_windows.py MODEL VALID [--windows 0.2 0.3 0.4 1 5] [--seconds 10]
        [--out benchmarks/results/lm_windows.json]

MODEL is a trained model, VALID a dataset of tokens. For each window: nats per code, bytes of the cache, and the delay
of a live conversation measured with a device that only keeps the time (`josielm talk --loop-back`), on one thread.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

import torch

from josielm.data.batches import Pieces, open_datasets
from josielm.inference.duplex import Talk
from josielm.inference.live import converse
from josielm.inference.loopback import LoopBack
from josielm.inference.memory import predicted
from josielm.inference.stream import CacheConfig
from josielm.model.layers import Attention
from josielm.store import Trained, load, load_codec
from josielm.training.evaluate import negative_log_likelihood


def measure(trained: Trained, valid: Path, window: float, seconds: float) -> dict[str, float]:
    """The figures of a window of so many seconds."""
    config = trained.model.config
    codec = load_codec(trained.codec)
    talk, device = Talk(trained, codec, look_back=window), LoopBack(codec.sample_rate)
    with torch.inference_mode():
        converse(talk, seconds, device)
    frames = max(-(-round(window * trained.frame_rate, 6) // 1), 2)
    frames = min(int(frames), config.context)
    attention = [m for m in trained.model.temporal.modules() if isinstance(m, Attention)]
    for module in attention:
        module.context = frames
    pieces = Pieces(open_datasets([valid]), config, config.context, trained.rows)
    nll = negative_log_likelihood(trained.model, pieces)
    for module in attention:
        module.context = config.context
    levels = [nll[f"level_{k}"] for k in range(config.n_q)]
    return {
        "window_ms": round(1000 * window),
        "frames": frames,
        "mean_nats": round(sum(levels) / len(levels), 4),
        "semantic_nats": round(levels[0], 4),
        "cache_bytes": predicted(replace(config), cache=CacheConfig(frames=frames)).cache,
        "computation_ms": talk.report.figures(1 / trained.frame_rate)["median_ms"],
        **device.figures(config.longest_delay / trained.frame_rate),
    }


def main() -> None:
    """Measure, print, and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("valid", type=Path)
    parser.add_argument("--windows", type=float, nargs="+", default=[0.2, 0.3, 0.4, 1.0, 5.0])
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    trained = load(arguments.model)
    rows = []
    for window in arguments.windows:
        rows.append(measure(trained, arguments.valid, window, arguments.seconds))
        print(rows[-1], flush=True)
    if arguments.out:
        arguments.out.write_text(json.dumps({"torch": torch.__version__, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()

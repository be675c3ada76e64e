"""Time encoding and decoding beside EnCodec and Mimi, on the same sound in the same run.

    python benchmarks/speed.py [--seconds 10] [--threads 1 2] [--out benchmarks/results/speed.json]

The peers are those of the package transformers with random weights: speed does not depend on the values.
Runs of the codecs alternate, and medians are compared, so that a machine whose speed drifts is fair to all.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch

import josiecodec
from josiecodec.audio.jodio import Jodio
from josiecodec.audio.presets import preset
from josiecodec.hub import available

Pair = tuple[Callable[[], object], Callable[[], object]]


def ours(wave: torch.Tensor) -> Pair:
    """Our codec at its default bitrate."""
    codec = josiecodec.load() if "jodio-24k" in available() else Jodio(preset("jodio-24k")).eval()
    codes = codec.encode(wave)
    return (lambda: codec.encode(wave)), (lambda: codec.decode(codes))


def encodec(wave: torch.Tensor) -> Pair:
    """EnCodec 24 kHz at 1.5 kbit/s."""
    from transformers import EncodecConfig, EncodecModel

    model = EncodecModel(EncodecConfig()).eval()
    codes = model.encode(wave, bandwidth=1.5)
    return (lambda: model.encode(wave, bandwidth=1.5)), (lambda: model.decode(codes.audio_codes, codes.audio_scales))


def mimi(wave: torch.Tensor) -> Pair:
    """Mimi with 8 codebooks, 1.1 kbit/s."""
    from transformers import MimiConfig, MimiModel

    model = MimiModel(MimiConfig()).eval()
    codes = model.encode(wave, num_quantizers=8).audio_codes
    return (lambda: model.encode(wave, num_quantizers=8)), (lambda: model.decode(codes))


def timed(function: Callable[[], object]) -> float:
    """Seconds that one call takes."""
    begin = time.perf_counter()
    function()
    return time.perf_counter() - begin


@torch.no_grad()
def streaming_latency(threads: int, frames: int = 250) -> dict[str, float]:
    """Milliseconds to encode and decode one frame of 80 ms on a stream: median and 99th percentile."""
    torch.set_num_threads(threads)
    codec = josiecodec.load() if "jodio-24k" in available() else Jodio(preset("jodio-24k")).eval()
    stream = codec.streaming()
    chunks = (0.1 * torch.randn(1, 1, frames * codec.frame_size)).split(codec.frame_size, -1)
    times = [1000 * timed(lambda c=chunk: stream.decode(stream.encode(c))) for chunk in chunks]
    times = sorted(times[5:])  # the first ones warm up
    return {"median_ms": statistics.median(times), "p99_ms": times[int(0.99 * (len(times) - 1))]}


@torch.no_grad()
def main() -> None:
    """Measure, print a table, and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    torch.manual_seed(0)
    wave = 0.1 * torch.randn(1, 1, round(24000 * arguments.seconds))
    codecs = {"jodio-24k": ours(wave), "EnCodec": encodec(wave), "Mimi": mimi(wave)}
    rows = []
    for threads in arguments.threads:
        torch.set_num_threads(threads)
        times: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in codecs}
        for run in range(arguments.runs + 1):
            for name, (encode, decode) in codecs.items():
                taken = timed(encode), timed(decode)
                if run:  # the first one warms up
                    times[name][0].append(taken[0])
                    times[name][1].append(taken[1])
        base = [statistics.median(t) for t in times["jodio-24k"]]
        for name, both in times.items():
            encode_time, decode_time = (statistics.median(t) / arguments.seconds for t in both)
            row = {
                "codec": name,
                "threads": threads,
                "encode_s_per_s": round(encode_time, 5),
                "decode_s_per_s": round(decode_time, 5),
                "encode_vs_ours": round(encode_time * arguments.seconds / base[0], 2),
                "decode_vs_ours": round(decode_time * arguments.seconds / base[1], 2),
            }
            rows.append(row)
            print(
                f"{name:10s} {threads} thread(s)  encode {encode_time:.4f} s/s ({row['encode_vs_ours']:.1f} x ours)"
                f"  decode {decode_time:.4f} s/s ({row['decode_vs_ours']:.1f} x ours)"
            )
    latency = {str(t): {k: round(v, 2) for k, v in streaming_latency(t).items()} for t in arguments.threads}
    print(f"streaming, encode + decode of an 80 ms frame: {latency}")
    if arguments.out:
        result = {"machine": platform.machine(), "torch": torch.__version__, "rows": rows, "streaming": latency}
        arguments.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()

"""Time of encoding and decoding, compared with EnCodec, Mimi and DAC on the same audio in the same run.

    python benchmarks/speed.py [--seconds 10] [--threads 1 2] [--longest 3600] [--out benchmarks/results/speed.json]

The other codecs are those of the package transformers with random weights: speed does not depend on the values. Mimi
is also run by our own implementation with the same weights. Runs of the codecs alternate, and medians are compared, so
that a drift of the machine's speed affects all alike. With --longest the time and memory of whole files are measured as
well: 1 s, 10 s, ... up to so many seconds, each in a process of its own. On a machine with a GPU everything is timed
there, too.
"""

from __future__ import annotations

import argparse
import functools
import inspect
import json
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch

import josiecodec
from josiecodec.audio.presets import preset
from josiecodec.coding.jodio import Jodio
from josiecodec.shipped import available

Pair = tuple[Callable[[], object], Callable[[], object]]


def codec_of_ours(device: str) -> Jodio:
    """The weights that ship, or random ones."""
    return (
        josiecodec.load(device=device) if "jodio-24k" in available() else Jodio(preset("jodio-24k")).eval().to(device)
    )


def ours(wave: torch.Tensor) -> Pair:
    """Our codec at its default bitrate."""
    codec = codec_of_ours(str(wave.device))
    codes = codec.encode(wave)
    return (lambda: codec.encode(wave)), (lambda: codec.decode(codes))


def encodec(wave: torch.Tensor) -> Pair:
    """EnCodec 24 kHz at 1.5 kbit/s."""
    from transformers import EncodecConfig, EncodecModel

    model = EncodecModel(EncodecConfig()).eval().to(wave.device)
    codes = model.encode(wave, bandwidth=1.5)
    return (lambda: model.encode(wave, bandwidth=1.5)), (lambda: model.decode(codes.audio_codes, codes.audio_scales))


@functools.cache
def two_mimis(device: str) -> tuple[Any, Jodio]:
    """Mimi of transformers with random weights, and ours with the same."""
    from transformers import MimiConfig, MimiModel

    model = MimiModel(MimiConfig()).eval()
    for name, value in model.named_buffers():
        if name.endswith("embed_sum"):
            value.normal_()
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        codec = josiecodec.load(folder, device)
    return model.to(device), codec


def mimi(wave: torch.Tensor) -> Pair:
    """Mimi of transformers with 8 codebooks, 1.1 kbit/s."""
    model, _ = two_mimis(str(wave.device))
    codes = model.encode(wave, num_quantizers=8).audio_codes
    return (lambda: model.encode(wave, num_quantizers=8)), (lambda: model.decode(codes))


def our_mimi(wave: torch.Tensor) -> Pair:
    """Ours with the same weights and as many levels."""
    _, codec = two_mimis(str(wave.device))
    codes = codec.encode(wave, 8)
    return (lambda: codec.encode(wave, 8)), (lambda: codec.decode(codes))


def dac(wave: torch.Tensor) -> Pair:
    """DAC at 24 kHz with 2 codebooks, 1.5 kbit/s."""
    from transformers import DacConfig, DacModel

    model = DacModel(DacConfig(sampling_rate=24000, downsampling_ratios=[2, 4, 5, 8], n_codebooks=32)).eval()
    model = model.to(wave.device)
    codes = model.encode(wave, n_quantizers=2).audio_codes
    return (lambda: model.encode(wave, n_quantizers=2)), (lambda: model.decode(audio_codes=codes))


def timed(function: Callable[[], object]) -> float:
    """Seconds that one call takes."""
    begin = time.perf_counter()
    function()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - begin


def whole_file(seconds: float) -> dict[str, float]:
    """Time and memory of encoding and decoding a file of so many seconds, in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        wave, tokens, back = (Path(folder) / name for name in ("a.flac", "a.josie", "b.flac"))
        noise = 0.1 * np.random.default_rng(0).standard_normal(24000 * 10).astype(np.float32)
        with soundfile.SoundFile(wave, "w", 24000, 1) as file:
            for first in np.arange(0, seconds, 10):
                file.write(noise[: round(24000 * min(10, seconds - first))])
        out: dict[str, float] = {"seconds": seconds}
        for name, source, target in (("encode", wave, tokens), ("decode", tokens, back)):
            begin = time.perf_counter()
            done = subprocess.run([sys.executable, "-c", WHOLE, name, source, target], capture_output=True, text=True)
            inside, memory = map(float, done.stdout.split())
            out |= {f"{name}_s": round(inside, 3), f"{name}_mb": round(memory)}
            out[f"{name}_process_s"] = round(time.perf_counter() - begin, 3)
        return out


WHOLE = """
import sys, time
import josiecodec, torch
from josiecodec.coding.audio import decode_file, encode_file
from josiecodec.evaluation.memory import peak_mb
torch.set_num_threads(1)
codec = josiecodec.load()
begin = time.perf_counter()
(encode_file if sys.argv[1] == "encode" else decode_file)(codec, sys.argv[2], sys.argv[3])
print(time.perf_counter() - begin, peak_mb())
"""


@torch.no_grad()
def streaming_latency(threads: int, frames: int = 250) -> dict[str, float]:
    """Milliseconds to encode and decode one frame of 80 ms on a stream: median and 99th percentile."""
    torch.set_num_threads(threads)
    codec = codec_of_ours("cpu")
    stream = codec.streaming()
    chunks = (0.1 * torch.randn(1, 1, frames * codec.frame_size)).split(codec.frame_size, -1)
    times = [1000 * timed(lambda c=chunk: stream.decode(stream.encode(c))) for chunk in chunks]
    times = sorted(times[5:])  # the first ones warm up
    return {"median_ms": statistics.median(times), "p99_ms": times[int(0.99 * (len(times) - 1))]}


@torch.no_grad()
def mimi_streaming(threads: int, frames: int = 60) -> dict[str, float]:
    """Milliseconds to encode and decode a frame of 80 ms on a stream, by turns with both Mimis: medians.

    That of transformers keeps the convolutions' past in the encoder only; what it decodes is not seamless.
    """
    from transformers import DynamicCache

    torch.set_num_threads(threads)
    model, codec = two_mimis("cpu")
    stream, keys, pads, decoder_keys = codec.streaming(n_q=8), None, None, DynamicCache(config=model.config)
    new = "encoder_cache" in inspect.signature(model.encode).parameters  # other names since 5.24
    cache, decoder_cache = (
        ("encoder_cache", "decoder_cache") if new else (f"{p}coder_past_key_values" for p in ("en", "de"))
    )
    times: dict[str, list[float]] = {"ours": [], "transformers": []}
    for chunk in (0.1 * torch.randn(1, 1, frames * codec.frame_size)).split(codec.frame_size, -1):
        times["ours"].append(timed(lambda c=chunk: stream.decode(stream.encode(c))))
        begin = time.perf_counter()
        out = model.encode(chunk, num_quantizers=8, padding_cache=pads, use_streaming=True, **{cache: keys})
        keys, pads = getattr(out, cache), out.padding_cache
        model.decode(out.audio_codes, **{decoder_cache: decoder_keys})
        times["transformers"].append(time.perf_counter() - begin)
    return {name: round(1000 * statistics.median(taken[5:]), 2) for name, taken in times.items()}


@torch.no_grad()
def compare(wave: torch.Tensor, where: str, runs: int) -> list[dict[str, object]]:
    """Time all codecs on a waveform [1, 1, T], and print a line for each."""
    seconds = wave.shape[-1] / 24000
    codecs = {
        "jodio-24k": ours(wave),
        "EnCodec": encodec(wave),
        "Mimi": mimi(wave),
        "Mimi, ours": our_mimi(wave),
        "DAC": dac(wave),
    }
    times: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in codecs}
    for run in range(runs + 1):
        for name, (encode, decode) in codecs.items():
            taken = timed(encode), timed(decode)
            if run:  # the first one warms up
                times[name][0].append(taken[0])
                times[name][1].append(taken[1])
    base = [statistics.median(t) for t in times["jodio-24k"]]
    rows: list[dict[str, object]] = []
    for name, both in times.items():
        medians = [statistics.median(t) for t in both]
        row: dict[str, object] = {"codec": name, "where": where}
        for verb, median, own in zip(("encode", "decode"), medians, base):
            row |= {f"{verb}_s_per_s": round(median / seconds, 5), f"{verb}_vs_ours": round(median / own, 2)}
        rows.append(row)
        print("  ".join(f"{k} {v}" for k, v in row.items()))
    return rows


@torch.no_grad()
def main() -> None:
    """Measure, print a table, and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--longest", type=float, default=0.0, help="seconds of the longest file; 0 for none")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    torch.manual_seed(0)
    rows = []
    for threads in arguments.threads:
        torch.set_num_threads(threads)
        rows += compare(
            0.1 * torch.randn(1, 1, round(24000 * arguments.seconds)), f"{threads} thread(s)", arguments.runs
        )
    if torch.cuda.is_available():
        wave = 0.1 * torch.randn(1, 1, round(24000 * arguments.seconds), device="cuda")
        rows += compare(wave, torch.cuda.get_device_name(), arguments.runs)
    latency = {str(t): {k: round(v, 2) for k, v in streaming_latency(t).items()} for t in arguments.threads}
    print(f"streaming, encode + decode of an 80 ms frame: {latency}")
    mimis = {str(t): mimi_streaming(t) for t in arguments.threads}
    print(f"the same with Mimi: {mimis}")
    files = []
    for seconds in [10**n for n in range(6) if arguments.longest and 10**n < arguments.longest] + [arguments.longest]:
        if seconds:
            files.append(whole_file(seconds))
            print(files[-1])
    if arguments.out:
        result = {"machine": platform.machine(), "torch": torch.__version__, "rows": rows, "streaming": latency}
        result["streaming_mimi"] = mimis
        result["whole_files"] = files
        arguments.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()

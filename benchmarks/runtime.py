"""Seconds and memory of whole processes that encode and decode sound, with torch and without.

    python benchmarks/runtime.py FOLDER [--out benchmarks/results/runtime.json] [--repeat 3]

FOLDER holds recordings, of which one of ten minutes is made. Each run is a process of its own with one thread; of
several the fastest counts. Files and samples of both are compared, so that it is seen what the difference costs.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from josiecodec.bitstream.josie_file import TokenFile
from josiecodec.media.audio_open import SampleReader
from josiecodec.media.suffixes import AUDIO_SUFFIXES

RATE = 24000
SECONDS = (5, 60, 600)
RUNTIMES = ("torch", "onnx")
KBPS = "2.4"  # of files with levels after the base


def write_recording(folder: Path, seconds: int, target: Path) -> None:
    """Write recordings of a folder one after the other, again and again, as one WAV."""
    parts: list[np.ndarray] = []
    left = seconds * RATE
    files = [path for path in sorted(folder.iterdir()) if path.suffix.lower() in AUDIO_SUFFIXES]
    while left > 0:
        for path in files:
            with SampleReader(path) as reader:
                parts += list(reader.mono_samples(RATE))
        left = seconds * RATE - sum(map(len, parts))
    soundfile.write(target, np.concatenate(parts)[: seconds * RATE], RATE, subtype="PCM_16")


def measured(arguments: list[str], repeat: int) -> dict[str, float]:
    """Seconds of the clock and of the processor, and MB at most, of the fastest of some processes."""
    best: dict[str, float] = {}
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    for _ in range(repeat):
        began = time.monotonic()
        process = subprocess.Popen([sys.executable, "-m", "josiecodec", *arguments], env=environment)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        took = time.monotonic() - began
        if process.returncode:
            raise SystemExit(f"{arguments} failed")
        cpu = usage.ru_utime + usage.ru_stime
        if not best or cpu < best["cpu_seconds"]:
            best = {"seconds": round(took, 2), "cpu_seconds": round(cpu, 2), "megabytes": usage.ru_maxrss // 1024}
    return best


def compared(folder: Path) -> dict[str, Any]:
    """How the files and samples of the runtimes differ; both decoded the file that torch made."""
    codes = [np.asarray(TokenFile.read(folder / f"{runtime}.josie").streams[0].codes) for runtime in RUNTIMES]
    waves = [soundfile.read(folder / f"{runtime}.wav", dtype="int16")[0].astype(np.float64) for runtime in RUNTIMES]
    parts = zip(*(np.array_split(wave, 10) for wave in waves), strict=True)
    return {
        "equal_files": (folder / "torch.josie").read_bytes() == (folder / "onnx.josie").read_bytes(),
        "other_codes": int((codes[0] != codes[1]).sum()),
        "codes": int(codes[0].size),
        "largest_difference": int(np.abs(waves[0] - waves[1]).max()),  # of 16-bit samples
        "snr_of_tenths": [round(snr(a, b), 1) for a, b in parts],  # dB
    }


def snr(a: np.ndarray, b: np.ndarray) -> float:
    """Signal to noise of b beside a, in dB."""
    return float(10 * np.log10((np.square(a).sum() + 1e-9) / (np.square(a - b).sum() + 1e-9)))


def table(results: dict[str, Any]) -> str:
    """Seconds of the processor and memory as a table."""
    what = ("encode", "decode", f"encode {KBPS} kbit/s", f"decode {KBPS} kbit/s")
    lines = ["| | runtime | " + " | ".join(f"{name}, s of CPU | MB" for name in what) + " |", "|---" * 10 + "|"]
    for length, entry in results.items():
        for runtime in RUNTIMES:
            cells = [entry[runtime][name][key] for name in what for key in ("cpu_seconds", "megabytes")]
            lines.append(f"| {length} | {runtime} | {' | '.join(map(str, cells))} |")
    return "\n".join(lines)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--repeat", type=int, default=3)
    given = parser.parse_args()
    results: dict[str, Any] = {}
    # What takes memory runs elsewhere: on Linux a process starts with the peak of the one that it came from.
    elsewhere = ProcessPoolExecutor(1, get_context("spawn"))
    with tempfile.TemporaryDirectory() as name, elsewhere:
        folder = Path(name)
        for seconds in SECONDS:
            source = folder / "source.wav"
            elsewhere.submit(write_recording, given.folder, seconds, source).result()
            entry: dict[str, Any] = {}
            for runtime in RUNTIMES:
                repeat = given.repeat if seconds < 600 else 1
                how = ["--runtime", runtime, "--overwrite", "-q", "--threads", "1"]
                coded, decoded = folder / f"{runtime}.josie", folder / f"{runtime}.wav"
                entry[runtime] = {
                    "encode": measured(["encode", str(source), str(coded), *how], repeat),
                    "decode": measured(["decode", str(folder / "torch.josie"), str(decoded), *how], repeat),
                }
            entry["compared"] = elsewhere.submit(compared, folder).result()
            for runtime in RUNTIMES:
                repeat = given.repeat if seconds < 600 else 1
                how = ["--runtime", runtime, "--overwrite", "-q", "--threads", "1"]
                coded, target = folder / f"{runtime}.josie", str(folder / f"{runtime}.wav")
                what = ["encode", str(source), str(coded), "--kbps", KBPS, *how]
                entry[runtime][f"encode {KBPS} kbit/s"] = measured(what, repeat)
                what = ["decode", str(folder / "torch.josie"), target, *how]
                entry[runtime][f"decode {KBPS} kbit/s"] = measured(what, repeat)
            entry[f"compared {KBPS} kbit/s"] = elsewhere.submit(compared, folder).result()
            results[f"{seconds} s"] = entry
            print(seconds, json.dumps(entry), flush=True)
    if given.out:
        given.out.write_text(json.dumps(results, indent=1) + "\n")
    print(table(results))


if __name__ == "__main__":
    main()

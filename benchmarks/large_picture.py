"""CPU seconds and memory of whole processes that encode and decode a large picture, and how near to the size asked for.

    python benchmarks/large_picture.py PICTURE [--bpp 0.2] [--out benchmarks/results/large_picture.json]

One thread. Of another version run it there: it calls `python -m josiecodec`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image


def measured(arguments: list[str]) -> dict[str, float]:
    """CPU seconds, and megabytes at most, of a command."""
    process = subprocess.Popen([sys.executable, "-m", "josiecodec", *arguments, "--overwrite", "-q", "--threads", "1"])
    _, status, used = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{arguments[0]} failed")
    return {"cpu_seconds": round(used.ru_utime + used.ru_stime, 1), "megabytes": round(used.ru_maxrss / 1024)}


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--bpp", type=float, default=0.2)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    Image.MAX_IMAGE_PIXELS = None
    with tempfile.TemporaryDirectory() as name:
        coded, decoded = Path(name) / "a.josie", Path(name) / "a.png"
        found: dict[str, Any] = {"bpp_wanted": given.bpp}
        found["encode"] = measured(["encode", str(given.picture), str(coded), "--bpp", str(given.bpp)])
        print(found, flush=True)
        found["decode"] = measured(["decode", str(coded), str(decoded)])
        pixels = np.asarray(Image.open(given.picture).convert("RGB"))
        found["size"] = f"{pixels.shape[1]} x {pixels.shape[0]}"
        found["bpp"] = round(8 * coded.stat().st_size / pixels[..., 0].size, 5)
        back = np.asarray(Image.open(decoded).convert("RGB"))
        error = np.mean([np.square(a - b.astype(np.float32)).mean() for a, b in zip(pixels, back)])
        found["psnr"] = round(float(20 * np.log10(255) - 10 * np.log10(error)), 3)
    print(json.dumps(found))
    if given.out:
        given.out.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()

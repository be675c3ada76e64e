"""Seconds and memory of whole processes that encode and decode pictures, with torch and without.

    python benchmarks/runtime_pictures.py PICTURE... [--out benchmarks/results/runtime_pictures.json] [--repeat 3]

Each run is a process of its own with one thread; of several the fastest counts. Both decode the file that torch made.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from runtime import RUNTIMES, measured

BPP = "0.3"


def compared(folder: Path) -> dict[str, Any]:
    """How the files and pixels of the runtimes differ."""
    pixels = [np.asarray(Image.open(folder / f"{runtime}.png")).astype(int) for runtime in RUNTIMES]
    difference = np.abs(pixels[0] - pixels[1])
    return {
        "equal_files": (folder / "torch.josie").read_bytes() == (folder / "onnx.josie").read_bytes(),
        "bytes": (folder / "torch.josie").stat().st_size,
        "largest_difference": int(difference.max()),  # of 8-bit values
        "other_values": int((difference > 0).sum()),
        "values": int(difference.size),
    }


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pictures", type=Path, nargs="+")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--repeat", type=int, default=3)
    given = parser.parse_args()
    results: dict[str, Any] = {}
    for source in given.pictures:
        with Image.open(source) as image:
            size = image.size
        with tempfile.TemporaryDirectory() as name:
            folder, entry = Path(name), {}
            for runtime in RUNTIMES:
                how = ["--runtime", runtime, "--overwrite", "-q", "--threads", "1"]
                coded, decoded = folder / f"{runtime}.josie", folder / f"{runtime}.png"
                entry[runtime] = {
                    "encode": measured(["encode", str(source), str(coded), "--bpp", BPP, *how], given.repeat),
                    "decode": measured(["decode", str(folder / "torch.josie"), str(decoded), *how], given.repeat),
                }
            entry["compared"] = compared(folder)
        results[f"{size[0]} x {size[1]}"] = entry
        print(size, json.dumps(entry), flush=True)
    if given.out:
        given.out.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()

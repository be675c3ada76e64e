"""Conformance of reading pictures and video: inputs of many kinds are made, read, and compared with what is right.

    python benchmarks/media.py [--only NAME] [--keep FOLDER]

Every kind is one line: deviations of length, rate, size, offset of flashes and beeps, and the mean error of colours
(levels of 255). The right values are known, for the inputs are made from numbers; if the ffmpeg tool is installed,
its number of pictures is shown beside. Exit status 1 if any deviation is too large. Needs pillow-heif and
pillow-jxl-plugin for HEIC and JPEG XL.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import warnings
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from media_kinds import Expected, Kind, all_kinds

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from kit.films import chart, patch_means

from josiecodec.errors import CodecError
from josiecodec.media.images import load_image
from josiecodec.media.kinds import kind_of
from josiecodec.media.video_reader import VideoReader

SYNC, COLOR, BIAS = 0.005, 1.0, 0.6  # most seconds, levels, and levels of all pixels together
RATE = 24000


@dataclass
class Row:
    """What was measured of an input."""

    name: str
    shown: str = ""
    faults: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def check(self, what: str, value: float, limit: float, form: str = "{:+.4f}") -> None:
        """Note a deviation."""
        self.shown += f" {what} {form.format(value)}"
        if not abs(value) <= limit:
            self.faults.append(what)


def starts(on: np.ndarray, rate: float, quiet: float = 0.5) -> list[float]:
    """Times at which something begins, at least `quiet` seconds after it was last on."""
    found: list[float] = []
    last = -1e9
    for index in np.flatnonzero(on):
        if (index - last) / rate > quiet:
            found.append(index / rate)
        last = index
    return found


def read_video(path: Path, expected: Expected, row: Row) -> None:
    """Compare a video."""
    with VideoReader(path) as reader:
        levels, picture, count = [], None, 0
        for pixels in reader.bytes():
            picture = pixels if picture is None else picture
            levels.append(float(pixels.mean()))
            count += 1
        sound = np.concatenate(list(reader.sound.mono(RATE))) if reader.sound else np.zeros(0)
        offset = reader.audio_offset or 0.0
        rate = float(reader.rate)
        if expected.rate is not None and reader.rate != expected.rate:
            row.faults.append(f"rate {reader.rate}")
        if reader.size != expected.size:
            row.faults.append(f"size {reader.size}")
    row.check("length", count / rate - expected.seconds, 1.01 / rate if expected.step > 0.01 else 0.5 / rate)
    flashes = starts(np.array(levels) > 200, rate)
    beeps = [time + offset for time in starts(np.abs(sound) > 0.1, RATE)]
    for what, found, right, limit in (
        ("flash", flashes, expected.flashes, SYNC + expected.step),
        ("beep", beeps, expected.beeps or (), SYNC + expected.step),
    ):
        if len(found) != len(right):
            row.faults.append(f"{len(found)} of {len(right)} {what}es")
        for one, other in zip(found, right, strict=False):
            row.check(what, one - other, limit)
    if expected.color and picture is not None:
        compare_colors(picture, expected, row)


def compare_colors(picture: np.ndarray, expected: Expected, row: Row) -> None:
    """Compare the chart's colours."""
    right = chart(*(expected.size if expected.turn is None else (64, 96)))
    if row.name.startswith("grey"):
        right = np.repeat(right[..., 1:2], 3, 2)
    if expected.turn is not None:
        grid = patch_means(right).round().astype(np.uint8).repeat(16, 0).repeat(16, 1)
        right = expected.turn(grid)
    if picture.shape != right.shape:
        row.faults.append(f"shape {picture.shape}")
        return
    difference = patch_means(picture) - patch_means(right) if expected.turn is None else picture - right.astype(float)
    row.check("color", float(np.abs(difference).mean()), COLOR, "{:.2f}")
    row.check("bias", float(difference.mean()), BIAS, "{:+.2f}")


def pictures_of_ffmpeg(path: Path) -> str:
    """How many pictures the ffmpeg tool decodes; empty without it."""
    tool = shutil.which("ffmpeg")
    if tool is None:
        return ""
    command = [tool, "-hide_banner", "-nostdin", "-i", str(path), "-map", "0:v:0", "-f", "null", "-"]
    found = re.findall(r"frame=\s*(\d+)", subprocess.run(command, capture_output=True, text=True).stderr)
    return f" (ffmpeg: {found[-1]} pictures)" if found else " (ffmpeg: none)"


def measure(kind: Kind, folder: Path) -> Row:
    """Make an input and compare it."""
    row = Row(kind.name)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            path = kind.make(folder)
            if kind.expected.rate is None and not kind.expected.seconds:
                if kind_of(path) != "image":
                    row.faults.append(f"kind {kind_of(path)}")
                pixels = load_image(path).permute(1, 2, 0).numpy() * 255
                compare_colors(pixels, kind.expected, row)
            else:
                if kind_of(path) != "video":
                    row.faults.append(f"kind {kind_of(path)}")
                read_video(path, kind.expected, row)
                row.shown += pictures_of_ffmpeg(path)
        except (CodecError, OSError, ValueError) as error:
            row.faults.append(f"{type(error).__name__}: {error}")
    row.warnings = [str(w.message).replace(str(folder) + "/", "") for w in caught if w.category is UserWarning]
    return row


def main() -> int:
    """Run the bench."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", help="the kinds with this in their name")
    parser.add_argument("--keep", type=Path, help="where to leave the files")
    arguments = parser.parse_args()
    kinds = [kind for kind in all_kinds() if not arguments.only or arguments.only in kind.name]
    bad = 0
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        for kind in kinds:
            row = measure(kind, folder)
            bad += bool(row.faults)
            print(f"{'FAIL' if row.faults else 'ok  '} {row.name:28}{row.shown}", flush=True)
            for line in (*(f"fault: {fault}" for fault in row.faults), *(f"warning: {w}" for w in row.warnings)):
                print(f"       {line}")
    print(f"{len(kinds)} kinds, {bad} of them wrong")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())

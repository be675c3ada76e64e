"""The chart of the README: quality of speech against bitrate, from the tables of the repository.

    python benchmarks/chart.py --out docs/quality.svg

Measured points are those of `benchmarks/results/quality_audio.json`, as in docs/results.md; published ones, of
`benchmarks/results/published.json`, are of another test set and drawn hollow and dashed.
"""

from __future__ import annotations

import argparse
import json
import math
from html import escape
from pathlib import Path

from report import AUDIO, AUDIO_MODEL, PEERS
from results_files import means_of, read

from josiecodec.atomic import write_bytes
from josiecodec.evaluation.codecs import split

ROOT = Path(__file__).parents[1]
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 720, 430, 52, 100, 16, 92
X_RANGE, Y_RANGE = (0.18, 20.0), (1.0, 4.0)
X_TICKS, Y_TICKS = (0.2, 0.5, 1, 2, 5, 10, 20), (1, 1.5, 2, 2.5, 3, 3.5, 4)
COLORS = ("#d1495b", "#2e86c1", "#3a9e5c", "#7a7f87", "#e08e0b", "#8e5bb5", "#159a9c")
MODEL, NAMES = AUDIO_MODEL, {AUDIO_MODEL: AUDIO_MODEL, **PEERS}
# Where a name stands beside the curve, so that none covers another: number of the point, anchor, right of and above it.
LABELS = {MODEL: (2, "end", -10, 6), "Mimi": (1, "end", -8, 8), "EnCodec": (1, "end", -9, 4)}
STYLE = """
 text { font: 13px system-ui, sans-serif; fill: #3c4248 } .back { fill: #fff } .grid { stroke: #dfe1dd }
 .line { fill: none; stroke-width: 2 } .own { stroke-width: 3 } .hollow { fill: #fff }
 @media (prefers-color-scheme: dark) {
  text { fill: #c9ced3 } .back, .hollow { fill: #15171a } .grid { stroke: #363b41 }
 }"""

CAPTION = (
    "PESQ-WB of speech. Filled: measured here, means of 74 clips, rates of whole files.",
    "Hollow and dashed: as published for LibriSpeech test-clean, rates of the codes alone.",
)

Points = list[tuple[float, float]]


def measured(path: Path = AUDIO) -> dict[str, Points]:
    """(kbit/s of the whole file, PESQ-WB) of each codec over the same clips of speech."""
    out: dict[str, Points] = {}
    for codec, line in means_of(read(path), "speech", ("kbps", "pesq_wb")).items():
        name = NAMES.get(split(codec)[0])
        if name:
            out.setdefault(name, []).append((round(line["kbps"], 2), round(line["pesq_wb"], 2)))
    return {name: sorted(out[name]) for name in NAMES.values() if name in out}


def published(root: Path = ROOT) -> dict[str, Points]:
    """(kbit/s of the codes, PESQ-WB) as published."""
    data = json.loads((root / "benchmarks" / "results" / "published.json").read_text(encoding="utf-8"))
    return {name: [(x, y) for x, y in points] for name, points in data["pesq_wb"].items()}


def place(x: float, y: float) -> tuple[float, float]:
    """Where a point lies in the picture."""
    across = math.log(x / X_RANGE[0]) / math.log(X_RANGE[1] / X_RANGE[0])
    up = (y - Y_RANGE[0]) / (Y_RANGE[1] - Y_RANGE[0])
    return round(LEFT + across * (WIDTH - LEFT - RIGHT), 1), round(HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM), 1)


def chart(own: dict[str, Points], others: dict[str, Points]) -> str:
    """The chart as SVG, which follows light and dark."""
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        'aria-label="PESQ-WB of speech against kbit/s">',
        f'<style>{STYLE}</style><rect class="back" width="{WIDTH}" height="{HEIGHT}"/>',
    ]
    (left, bottom), (right, top) = place(X_RANGE[0], Y_RANGE[0]), place(X_RANGE[1], Y_RANGE[1])
    for tick in X_TICKS:
        x, _ = place(tick, Y_RANGE[0])
        out.append(f'<path class="grid" d="M{x} {top}V{bottom}"/>')
        out.append(f'<text x="{x}" y="{bottom + 18}" text-anchor="middle">{tick:g}</text>')
    for tick in Y_TICKS:
        _, y = place(X_RANGE[0], tick)
        out.append(f'<path class="grid" d="M{left} {y}H{right}"/>')
        out.append(f'<text x="{left - 8}" y="{y + 4}" text-anchor="end">{tick:g}</text>')
    for number, (name, points) in enumerate([*own.items(), *others.items()]):
        color, known = COLORS[number % len(COLORS)], name in own
        places = [place(x, y) for x, y in points]
        path = "M" + "L".join(f"{x} {y}" for x, y in places)
        style = "line own" if name == MODEL else "line"
        dashes = "" if known else ' stroke-dasharray="6 5"'
        out.append(f'<path class="{style}" stroke="{color}" d="{path}"{dashes}/>')
        for (x, y), (rate, score) in zip(places, points):
            fill = f'fill="{color}"' if known else 'class="hollow"'
            title = f"{escape(name)}: {score:g} at {rate:g} kbit/s"
            out.append(
                f'<circle cx="{x}" cy="{y}" r="4.5" {fill} stroke="{color}" stroke-width="2">'
                f"<title>{title}</title></circle>"
            )
        point, anchor, across, up = LABELS.get(name, (-1, "start", 9, -4))
        x, y = places[point]
        out.append(
            f'<text x="{x + across}" y="{y - up}" text-anchor="{anchor}" style="fill:{color};font-weight:600">'
            f"{escape(name)}</text>"
        )
    middle = (left + right) / 2
    out.append(f'<text x="{middle}" y="{HEIGHT - 52}" text-anchor="middle">kbit/s</text>')
    for line, text in enumerate(CAPTION):
        out.append(f'<text x="{left}" y="{HEIGHT - 26 + 17 * line}">{text}</text>')
    return "\n".join([*out, "</svg>"]) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "quality.svg")
    write_bytes(parser.parse_args().out, chart(measured(), published()).encode())


if __name__ == "__main__":
    main()

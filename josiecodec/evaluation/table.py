"""Rows of scores on disk, and their means with intervals."""

from __future__ import annotations

import csv
import io
import itertools
import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from ..atomic import write_bytes
from ..errors import CodecError
from .judges import JUDGES

RATES = ("kbps", "payload_kbps", "bpp", "payload_bpp")
SCORES = (
    *("pesq_wb", "pesq_nb", "stoi", "estoi", "si_sdr", "mel", "wer"),
    *(column for judge in JUDGES.values() for column in judge.columns),
    *("psnr", "ms_ssim", "difference_psnr", "vmaf"),
)
LOWER_IS_BETTER = frozenset({"mel", "wer", *(column for judge in JUDGES.values() for column in judge.lower)})
ORDER = (*RATES, *SCORES, "delay_ms", "encode_rtf", "decode_rtf", "encode_s", "decode_s")
DRAWS = 2000  # of the bootstrap
MIN_FILES = 3  # for an interval: fewer say nothing about other files
WIDTH = 100  # columns of a terminal
_SHORT = {"difference_psnr": "diff_psnr", "encode_rtf": "enc_rtf", "decode_rtf": "dec_rtf", "encode_s": "enc_s",
          "decode_s": "dec_s", "visqol_speech": "visqol_s",
          "dnsmos_p808": "p808", "voicing_error": "voicing"}  # fmt: skip


class Rows:
    """Rows kept in a file, one JSON object per line, so that a run that was stopped can resume.

    Args:
        path: of the file; None to keep them in memory alone.
    """

    def __init__(self, path: Path | None):
        self.path = path
        self.rows: dict[tuple[str, str], dict[str, Any]] = {}
        if path is not None and path.exists():
            for line in path.read_text(encoding="utf-8").splitlines():
                try:
                    row = json.loads(line)
                    self.rows[row["codec"], row["file"]] = row
                except (json.JSONDecodeError, KeyError, TypeError):
                    continue  # the last line of a run that was killed

    def add(self, row: dict[str, Any]) -> None:
        """Add a row."""
        self.rows[row["codec"], row["file"]] = row
        if self.path is not None:
            with open(self.path, "a", encoding="utf-8") as f:
                f.write(json.dumps(row) + "\n")


def means(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One line for each codec and label: means over the files, and 95 % intervals as `NAME_low` and `NAME_high`.
    Word error rates are all errors by all words.

    The intervals are bootstrap percentiles over files, left out below three files. `errors` counts files that a codec
    failed on, `unscored` those of the others for which some score could not be computed.
    """
    lines = []
    for codec, label in dict.fromkeys((row["codec"], row["label"]) for row in rows):
        chosen = [row for row in rows if (row["codec"], row["label"]) == (codec, label)]
        done = [row for row in chosen if "error" not in row]
        line: dict[str, Any] = {"codec": codec, "label": label, "files": len(done)}
        line["errors"] = len(chosen) - len(done)
        line["unscored"] = sum(bool(row["unscored"]) for row in done)
        for name in ORDER:
            scored = [row for row in done if row.get(name) is not None]
            if scored:
                values = np.array([row[name] for row in scored])
                weights = np.array([row.get("wer_words", 1) if name == "wer" else 1 for row in scored])
                line[name] = round(float((values * weights).sum() / weights.sum()), 5)
                if len(values) < MIN_FILES:
                    continue
                chosen_files = np.random.default_rng(0).integers(0, len(values), (DRAWS, len(values)))
                drawn = (values * weights)[chosen_files].sum(1) / weights[chosen_files].sum(1)
                low, high = np.percentile(drawn, (2.5, 97.5))
                line[f"{name}_low"], line[f"{name}_high"] = round(float(low), 5), round(float(high), 5)
        line["peak_mb"] = max((row["peak_mb"] for row in done), default=None)
        lines.append(line)
    return lines


def at_rate(lines: list[dict[str, Any]], rate_name: str, rate: float, score: str) -> float | None:
    """A score at a rate, interpolated between means linearly in the logarithm of the rate; None outside of them."""
    points = sorted((line[rate_name], line[score]) for line in lines if score in line and rate_name in line)
    for (x0, y0), (x1, y1) in itertools.pairwise(points):
        if x0 <= rate <= x1 and x1 > x0:
            fraction = (math.log(rate) - math.log(x0)) / (math.log(x1) - math.log(x0))
            return float(y0 + fraction * (y1 - y0))
    return None


def write(folder: Path, rows: list[dict[str, Any]], lines: list[dict[str, Any]], **more: Any) -> None:
    """Write `results.json` (means, rows, and `more` if it is not empty), `means.csv` and `rows.csv`."""
    result = {"means": lines, "rows": rows, **{name: value for name, value in more.items() if value}}
    write_bytes(folder / "results.json", (json.dumps(result, indent=1) + "\n").encode())
    for name, table in (("means", lines), ("rows", rows)):
        file = io.StringIO()
        columns = list(dict.fromkeys(key for row in table for key in row))
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(table)
        write_bytes(folder / f"{name}.csv", file.getvalue().encode())


def read_rows(place: Path) -> list[dict[str, Any]]:
    """Rows that a comparison has written: of `results.json`, or of the folder that it is in.

    Raises:
        CodecError: if there are none.
    """
    path = place / "results.json" if place.is_dir() else place
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))["rows"]
        if rows and all({"codec", "file", "label"} <= row.keys() for row in rows):
            return list(rows)
    except OSError as error:
        raise CodecError(f"{path}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        pass
    raise CodecError(f"{path}: not the results of `josiecodec eval audio` or `vision` with --out")


def format_table(lines: list[dict[str, Any]]) -> str:
    """Means as a table for a terminal: a row of means for each codec, and below it half the width of the intervals."""
    shown = [name for name in ORDER if not name.startswith("payload") and any(name in line for line in lines)]
    heads = [_SHORT.get(name, name) for name in shown]
    labels = [f"{line['codec']} {line['label']}".strip() for line in lines]
    first = min(max(map(len, [*labels, "codec"])), 30)
    cells = [9] * len(shown)
    per = max(1, (WIDTH - first - 7) // 9)
    out = []
    for begin in range(0, len(shown), per):  # what does not fit beside each other is a table of its own
        names, widths = shown[begin : begin + per], cells[begin : begin + per]
        titles = heads[begin : begin + per]
        out.append(f"{'codec':{first}}  files" + "".join(f"{t:>{w}}" for t, w in zip(titles, widths)))
        for line, label in zip(lines, labels):
            if len(label) > first:
                out.append(label)
            start = f"{'' if len(label) > first else label:{first}}  {line['files']:5}"
            out.append(start + "".join(f"{_mean(line, n):>{w}}" for n, w in zip(names, widths)))
            halves = [_half(line, n) for n in names]
            out.append((" " * (first + 7) + "".join(f"{h:>{w}}" for h, w in zip(halves, widths))).rstrip())
        out.append("")
    for line, label in zip(lines, labels):
        counts = {"error" if line["errors"] == 1 else "errors": line["errors"], "unscored": line["unscored"]}
        bad = [f"{count} {name}" for name, count in counts.items() if count]
        if bad:
            out.append(f"{label}: {', '.join(bad)}")
    return "\n".join(out).rstrip()


def _mean(line: dict[str, Any], name: str) -> str:
    return f"{line[name]:.4g}" if name in line else ""


def _half(line: dict[str, Any], name: str) -> str:
    if name not in line:
        return ""
    return f"±{(line[f'{name}_high'] - line[f'{name}_low']) / 2:.2g}" if f"{name}_high" in line else "±n/a"


def problems(rows: list[dict[str, Any]]) -> list[str]:
    """Errors and missing scores, a line each."""
    out = []
    for row in rows:
        if "error" in row:
            out.append(f"{row['codec']}: {row['file']}: {row['error']}")
        elif row["unscored"]:
            out.append(f"{row['codec']}: {row['file']}: no {', '.join(row['unscored'])}")
    return out

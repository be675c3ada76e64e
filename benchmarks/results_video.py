"""Rows of `benchmarks/video.py`, checked, and their means over clips."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from results_files import ResultsError, check_weights

VIDEO_CODECS = {"josiecodec": "**josiecodec**", "x264": "x264", "x265": "x265", "svt-av1": "SVT-AV1"}
ORIGIN = ("model", "fingerprint", "version")


def read_video(path: Path) -> list[dict[str, Any]]:
    """Rows of the codecs of the page.

    Raises:
        ResultsError: on rows of ours of several models, versions or weights, or a clip that a codec lacks at a rate.
    """
    try:
        rows = [row for row in json.loads(path.read_text(encoding="utf-8")) if row["codec"] in VIDEO_CODECS]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ResultsError(f"{path}: no results: {error}") from None
    own = [row for row in rows if row["codec"] == "josiecodec"]
    origins = {tuple(row.get(name, "") for name in ORIGIN) for row in own}
    if len(origins) != 1:
        raise ResultsError(f"{path.name}: rows of ours of several models or versions: {sorted(origins)}")
    if own[0].get("model"):
        check_weights({row["model"]: row["fingerprint"] for row in own}, path.name)
    points = {(row["clip"], row["wanted"], row["codec"]) for row in rows}
    for clip, wanted, _ in sorted(points):
        for codec in VIDEO_CODECS:
            if (clip, wanted, codec) not in points:
                raise ResultsError(f"{path.name}: no row of {codec} for {clip} at {wanted:g} kbit/s")
    return rows


def video_means(rows: list[dict[str, Any]], codec: str, wanted: float) -> dict[str, float]:
    """Means over clips at a rate; `encode` and `decode` in seconds of the processor for each second of video."""
    chosen = [row for row in rows if (row["codec"], row["wanted"]) == (codec, wanted)]
    means = {n: sum(r[n] for r in chosen) / len(chosen) for n in ("kbps", "psnr", "ms_ssim", "difference_psnr")}
    total = sum(row["seconds"] for row in chosen)
    return means | {n: sum(r[f"{n[:-1]}ing"] for r in chosen) / total for n in ("encode", "decode")}

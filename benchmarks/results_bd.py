"""BD-rates between entries of results, with intervals where values of every file are known."""

from __future__ import annotations

import numpy as np
from results_files import Entry, means_of, rows_of

from josiecodec.evaluation.bd_rates import between
from josiecodec.evaluation.table import LOWER_IS_BETTER
from josiecodec.metrics.bd_rate import CurvesError, bd_rate

DRAWS = 500  # of the bootstrap
BdRate = tuple[float, tuple[float, float] | None]  # percent, and its 95 % interval


def of_entries(
    entries: dict[str, Entry], anchor: list[str], other: list[str], label: str, rate: str, measure: str
) -> BdRate | None:
    """BD-rate of the points `other` to the points `anchor`; None if the curves have none."""
    if not anchor or not other:
        return None
    used = {codec: entries[codec] for codec in (*anchor, *other) if codec in entries}
    if all(entry.get("columns") for entry in used.values()):
        rows = [row for row in rows_of(used) if row["label"] == label]
        found = between(rows, [c for c in anchor if c in used], [c for c in other if c in used], measure, DRAWS)
        if "refused" in found:
            return None
        return found["bd_rate"], (found["low"], found["high"]) if "low" in found else None
    means = means_of(used, label, (rate, measure))
    curves = [
        [(means[c][rate], means[c][measure]) for c in curve if means.get(c, {}).get(measure) is not None]
        for curve in (anchor, other)
    ]
    try:
        return bd_rate(curves[0], curves[1], measure not in LOWER_IS_BETTER), None
    except CurvesError:
        return None


def of_clips(
    rows: list[dict], anchor: str, other: str, measure: str
) -> tuple[float, tuple[float, float] | None, list[float]]:
    """Mean over clips of the BD-rate of each, its 95 % interval by bootstrap over clips, and the values of the clips
    that have one."""
    values = []
    for clip in dict.fromkeys(row["clip"] for row in rows):
        curves = [
            sorted({(r["kbps"], r[measure]) for r in rows if (r["clip"], r["codec"]) == (clip, codec)})
            for codec in (anchor, other)
        ]
        try:
            values.append(bd_rate(curves[0], curves[1]))
        except CurvesError:
            continue
    if not values:
        return float("nan"), None, []
    drawn = np.random.default_rng(0).integers(0, len(values), (DRAWS, len(values)))
    low, high = np.percentile(np.array(values)[drawn].mean(1), (2.5, 97.5))
    return float(np.mean(values)), (float(low), float(high)), values

"""BD-rates between the codecs of a comparison, for every measure, with intervals."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from ..metrics.bd_rate import CurvesError, bd_rate
from .codecs import split
from .picture_codecs import AT_SIZE
from .table import DRAWS, LOWER_IS_BETTER, MIN_FILES, SCORES

MAX_REFUSED = 0.05  # share of draws without a BD-rate above which an interval would hide them


def curve_of(codec: str) -> str:
    """The curve that a codec with a setting is a point of: levels and rates of a model are curves of their own, and so
    are sizes that a picture codec was given."""
    base, _, setting = split(codec)
    if re.fullmatch(r"[\d.]+k", setting):
        return f"{base} --kbps"
    if setting.endswith(AT_SIZE):
        return f"{base} at sizes"
    return f"{base} --n-q" if re.fullmatch(r"n\d+", setting) else base


def curves_of(rows: list[dict[str, Any]]) -> dict[str, list[str]]:
    """Curves, each with the codecs that are its points, in the order of the rows."""
    found: dict[str, list[str]] = {}
    for codec in dict.fromkeys(row["codec"] for row in rows):
        found.setdefault(curve_of(codec), []).append(codec)
    return found


def check_anchor(anchor: str, codecs: list[str]) -> str:
    """The curve that is meant by its own name or that of one of its points.

    Raises:
        CurvesError: if there is none, or no other.
    """
    curves = dict.fromkeys(map(curve_of, codecs))
    against = anchor if anchor in curves else curve_of(anchor)
    if against not in curves:
        raise CurvesError(f"no codec {anchor!r} to compare with; there are {', '.join(curves)}")
    if len(curves) == 1:
        raise CurvesError(f"BD-rates need a second codec beside {against}")
    return against


def bd_rates(rows: list[dict[str, Any]], anchor: str, draws: int = DRAWS) -> list[dict[str, Any]]:
    """BD-rates of all curves against one.

    A curve is of means over the files that all points of both curves have a score of. Intervals are of the bootstrap
    over these files, the same draw for both curves.

    Args:
        rows: of `run.compare`.
        anchor: a curve of `curves_of`, or a codec that is a point of one.
        draws: of the bootstrap.

    Returns:
        a dictionary for each other curve, label and measure, with `codec`, `anchor`, `label`, `measure`, `files`, and
        either `bd_rate` in percent and `low` and `high` (95 %) or `no_interval`, or `refused`, with the reason.

    Raises:
        CurvesError: if there is no such curve, or no other.
    """
    curves = curves_of(rows)
    against = check_anchor(anchor, [row["codec"] for row in rows])
    found = []
    for label in dict.fromkeys(row["label"] for row in rows):
        scored = [row for row in rows if row["label"] == label and "error" not in row]
        for other in curves:
            for measure in SCORES if other != against else ():
                if not any(row.get(measure) is not None for row in scored if row["codec"] in curves[other]):
                    continue
                about = {"codec": other, "anchor": against, "label": label, "measure": measure}
                found.append(about | between(scored, curves[against], curves[other], measure, draws))
    return found


def between(
    rows: list[dict[str, Any]], anchor: list[str], other: list[str], measure: str, draws: int = DRAWS
) -> dict[str, Any]:
    """The BD-rate of one curve against another, as in `bd_rates`.

    Args:
        rows: of one label.
        anchor, other: codecs that are the points of each.
        measure: of the quality.
        draws: of the bootstrap.
    """
    rate = next((name for name in ("kbps", "bpp") if any(row.get(name) is not None for row in rows)), "kbps")
    table: dict[str, dict[str, tuple[float, float]]] = {}
    for row in rows:
        if row.get(rate) is not None and row.get(measure) is not None:
            table.setdefault(row["file"], {})[row["codec"]] = row[rate], row[measure]
    codecs = [*anchor, *other]
    files = [points for points in table.values() if all(codec in points for codec in codecs)]
    if not files:
        return {"files": 0, "refused": "no file has a score of all points of both"}
    values = np.array([[points[codec] for codec in codecs] for points in files])  # [files, points, 2]
    higher = measure not in LOWER_IS_BETTER

    def delta(means: np.ndarray) -> float:
        points = [(float(x), float(y)) for x, y in means]
        return bd_rate(points[: len(anchor)], points[len(anchor) :], higher)

    try:
        result: dict[str, Any] = {"files": len(files), "bd_rate": round(delta(values.mean(0)), 2)}
    except CurvesError as error:
        return {"files": len(files), "refused": str(error)}
    if len(files) < MIN_FILES:
        result["no_interval"] = f"fewer than {MIN_FILES} files"
    else:
        random, drawn = np.random.default_rng(0), []
        for _ in range(draws):
            try:
                drawn.append(delta(values[random.integers(0, len(files), len(files))].mean(0)))
            except CurvesError:
                continue
        if len(drawn) >= (1 - MAX_REFUSED) * draws:
            low, high = np.percentile(drawn, (2.5, 97.5))
            result |= {"low": round(float(low), 2), "high": round(float(high), 2)}
        else:
            result["no_interval"] = f"{1 - len(drawn) / draws:.0%} of the draws have no BD-rate"
    return result


def format_bd_rates(found: list[dict[str, Any]]) -> str:
    """BD-rates as lines for a terminal, those refused with the reason."""
    out = []
    for codec, against, label in dict.fromkeys((f["codec"], f["anchor"], f["label"]) for f in found):
        out.append(f"BD-rate of {codec} against {against}, {label}:")
        for f in found:
            if (f["codec"], f["anchor"], f["label"]) != (codec, against, label):
                continue
            if "refused" in f:
                text = f"none: {f['refused']}"
            else:
                text = f"{f['bd_rate']:+.1f} %"
                text += (
                    f"  ({f['low']:+.1f} to {f['high']:+.1f})" if "low" in f else f"  (no interval: {f['no_interval']})"
                )
            out.append(f"  {f['measure']:16}{text}")
    return "\n".join(out)

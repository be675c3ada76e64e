"""BD-rates: known values, curves that have none, and tables."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from kit.processes import run

from josiecodec.evaluation.bd_rates import bd_rates, curve_of, format_bd_rates
from josiecodec.metrics.bd_rate import CurvesError, bd_rate

ANCHOR = [(1.0, 30.0), (2.0, 33.0), (4.0, 35.5), (8.0, 37.0)]


def test_twice_the_rate_is_plus_100_percent():
    other = [(2 * rate, quality) for rate, quality in ANCHOR]
    assert bd_rate(ANCHOR, other) == pytest.approx(100)
    assert bd_rate(other, ANCHOR) == pytest.approx(-50)
    assert bd_rate(ANCHOR, ANCHOR[::-1]) == pytest.approx(0)  # points come in any order
    lower = [[(rate, -quality) for rate, quality in points] for points in (ANCHOR, other)]
    assert bd_rate(*lower, higher_is_better=False) == pytest.approx(100)


def test_straight_lines_by_hand():
    # Rate 2 ** quality and 3 ** quality over the qualities 1 to 2, which both reach: the mean of q log(3 / 2) is 1.5.
    first, second = ([(base**q, q) for q in (0, 1, 2, 3)] for base in (2.0, 3.0))
    assert bd_rate(first, second[1:3]) == pytest.approx(100 * (1.5**1.5 - 1))


def test_a_curve_that_levels_off_is_no_surprise():
    """One cubic swings between such points and says several hundred percent; pchip does not."""
    flat = [(1.0, 30.0), (2.0, 36.0), (4.0, 36.9), (8.0, 37.0)]
    assert -50 < bd_rate(ANCHOR, flat) < 0


@pytest.mark.parametrize(
    ("points", "text"),
    [
        ([(1, 30), (2, 31), (4, 30.5)], "from a rate of 2"),
        ([(1, 30), (2, 30)], "does not get better"),
        ([(1, 30)], "1 point;"),
        ([], "0 points"),
        ([(0, 30), (1, 31)], "not positive"),
        ([(1, math.nan), (1, 31)], "finite"),
        ([(1, 40), (2, 41)], "share no quality"),
    ],
)
def test_curves_without_a_bd_rate_are_refused(points, text):
    with pytest.raises(CurvesError, match=text):
        bd_rate(ANCHOR, points)


def test_points_of_a_curve():
    assert curve_of("opus@6") == curve_of("opus@12") == "opus"
    assert curve_of("jodio-24k@9") == "jodio-24k"
    assert curve_of("jodio-24k@2.4k") == curve_of("jodio-24k@3k") == "jodio-24k --kbps"
    assert curve_of("jovio-16@n4") == "jovio-16 --n-q" != curve_of("jovio-16@0.2") == "jovio-16"


def rows_of(files: int) -> list[dict]:
    random = np.random.default_rng(3)
    rows = []
    for file in range(files):
        level = random.normal(0, 1)
        for codec, factor in (("a", 1.0), ("b", 0.8)):
            for n, (rate, quality) in enumerate(ANCHOR):
                noise = random.normal(0, 0.05)
                row = {"codec": f"{codec}@{n}", "file": str(file), "label": "image", "unscored": []}
                rows.append(row | {"bpp": factor * rate, "psnr": quality + level + noise, "ms_ssim": 0.9})
    return rows


def test_a_table_has_bd_rates_with_intervals():
    rows = rows_of(12)
    rows[5]["psnr"] = None  # then its file counts for neither codec
    rows.append({"codec": "c@1", "file": "0", "label": "image", "error": "no"})
    found = {f["measure"]: f for f in bd_rates(rows, "a@2", 200)}
    assert found["psnr"]["files"] == 11
    assert found["psnr"]["low"] < found["psnr"]["bd_rate"] < found["psnr"]["high"]
    assert found["psnr"]["low"] < -20 < found["psnr"]["high"]
    assert "does not get better" in found["ms_ssim"]["refused"]
    text = format_bd_rates(list(found.values()))
    assert "BD-rate of b against a, image:" in text
    assert "none: anchor does not get better" in text
    assert bd_rates(rows_of(2), "a")[0]["no_interval"] == "fewer than 3 files"


def test_draws_that_mostly_have_none_give_no_interval():
    rows = rows_of(4)
    for row in rows:  # one file alone makes the mean of the anchor rise
        if row["codec"] == "a@3" and row["file"] != "0":
            row["psnr"] = next(r for r in rows if r["file"] == row["file"] and r["codec"] == "a@2")["psnr"] - 0.1
    (found,) = [f for f in bd_rates(rows, "a", 100) if f["measure"] == "psnr"]
    assert "bd_rate" in found
    assert "of the draws have no BD-rate" in found["no_interval"]


def test_the_command_line_reads_earlier_results(tmp_path):
    (tmp_path / "results.json").write_text(json.dumps({"rows": rows_of(4)}))
    lines = [json.loads(line) for line in run("eval", "bd-rate", tmp_path, "--json").splitlines()]
    assert [(f["codec"], f["anchor"]) for f in lines if f["measure"] == "psnr"] == [("b", "a"), ("a", "b")]
    assert "BD-rate of a against b" in run("eval", "bd-rate", tmp_path / "results.json", "--anchor", "b")
    assert "there are a, b" in run("eval", "bd-rate", tmp_path, "--anchor", "x", code=2)
    (tmp_path / "results.json").write_text("[]")
    assert "not the results" in run("eval", "bd-rate", tmp_path, code=2)
    assert "No such file" in run("eval", "bd-rate", tmp_path / "none", code=2)

"""The chart of the README shows the figures of the tables, and tells published ones from measured ones."""

from __future__ import annotations

import re
import runpy
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))  # no package that is installed
names = runpy.run_path(str(ROOT / "benchmarks" / "chart.py"))
MODEL, chart, measured, published = (names[name] for name in ("MODEL", "chart", "measured", "published"))


def test_the_chart_is_that_of_the_tables():
    text = (ROOT / "docs" / "quality.svg").read_text()
    assert text == chart(measured(), published()), "run: python benchmarks/chart.py"
    ET.fromstring(text)
    assert "docs/quality.svg" in (ROOT / "README.md").read_text()


def test_published_points_are_hollow():
    text = chart(measured(), published())
    own, others = sum(map(len, measured().values())), sum(map(len, published().values()))
    assert len(re.findall('<circle [^>]*class="hollow"', text)) == others
    assert len(re.findall("<circle ", text)) == own + others
    assert {MODEL, "Opus"} <= measured().keys()
    assert not measured().keys() & published().keys()

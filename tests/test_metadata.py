"""What a package page and a citation say agrees with the package."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import josiecodec
from josiecodec.shipped import WEIGHTS, available

ROOT = Path(__file__).parents[1]


def test_one_version_everywhere():
    log = re.findall(r"^## (\S+) ?\(?([\d-]*)\)?$", (ROOT / "CHANGELOG.md").read_text(), re.M)
    citation = (ROOT / "CITATION.cff").read_text()
    assert log[0][0] == josiecodec.__version__
    assert f"version: {josiecodec.__version__}\n" in citation
    assert f"date-released: {log[0][1]}\n" in citation


def test_the_project_is_described():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert "Typing :: Typed" in project["classifiers"]
    assert (ROOT / "josiecodec" / "py.typed").exists()
    assert "mkdocs" in " ".join(project["optional-dependencies"]["docs"])


def test_an_editable_install_is_a_path_that_type_checkers_follow():
    """Setuptools falls back to an import hook if packages do not lie where their names say."""
    tool = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    assert tool["package-dir"] == {"": "."}
    for package in tool["packages"]:
        assert (ROOT / package.replace(".", "/") / "__init__.py").exists()
    for package in ("josiecodec", "josielm"):
        assert (ROOT / package / "py.typed").exists()


def test_model_cards_begin_with_a_verdict():
    for name in available():
        title, verdict, *_ = (WEIGHTS / name / "README.md").read_text().split("\n\n")
        assert title == f"# {name}"
        assert verdict.startswith("**Verdict:**")
        assert "\n" not in verdict


def test_every_changed_format_is_promised():
    promise = (ROOT / "CHANGELOG.md").read_text().split("## What stays readable")[1].split("\n## ")[0]
    for text in ("`.josie` version 1", "`.josie` version 2", "datasets, version 1", "format 1 and 2"):
        assert text in promise


def test_all_files_of_the_package_are_installed():
    """What is no Python file has to be named in pyproject.toml, or it is missing from an installation."""
    data = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]["package-data"]
    named = set()
    for package, patterns in data.items():
        folder = ROOT.joinpath(*package.split("."))
        named |= {path for pattern in patterns for path in folder.glob(pattern)}
    files = {p for p in (ROOT / "josiecodec").rglob("*") if p.is_file() and "__pycache__" not in p.parts}
    assert {p for p in files if p.suffix != ".py"} == {p for p in named if "josiecodec" in p.parts}

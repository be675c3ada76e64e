"""The notebooks run, cell by cell, and hold no results of some other run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "docs" / "notebooks"


@pytest.mark.parametrize("name", ["first_codes", "tokens_to_a_dataloader", "compare_codecs"])
def test_notebooks_run(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    cells = json.loads((FOLDER / f"{name}.ipynb").read_text())["cells"]
    names: dict = {}
    for cell in cells:
        if cell["cell_type"] == "code":
            assert not cell["outputs"]
            exec("".join(cell["source"]), names)
    assert len(cells) > 5


def test_every_notebook_is_listed_and_run():
    found = {path.stem for path in FOLDER.glob("*.ipynb")}
    assert found == {"first_codes", "tokens_to_a_dataloader", "compare_codecs"}
    assert all(f"({name}.ipynb)" in (FOLDER / "index.md").read_text() for name in found)

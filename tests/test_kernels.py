"""Compiled code is a help, never a condition: without it, or with one that is broken, all works as well."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from josiecodec import kernels


def said(code: str) -> tuple[str, str]:
    """What a fresh process writes to standard output and error."""
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip(), done.stderr.strip()


def test_all_families_are_known():
    files = {path.stem for path in Path(kernels.__file__).parent.glob("*.py")}
    assert files == {*kernels.FAMILIES, "__init__", "compiling"}


def test_all_can_be_compiled_ahead(monkeypatch):
    pytest.importorskip("numba")
    assert kernels.compile_all()
    monkeypatch.setenv(kernels.SWITCH, "off")
    assert not kernels.compile_all()


def test_the_switch(monkeypatch):
    monkeypatch.setenv(kernels.SWITCH, "off")
    assert kernels.family("motion_residual") is None


def test_without_numba():
    code = """
    import sys
    sys.modules["numba"] = None
    from josiecodec import kernels
    print(kernels.family("motion_residual"), kernels.family("motion_search"))
    """
    assert said(code) == ("None None", "")


def test_a_numba_that_does_not_work_is_one_line(tmp_path):
    (tmp_path / "numba.py").write_text("raise ImportError('Numba needs NumPy 2.2 or less\\nand more')\n")
    code = f"""
    import sys
    sys.path.insert(0, {str(tmp_path)!r})
    from josiecodec import kernels
    print(kernels.family("motion_residual"), kernels.family("motion_search"))
    """
    out, err = said(code)
    assert out == "None None"
    assert "NumPy 2.2" in err
    assert len(err.splitlines()) == 1


def test_importing_is_light():
    code = "import sys, josiecodec.coding.motion_codec; print('numba' in sys.modules)"
    assert said(code)[0] == "False"


def test_no_folder_for_the_cache_is_no_error(capsys):
    pytest.importorskip("numba")
    from josiecodec.kernels.compiling import compiled

    names: dict = {}
    exec("def twice(x):\n    return 2 * x", names)  # in no file, so numba finds no place for its cache
    kernel = compiled("int64(int64)")(names["twice"])
    assert kernel(21) == 42


def test_a_damaged_cache_is_no_error(tmp_path):
    pytest.importorskip("numba")
    (tmp_path / "doubled.py").write_text(
        "from josiecodec.kernels.compiling import compiled\n\n"
        "@compiled('int64(int64)')\ndef twice(x):\n    return 2 * x\n"
    )
    code = f"""
    import os, sys
    os.environ["NUMBA_CACHE_DIR"] = {str(tmp_path / "cache")!r}
    sys.path.insert(0, {str(tmp_path)!r})
    import doubled
    print(doubled.twice(21), sum(doubled.twice.stats.cache_hits.values()))
    """
    assert said(code)[0] == "42 0"
    assert said(code)[0] == "42 1"
    for file in (tmp_path / "cache").rglob("*.nb*"):
        file.write_bytes(file.read_bytes()[:20])
    assert said(code)[0] == "42 0"


def test_arrays_are_made_ready():
    x = np.arange(12).reshape(3, 4)
    assert kernels.ready(x, np.int64) is x
    for other in (x.T, x[:, ::2], x.astype(np.uint8)):
        made = kernels.ready(other, np.int64)
        assert made.flags.c_contiguous
        np.testing.assert_array_equal(made, other)
    fixed = np.frombuffer(b"abcd", np.uint8)
    assert kernels.ready(fixed, np.uint8).flags.writeable

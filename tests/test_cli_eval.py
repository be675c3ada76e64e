"""`eval` refuses before work what it cannot do, and its tables fit a terminal."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile
from kit.audio import RATE, speechlike
from kit.processes import run

from josiecodec.evaluation import table
from josiecodec.training.core.codec_loop import run_name
from josiecodec.training.core.run_settings import _difference


@pytest.fixture
def sounds(tmp_path) -> Path:
    folder = tmp_path / "sounds"
    folder.mkdir()
    soundfile.write(folder / "a.wav", speechlike(13)[0, 0].numpy(), RATE)
    return folder


def test_a_codec_that_is_not_there_is_refused_before_any_work(sounds, tmp_path):
    error = run("eval", "audio", sounds, "--codecs", "opuz@6", "--out", tmp_path / "out", code=2)
    assert "did you mean opus?" in error
    assert not (tmp_path / "out").exists()
    assert "not for audio" in run("eval", "audio", sounds, "--model", "jovio-16", code=2)


def test_warnings_are_lines_and_are_given_once(sounds):
    soundfile.write(sounds / "b.wav", 8 * speechlike(13)[0, 0].numpy(), RATE, "FLOAT")
    command = [sys.executable, "-m", "josiecodec_cli.main", "eval", "audio", str(sounds), "--codecs", "mp3@32"]
    environment = {**os.environ, "JOSIECODEC_PROGRESS_SECONDS": "0"}
    told = subprocess.run(command, capture_output=True, text=True, env=environment).stderr.splitlines()
    assert [line.partition(" ")[0] for line in told] == ["warning:"]
    assert "b.wav: samples reach" in told[0]


def test_packages_are_checked_first(sounds, tmp_path):
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(
        "import importlib.util as u\nfind = u.find_spec\n"
        "u.find_spec = lambda name, *a: None if name == 'pesq' else find(name, *a)\n"
    )
    path = os.pathsep.join([str(tmp_path / "site"), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-m", "josiecodec_cli.main", "eval", "audio", str(sounds), "--out", str(tmp_path / "o")]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": path})
    assert done.returncode == 2
    assert "pip install 'josiecodec[eval]'" in done.stderr
    assert not (tmp_path / "o").exists()


def test_tables_fit_and_few_files_have_no_interval():
    names = ("kbps", "pesq_wb", "pesq_nb", "stoi", "si_sdr", "mel", "wer", "encode_rtf", "decode_rtf", "encode_s")
    rows = [
        {"codec": f"some/long/path/to/a/model/{codec}", "label": "speech", "file": str(n), "unscored": [],
         "peak_mb": 1, **{name: 1.2345 + n for name in names}}
        for codec in ("a", "b@9") for n in range(2)
    ]  # fmt: skip
    text = table.format_table(table.means(rows))
    assert max(map(len, text.splitlines())) <= 100
    assert "n/a" in text
    assert "kbps_low" not in table.means(rows)[0]
    rows += [{**rows[0], "file": "3"}]
    assert "kbps_low" in table.means(rows)[0]


def test_runs_have_names_of_their_own(tmp_path):
    assert run_name("jodio-24k", tmp_path / "my run") == "jodio-24k-my-run"
    assert run_name("mine", tmp_path / "run") == "mine"


def test_settings_of_a_run_are_those_last_agreed():
    assert _difference("batch", 4, 8).startswith("the run has batch = 4, not 8")

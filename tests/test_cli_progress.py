"""Signs of life where there is no terminal."""

from __future__ import annotations

import os
import subprocess
import sys
from types import SimpleNamespace

import soundfile
from kit.audio import RATE, speechlike, tiny_model

from josiecodec.hub.store import save
from josiecodec_cli.progress import Progress, span


def test_a_line_now_and_then_says_what_is_done(tmp_path):
    model = save(tiny_model(), tmp_path / "model")
    soundfile.write(tmp_path / "talk.wav", speechlike(2000)[0, 0].numpy(), RATE)
    command = [sys.executable, "-m", "josiecodec", "encode", str(tmp_path / "talk.wav"), "--model", str(model)]
    environment = {**os.environ, "JOSIECODEC_PROGRESS_SECONDS": "0.02"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    assert "talk.wav: " in done.stderr
    assert "% done" in done.stderr
    quiet = subprocess.run([*command, "--overwrite", "-q"], capture_output=True, text=True, env=environment, check=True)
    assert quiet.stderr == quiet.stdout == ""


def test_the_time_left_follows_from_the_time_taken(monkeypatch):
    now = 0.0
    monkeypatch.setattr("josiecodec_cli.progress.time", SimpleNamespace(monotonic=lambda: now))
    progress = Progress(4, "file")
    assert progress.line(10) == "0% done, 0 of 4 files, 10 s so far"
    now = 60.0
    progress.reach(1)
    assert progress.line(60) == "25% done, 1 of 4 files, 1 min 0 s so far, about 3 min 0 s left"
    # It counts down while nothing is said to be done, and ends when it is over.
    assert progress.line(90) == "25% done, 1 of 4 files, 1 min 30 s so far, about 2 min 30 s left"
    assert progress.line(300) == "25% done, 1 of 4 files, 5 min 0 s so far"
    progress.reach(4)
    assert progress.line(310) == "nearly all done, 4 of 4 files, 5 min 10 s so far"
    assert span(7500) == "2 h 5 min"

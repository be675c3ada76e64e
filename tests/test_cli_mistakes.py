"""What is said about command lines that cannot be meant so."""

from __future__ import annotations

import soundfile
from kit.audio import RATE, speechlike
from kit.processes import run, run_cli

import josiecodec


def test_a_dataset_is_not_put_among_the_media(tmp_path):
    soundfile.write(tmp_path / "a.wav", speechlike(13)[0, 0].numpy(), RATE)
    assert "needs a folder of its own" in run("tokenize", tmp_path, tmp_path, code=2)
    assert [p.name for p in tmp_path.iterdir()] == ["a.wav"]


def test_empty_files_and_folders_that_are_none(tmp_path):
    (tmp_path / "a.wav").write_bytes(b"")
    assert "a.wav: is empty" in run("encode", tmp_path / "a.wav", tmp_path / "a.josie", code=2)
    (tmp_path / "b.wav").write_bytes(b"no sound at all" * 100)
    error = run("encode", tmp_path / "b.wav", tmp_path / "b.josie", code=2)
    assert "Errno" not in error
    assert error.count("b.wav") == 1
    assert "a.wav: is a file, not a folder" in run("eval", "audio", tmp_path / "a.wav", code=2)
    assert "nosuch: no such folder" in run("eval", "vision", tmp_path / "nosuch", code=2)


def test_trimming_that_leaves_nothing_out_is_said(tmp_path):
    soundfile.write(tmp_path / "a.wav", speechlike(13)[0, 0].numpy(), RATE)
    run("encode", tmp_path / "a.wav", tmp_path / "a.josie", "--n-q", 4)
    done = run_cli("trim", tmp_path / "a.josie", tmp_path / "b.josie", "--n-q", 9)
    assert "has no more levels than that" in done.stderr
    assert run("--version").split() == ["josiecodec,", "version", josiecodec.__version__]

"""Work in processes of its own: results, errors, and processes that die."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import warnings

import numpy as np
import pytest
import soundfile
from kit import apart_work
from kit.sound import RATE, noise, write_sound
from kit.vision import CONV, model, scene

from josiecodec.errors import CodecError, MediaError
from josiecodec.media.apart import Apart, ApartPool, Died
from josiecodec.media.images import save_image
from josiecodec.tokenization.plan import Settings, make_plan
from josiecodec.tokenization.tokenize import tokenize

LAYOUTS = ["mono", "stereo", "2.1", "3.0", "4.0", "quad", "5.0", "5.1", "6.1", "7.1"]
# makes every process in which it is imported die where it opens a file with "deadly" in its name
DEADLY = """
import os, signal, soundfile
from PIL import Image
_look = Image.open
def _deadly_look(file, *args, **kwargs):
    if "deadly" in str(getattr(file, "name", file)):
        os.kill(os.getpid(), signal.SIGSEGV)
    return _look(file, *args, **kwargs)
Image.open = _deadly_look
_open = soundfile.SoundFile.__init__
def _deadly(self, file, *args, **kwargs):
    if isinstance(file, (str, bytes)) and b"deadly" in os.fsencode(file):
        os.kill(os.getpid(), signal.SIGSEGV)
    _open(self, file, *args, **kwargs)
soundfile.SoundFile.__init__ = _deadly
"""


@pytest.fixture
def deadly(tmp_path, monkeypatch):
    """A folder of recordings, one of which takes the process down in which it is opened."""
    folder = tmp_path / "media"
    folder.mkdir()
    for n, name in enumerate(("a.wav", "b deadly.wav", "c.wav")):
        soundfile.write(folder / name, noise(12000, n), 24000)
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(DEADLY)
    monkeypatch.syspath_prepend(tmp_path / "site")
    return folder


def test_results_errors_and_warnings_come_back(capfd):
    with Apart() as apart:
        notes = []
        assert apart.call(apart_work.add, 3, 4, on_note=notes.append) == 7
        assert notes == ["adding"]
        assert list(apart.stream(apart_work.count, 4)) == [0, 1, 2, 3]
        with pytest.raises(CodecError, match="KeyError"):
            apart.call(apart_work.wrong)
        with pytest.raises(MediaError, match="bad file"):
            apart.call(apart_work.refuse)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            assert apart.call(apart_work.warn) is None
        assert [str(w.message) for w in caught] == ["careful"]
        assert np.array_equal(apart.call(apart_work.array, 10), np.arange(10))


def test_it_follows_the_caller_to_other_folders(tmp_path, monkeypatch):
    with Apart() as apart:
        for name in ("a", "b"):
            (tmp_path / name).mkdir()
            monkeypatch.chdir(tmp_path / name)
            assert apart.call(os.getcwd) == str(tmp_path / name)


def test_a_process_that_dies_is_named_and_another_one_takes_over():
    with Apart() as apart:
        for _ in range(2):
            with pytest.raises(Died, match="SIGSEGV"):
                apart.call(apart_work.die)
            assert apart.call(apart_work.add, 1, 1) == 2
        stream = apart.stream(apart_work.count, 10**9)
        assert [next(stream) for _ in range(3)] == [0, 1, 2]
        stream.close()
        assert apart.call(apart_work.add, 2, 2) == 4


def test_threads_have_processes_of_their_own():
    with ApartPool() as pool:
        found = []
        threads = [threading.Thread(target=lambda: found.append(pool.call(apart_work.pid))) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert os.getpid() not in found
        assert pool.call(apart_work.pid) in found


def test_tokenizing_goes_on_after_a_deadly_file(deadly, tmp_path, spectral, monkeypatch):
    for seconds in (100.0, 0.2):  # read at once, and as streams
        with ApartPool() as pool:
            monkeypatch.setattr("josiecodec.tokenization.audio.shared_pool", lambda pool=pool: pool)
            out = tmp_path / f"tokens {seconds}"
            (report,) = tokenize(spectral, make_plan(deadly), out, Settings(2, batch_seconds=seconds))
        assert (report.clips, report.bad) == (2, 1)
        (error,) = [json.loads(line) for line in (out / "errors.jsonl").read_text().splitlines()]
        assert error["source"] == "b deadly.wav"
        assert "SIGSEGV" in error["error"]


def test_tokenizing_goes_on_after_a_deadly_picture(deadly, tmp_path, monkeypatch):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name in ("a.png", "b deadly.png", "c.png"):
        save_image(scene(32, 32)[0, :, 0], folder / name)
    with ApartPool() as pool:
        monkeypatch.setattr("josiecodec.tokenization.vision.shared_pool", lambda: pool)
        (report,) = tokenize(model(CONV), make_plan(folder), tmp_path / "tokens", Settings(2))
    assert (report.clips, report.bad) == (2, 1)


@pytest.mark.parametrize("side_by_side", [(), ("--jobs", "3")])
def test_encoding_a_folder_goes_on_after_a_deadly_file(deadly, tmp_path, side_by_side):
    write_sound(deadly / "d.flac", noise(20000), "flac", "flac", layout="7.1")
    (deadly / "e.mp3").write_bytes(b"\xff\xfb\x90" + bytes(500))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path / "site"), *filter(None, sys.path)])}
    command = [sys.executable, "-m", "josiecodec_cli.main", "encode", deadly, tmp_path / "out", "--n-q", "2"]
    done = subprocess.run([*command, *side_by_side], capture_output=True, text=True, env=environment)
    assert done.returncode == 2
    errors = [line for line in done.stderr.splitlines() if line.startswith("error")]
    assert len(errors) == 2
    assert "b deadly.wav" in errors[0]
    assert "SIGSEGV" in errors[0]
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["a.josie", "c.josie", "d.josie"]


def test_every_layout_is_tokenized(tmp_path, spectral):
    folder = tmp_path / "media"
    folder.mkdir()
    for layout in LAYOUTS:
        write_sound(folder / f"{layout}.wav", noise(RATE // 4), "pcm_s16le", "wav", layout=layout)
        write_sound(folder / f"{layout}.flac", noise(RATE // 4), "flac", "flac", layout=layout)
        write_sound(folder / f"{layout}.mka", noise(RATE // 4), "aac", "matroska", layout=layout)
    shutil.copy(folder / "5.1.flac", folder / "again.flac")
    (report,) = tokenize(spectral, make_plan(folder), tmp_path / "tokens", Settings(2))
    assert (report.clips, report.bad) == (3 * len(LAYOUTS) + 1, 0)

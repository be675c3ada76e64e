"""The command line where torch must not be imported: what is covered works, all else says what to install."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from kit.audio import speechlike
from kit.processes import run

# Found first by Python: imports of these fail as if nobody had installed them.
_BLOCK = "import os, sys\nfor name in os.environ['BLOCKED'].split():\n    sys.modules[name] = None\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("runtime")
    (folder / "blocked").mkdir()
    (folder / "blocked" / "sitecustomize.py").write_text(_BLOCK)
    (folder / "in").mkdir()
    for number in range(2):
        wave = speechlike(19.3, seed=number)[0, 0].numpy()
        soundfile.write(folder / "in" / f"{number}.wav", wave, 24000, subtype="PCM_16")
    return folder


def without(folder: Path, *args: object, blocked: str = "torch av PIL tqdm", code: int = 0, **variables: str) -> str:
    """What the command line says in a process that cannot import some packages."""
    path = os.pathsep.join([str(folder / "blocked"), os.environ.get("PYTHONPATH", ""), *sys.path])
    command = [sys.executable, "-m", "josiecodec_cli.main", *map(str, args)]
    environment = {**os.environ, "PYTHONPATH": path, "BLOCKED": blocked, **variables}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr if code else done.stdout


def test_sound_is_encoded_and_decoded_without_torch(folder):
    start, coded, back = folder / "in" / "0.wav", folder / "0.josie", folder / "0.wav"
    assert "9 levels" in without(folder, "encode", start, coded)
    run("encode", start, folder / "torch.josie", "--runtime", "torch")
    assert coded.read_bytes() == (folder / "torch.josie").read_bytes()
    without(folder, "decode", coded, back, "--threads", 1)
    run("decode", coded, folder / "torch.wav", "--runtime", "torch")
    ours, theirs = (soundfile.read(path, dtype="int16")[0].astype(int) for path in (back, folder / "torch.wav"))
    assert len(ours) == len(theirs) == len(soundfile.read(start)[0])
    assert np.abs(ours - theirs).max() <= 8


def test_levels_after_the_base_are_decoded_without_torch(folder):
    start, coded = folder / "in" / "0.wav", folder / "more.josie"
    run("encode", start, coded, "--kbps", 3)
    without(folder, "decode", coded, folder / "more.wav")
    run("decode", coded, folder / "more-torch.wav", "--runtime", "torch")
    ours, theirs = (
        soundfile.read(path, dtype="int16")[0].astype(int) for path in (folder / "more.wav", folder / "more-torch.wav")
    )
    assert len(ours) == len(theirs)
    assert np.abs(ours - theirs).max() <= 16


def test_what_else_there_is_without_torch(folder):
    coded = folder / "else.josie"
    without(folder, "encode", folder / "in" / "1.wav", coded, "--n-q", 5, "--beams", 2)
    assert "5 levels" in without(folder, "info", coded)
    without(folder, "trim", coded, folder / "trimmed.josie", "--n-q", 3)
    without(folder, "decode", folder / "trimmed.josie", folder / "trimmed.flac", "--sample-rate", 16000)
    assert soundfile.info(folder / "trimmed.flac").samplerate == 16000
    assert "jodio-24k-v4" in without(folder, "models")
    assert "--runtime" in without(folder, "encode", "--help")
    assert "24000 Hz" in without(folder, "info", folder / "in" / "1.wav", blocked="torch PIL tqdm")


def test_a_folder_without_torch(folder):
    without(folder, "encode", folder / "in", folder / "coded", blocked="torch")
    without(folder, "decode", folder / "coded", folder / "decoded", blocked="torch")
    assert sorted(path.name for path in (folder / "decoded").iterdir()) == ["0.wav", "1.wav"]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (("--runtime", "torch"), "--runtime torch was asked for, which is not installed"),
        (("--device", "cuda"), "device 'cuda' needs torch, which is not installed"),
        (("--runtime", "onnx", "--device", "cuda"), "--runtime onnx cannot do it"),
    ],
)
def test_what_needs_torch_says_so(folder, options, text):
    said = without(folder, "encode", folder / "in" / "0.wav", folder / "no.josie", *options, code=2)
    assert text in said
    assert said.count("\n") == 1
    assert not (folder / "no.josie").exists()


def test_other_commands_say_what_is_missing(folder):
    said = without(folder, "tokenize", folder / "in", folder / "dataset", blocked="torch", code=2)
    assert "torch" in said
    assert "pip install torch" in said


def test_without_both_runtimes(folder):
    blocked = "torch onnxruntime"
    said = without(folder, "encode", folder / "in" / "0.wav", folder / "no.josie", blocked=blocked, code=2)
    assert "pip install" in said


def test_torch_does_it_where_onnxruntime_is_missing(folder):
    without(folder, "encode", folder / "in" / "0.wav", folder / "plain.josie", blocked="onnxruntime")
    without(folder, "encode", folder / "in" / "0.wav", folder / "light.josie")
    assert (folder / "plain.josie").read_bytes() == (folder / "light.josie").read_bytes()


def test_a_variable_chooses_the_runtime(folder):
    arguments = ("encode", folder / "in" / "0.wav", folder / "no.josie")
    assert "asked for" in without(folder, *arguments, code=2, JOSIECODEC_RUNTIME="torch")


def test_importing_the_runtime_imports_no_torch():
    names = "josiecodec.runtime.audio_codec, josiecodec.runtime.choose, josiecodec.coding.audio, josiecodec_cli.main"
    code = f"import sys, {names}; print([m for m in ('torch', 'av', 'PIL', 'tqdm') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"

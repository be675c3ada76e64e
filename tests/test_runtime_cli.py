"""The command line where torch must not be imported: what is covered works, all else says what to install."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from kit.audio import speechlike, tiny_model
from kit.processes import run
from kit.video import write_video
from PIL import Image

from josiecodec.bitstream.container import TokenReader
from josiecodec.hub.store import save
from josiecodec.media.video_reader import load_video

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


@pytest.mark.parametrize(
    "arguments",
    [
        ("eval", "audio", "in"),
        ("export", "jodio-24k-v4", "graphs"),
        ("save", "jodio-24k-v4", "model"),
        ("tokenize", "pictures", "no-dataset"),
        ("encode", "clip.mp4", "no.josie", "--n-q", 4),
        ("encode", "in/0.wav", "no.josie", "--model", "model"),
    ],
)
def test_other_commands_say_what_is_missing(folder, arguments, monkeypatch):
    monkeypatch.chdir(folder)
    (folder / "pictures").mkdir(exist_ok=True)
    Image.new("RGB", (32, 32)).save(folder / "pictures" / "one.png")
    write_video(folder / "clip.mp4", (32, 48), 5)
    if not (folder / "model").exists():
        save(tiny_model(), folder / "model")
    said = without(folder, *arguments, blocked="torch", code=2)
    assert "torch, which is not installed: pip install torch" in said
    assert said.count("\n") == 1, said


def test_rates_stereo_and_pieces_without_torch(folder):
    wave = soundfile.read(folder / "in" / "0.wav")[0]
    soundfile.write(folder / "stereo.wav", np.stack([wave, 0.2 * wave], 1), 24000)
    coded = folder / "stereo.josie"
    without(folder, "encode", folder / "stereo.wav", coded, "--stereo", "--kbps", 4)
    assert coded.stat().st_size * 8 <= 4000 * len(wave) / 24000
    without(folder, "decode", coded, folder / "piece.wav", "--start", 0.5, "--seconds", 0.5)
    assert soundfile.info(folder / "piece.wav").channels == 2
    assert soundfile.info(folder / "piece.wav").frames == 12000
    assert "level 0" in without(folder, "eval", "codes", coded)


def test_a_dataset_without_torch(folder):
    made = folder / "dataset"
    without(folder, "tokenize", folder / "in", made, "-q", blocked="torch")
    assert "2 clips" in without(folder, "tokens", "info", made, blocked="torch")
    without(folder, "tokens", "verify", made, blocked="torch")
    without(folder, "tokens", "export", made, folder / "arrays", "--to", "npy", blocked="torch")
    run("tokenize", folder / "in", folder / "torch-dataset", "-q")
    names = ("00000.safetensors", "dataset.json")
    assert all((made / name).read_bytes() == (folder / "torch-dataset" / name).read_bytes() for name in names)


def test_a_video_is_decoded_without_torch(folder):
    write_video(folder / "film.mp4", (48, 64), 20, audio=True)
    run("encode", folder / "film.mp4", folder / "film.josie", "--kbps", 200)
    for runtime in ("torch", "onnx"):
        how = ("decode", folder / "film.josie", folder / f"{runtime}.mkv", "--runtime", runtime)
        run(*how) if runtime == "torch" else without(folder, *how, blocked="torch")
    found, want = (load_video(folder / f"{runtime}.mkv")[0] for runtime in ("onnx", "torch"))
    assert found.shape == (3, 20, 48, 64)
    assert torch.equal(found, want)
    without(folder, "decode", folder / "film.josie", folder / "film.png", "--start", 0.3, blocked="torch")
    run("encode", folder / "film.mp4", folder / "groups.josie", "--n-q", 4)
    said = without(folder, "decode", folder / "groups.josie", folder / "groups.mkv", blocked="torch", code=2)
    assert "a video without motion needs torch, which is not installed" in said


def test_a_video_is_encoded_without_torch(folder):
    write_video(folder / "shot.mp4", (48, 64), 20, audio=True)
    without(folder, "encode", folder / "shot.mp4", folder / "light.josie", "--kbps", 200, blocked="torch")
    with TokenReader(folder / "light.josie") as reader:
        assert [s.kind for s in reader.streams] == ["vision", "audio"]
        assert reader.streams[0].group == 1  # with motion
    for runtime in ("torch", "onnx"):  # parities of the file see to it that both show the same
        how = ("decode", folder / "light.josie", folder / f"light-{runtime}.mkv", "--runtime", runtime)
        run(*how) if runtime == "torch" else without(folder, *how, blocked="torch")
    found, want = (load_video(folder / f"light-{runtime}.mkv")[0] for runtime in ("onnx", "torch"))
    assert torch.equal(found, want)
    start = load_video(folder / "shot.mp4")[0]
    assert float((found - start).square().mean()) < 1e-3
    said = without(folder, "encode", folder / "shot.mp4", folder / "no.josie", "--n-q", 4, blocked="torch", code=2)
    assert "a video without motion needs torch, which is not installed" in said


PYTHON = """
import josiecodec
josiecodec.encode_file("in/0.wav", "py.josie", kbps=3)
josiecodec.decode_file("py.josie", "py.wav")
josiecodec.encode_file("python.mp4", "python-film.josie", kbps=200)
josiecodec.decode_file("python-film.josie", "python-film.mkv")
print(josiecodec.decode_piece("py.josie", 0.2, 0.1).shape, josiecodec.TokenFile.read("py.josie").streams[0].codes.shape)
try:
    josiecodec.load("jodio-24k-v4")
except ModuleNotFoundError as error:
    print(error)
"""


def test_python_without_torch(folder):
    path = os.pathsep.join([str(folder / "blocked"), *sys.path])
    environment = {**os.environ, "PYTHONPATH": path, "BLOCKED": "torch"}
    write_video(folder / "python.mp4", (32, 48), 5)
    done = subprocess.run([sys.executable, "-c", PYTHON], cwd=folder, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == "(1, 2400) (64, 20)"
    assert "josiecodec.load needs torch: pip install torch" in done.stdout


def test_without_both_runtimes(folder):
    blocked = "torch onnxruntime"
    said = without(folder, "encode", folder / "in" / "0.wav", folder / "no.josie", blocked=blocked, code=2)
    assert "pip install" in said


def test_torch_does_it_where_onnxruntime_is_missing(folder):
    without(folder, "encode", folder / "in" / "0.wav", folder / "plain.josie", blocked="onnxruntime")
    without(folder, "encode", folder / "in" / "0.wav", folder / "usual.josie")
    assert (folder / "plain.josie").read_bytes() == (folder / "usual.josie").read_bytes()


def test_a_variable_chooses_the_runtime(folder):
    arguments = ("encode", folder / "in" / "0.wav", folder / "no.josie")
    assert "asked for" in without(folder, *arguments, code=2, JOSIECODEC_RUNTIME="torch")


def test_importing_the_runtime_imports_no_torch():
    names = "josiecodec.runtime.audio_codec, josiecodec.runtime.choose, josiecodec.coding.audio, josiecodec_cli.main"
    names += ", josiecodec.datasets.verify"
    code = f"import sys, {names}; print([m for m in ('torch', 'av', 'PIL', 'tqdm') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"

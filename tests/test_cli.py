"""The command line, through real processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile
import torch
from kit.audio import speechlike, tiny_model

from josiecodec.bitstream.container import BLOCK_FRAMES
from josiecodec.bitstream.josie_file import TokenFile
from josiecodec.hub.store import save
from josiecodec.shipped import available

RATE = 24000


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory) -> Path:
    return save(tiny_model(), tmp_path_factory.mktemp("model"))


@pytest.fixture
def talk(tmp_path) -> Path:
    path = tmp_path / "talk.wav"
    soundfile.write(path, speechlike(30.3)[0, 0].numpy(), RATE)
    return path


def run(*args, code=0, data=None, cwd=None):
    """Run the command; returns standard output (bytes) and standard error (text)."""
    done = subprocess.run(
        [sys.executable, "-m", "josiecodec_cli.main", *map(str, args)],
        capture_output=True,
        input=data,
        cwd=cwd,
        env={**os.environ, "PYTHONWARNINGS": "ignore"},
    )
    error = done.stderr.decode()
    assert done.returncode == code, error
    assert "Traceback" not in error
    if code == 2:
        assert len(error.strip().splitlines()) == 1, error
        assert error.startswith("error: ")
    return done.stdout, error


def test_encode_info_trim_decode(model_folder, talk, tmp_path):
    out, _ = run("encode", talk, tmp_path / "talk.josie", "--model", model_folder, "--n-q", 6, "--json")
    result = json.loads(out)
    assert result["n_q"] == 6
    assert result["bytes"] == (tmp_path / "talk.josie").stat().st_size
    out, _ = run("info", "--json", tmp_path / "talk.josie")
    stream = json.loads(out)["streams"][0]
    assert (stream["length"], stream["frames"], stream["levels"]) == (soundfile.info(talk).frames, 31, 6)
    out, _ = run("info", tmp_path / "talk.josie")
    assert b"6 levels x 64 codes" in out
    run("trim", tmp_path / "talk.josie", tmp_path / "less.josie", "--n-q", 2)
    assert TokenFile.read(tmp_path / "less.josie").streams[0].codes.shape[0] == 2
    run("decode", tmp_path / "less.josie", tmp_path / "back.flac", "--model", model_folder)
    assert soundfile.info(tmp_path / "back.flac").frames == soundfile.info(talk).frames
    run("decode", tmp_path / "talk.josie", tmp_path / "up.wav", "--model", model_folder, "--sample-rate", 48000)
    assert soundfile.info(tmp_path / "up.wav").samplerate == 48000
    assert abs(soundfile.info(tmp_path / "up.wav").frames - 2 * soundfile.info(talk).frames) <= 2


def test_the_command_line_and_the_library_agree(model_folder, talk, tmp_path):
    from josiecodec import load
    from josiecodec.media.audio_reader import load_audio

    run("encode", talk, tmp_path / "a.josie", "--model", model_folder)
    codec = load(model_folder)
    wave = load_audio(talk).samples
    codes = torch.from_numpy(TokenFile.read(tmp_path / "a.josie").streams[0].codes.astype("int64"))
    assert torch.equal(codes, codec.encode(wave)[0])
    assert torch.equal(codec.decompress((tmp_path / "a.josie").read_bytes()), codec.decode(codes, wave.shape[1])[0])
    data = codec.compress(wave)
    assert torch.equal(codec.decompress(data), codec.decode(codes, wave.shape[1])[0])


def test_pipes(model_folder, talk, tmp_path):
    tokens, _ = run("encode", "-", "-", "--model", model_folder, data=talk.read_bytes())
    wave, _ = run("decode", "-", "-", "--model", model_folder, data=tokens)
    assert wave[:4] == b"RIFF"
    (tmp_path / "b.wav").write_bytes(wave)
    assert soundfile.info(tmp_path / "b.wav").frames == soundfile.info(talk).frames


def test_folders(model_folder, talk, tmp_path):
    source = tmp_path / "in"
    (source / "sub").mkdir(parents=True)
    for name in ("a.wav", "a.flac", "sub/b.wav"):
        soundfile.write(source / name, speechlike(3)[0, 0].numpy(), RATE)
    (source / "sub" / "broken.wav").write_bytes(b"nothing")
    (source / "notes.txt").write_text("not sound")
    out, error = (
        x if isinstance(x, str) else x.decode()
        for x in _run_loose("encode", source, tmp_path / "out", "--model", model_folder, code=2)
    )
    assert "broken.wav" in error
    assert len(out.splitlines()) == 3
    made = sorted(str(p.relative_to(tmp_path / "out")) for p in (tmp_path / "out").rglob("*") if p.is_file())
    assert made == ["a.flac.josie", "a.wav.josie", "sub/b.josie"]
    run("decode", tmp_path / "out", tmp_path / "back", "--model", model_folder, "--format", "flac")
    assert len(list((tmp_path / "back").rglob("*.flac"))) == 3


def _run_loose(*args, code):
    done = subprocess.run([sys.executable, "-m", "josiecodec_cli.main", *map(str, args)], capture_output=True)
    assert done.returncode == code
    return done.stdout, done.stderr


def test_nothing_is_replaced_unasked(model_folder, talk, tmp_path):
    target = tmp_path / "talk.josie"
    target.write_bytes(b"precious")
    _, error = run("encode", talk, "--model", model_folder, code=2)
    assert "--overwrite" in error
    assert target.read_bytes() == b"precious"
    run("encode", talk, "--model", model_folder, "--overwrite")
    assert TokenFile.read(target).streams[0].info.levels == 4


@pytest.mark.parametrize(
    "args",
    [
        ("encode", "none.wav", "a.josie"),
        ("encode", "bad.wav", "a.josie"),
        ("encode", "talk.wav", "a.josie", "--n-q", "7"),
        ("encode", "talk.wav", "a.josie", "--n-q", "0"),
        ("encode", "talk.wav", "a.josie", "--kbps", "0.001"),
        ("encode", "talk.wav", "a.josie", "--kbps", "1", "--n-q", "1"),
        ("encode", "talk.wav", "a.josie", "--device", "abacus"),
        ("encode", "-"),
        ("decode", "bad.wav", "a.wav"),
        ("decode", "good.josie", "a.xyz"),
        ("decode", "cut.josie", "a.wav"),
        ("info", "bad.wav"),
        ("info", "cut.josie"),
        ("trim", "good.josie", "a.josie"),
        ("trim", "good.josie", "a.josie", "--kbps", "0.01"),
        ("frobnicate",),
        ("train", "audio", "no-such-experiment", "--data", ".", "--out", "run"),
    ],
)
def test_errors_are_one_line_and_leave_nothing(model_folder, talk, tmp_path, args):
    (tmp_path / "bad.wav").write_bytes(b"not a sound")
    run("encode", talk, tmp_path / "good.josie", "--model", model_folder)
    data = (tmp_path / "good.josie").read_bytes()
    (tmp_path / "cut.josie").write_bytes(data[:-40])
    before = sorted(tmp_path.iterdir())
    if args[0] in ("encode", "decode"):
        args = (*args, "--model", model_folder)
    run(*args, code=2, cwd=tmp_path)
    assert sorted(tmp_path.iterdir()) == before


def test_a_cut_file_can_be_salvaged(model_folder, talk, tmp_path):
    soundfile.write(tmp_path / "long.wav", speechlike(BLOCK_FRAMES + 20)[0, 0].numpy(), RATE)
    run("encode", tmp_path / "long.wav", tmp_path / "a.josie", "--model", model_folder)
    (tmp_path / "cut.josie").write_bytes((tmp_path / "a.josie").read_bytes()[:-40])
    _, error = run("decode", tmp_path / "cut.josie", tmp_path / "a.wav", "--model", model_folder, "--salvage")
    assert "warning" in error
    assert soundfile.info(tmp_path / "a.wav").frames == BLOCK_FRAMES * 1920


def test_another_model_is_refused(model_folder, talk, tmp_path):
    other = save(tiny_model("seanet"), tmp_path / "other")
    run("encode", talk, tmp_path / "a.josie", "--model", model_folder)
    _, error = run("decode", tmp_path / "a.josie", tmp_path / "a.wav", "--model", other, code=2)
    assert "tiny-spectral" in error


def test_without_arguments_there_is_help():
    done = subprocess.run([sys.executable, "-m", "josiecodec_cli.main"], capture_output=True, text=True)
    assert done.returncode == 2
    assert len((done.stdout + done.stderr).splitlines()) > 10
    assert "error:" not in done.stderr


def test_help_is_quick_and_models_are_listed():
    out, _ = run("--help")
    for name in ("encode", "decode", "info", "trim", "models", "train", "eval"):
        assert name.encode() in out
    listed, _ = run("models")
    described, _ = run("models", "--json")
    names = [json.loads(line)["name"] for line in described.splitlines()]
    assert names == available()
    assert all(name.encode() in listed for name in names)
    code = "import sys, josiecodec_cli.main; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_what_cannot_be_meant_is_one_line(model_folder, talk, tmp_path):
    (tmp_path / "dir").mkdir()
    run("encode", talk, tmp_path / "a.josie", "--model", model_folder)
    for args in (
        ("encode", talk, tmp_path / "b.josie", "--model", model_folder, "--kbps", "nan"),
        ("trim", tmp_path / "a.josie", tmp_path / "dir", "--n-q", 2, "--overwrite"),
        ("decode", tmp_path / "a.josie", "--model", model_folder, "--format", "a/b"),
        ("encode", tmp_path, "-", "--model", model_folder),
        ("decode", tmp_path / "a.josie", tmp_path / "a.avi", "--model", model_folder),
    ):
        _, error = run(*args, code=2)
        assert len(error.strip().splitlines()) == 1, args
    for name in ("x.wav", "x.flac", "x.wav.flac"):
        (tmp_path / "dir" / name).write_bytes(talk.read_bytes())
    _, error = run("encode", tmp_path / "dir", tmp_path / "out", "--model", model_folder, code=2)
    assert "would both be written to" in error

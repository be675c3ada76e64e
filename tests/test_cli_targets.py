"""The command line never loses and never misleads: targets, models, hints. Through real processes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile
from kit.audio import RATE, speechlike, tiny_model
from kit.processes import run, run_cli

from josiecodec.hub.config_files import read_config
from josiecodec.hub.store import save
from josiecodec.shipped import WEIGHTS, available


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return save(tiny_model(), tmp_path_factory.mktemp("model"))


@pytest.fixture
def talk(tmp_path) -> Path:
    soundfile.write(tmp_path / "talk.wav", speechlike(30)[0, 0].numpy(), RATE)
    return tmp_path / "talk.wav"


def test_targets_that_cannot_be_meant_are_refused(talk, tmp_path):
    other = tmp_path / "other.flac"
    soundfile.write(other, speechlike(3)[0, 0].numpy(), RATE)
    before = other.read_bytes()
    files = sorted(tmp_path.iterdir())
    for target in (other, tmp_path / "out.mp3", tmp_path / "no" / "such" / "a.josie", tmp_path / "plain"):
        error = run("encode", talk, target, code=2)
        assert error.startswith("error: ")
        assert "--overwrite" not in error
    assert "is no target" in run("encode", talk, other, "--overwrite", code=2)
    assert "is no target" in run("trim", talk, other, "--n-q", 1, "--overwrite", code=2)
    assert other.read_bytes() == before
    assert sorted(tmp_path.iterdir()) == files


def test_a_new_folder_and_several_sources(talk, model, tmp_path):
    soundfile.write(tmp_path / "b.wav", speechlike(3)[0, 0].numpy(), RATE)
    run("encode", talk, f"{tmp_path}/folder/", "--model", model)
    run("encode", talk, tmp_path / "b.wav", "-o", f"{tmp_path}/both/", "--model", model, "-q")
    assert [p.name for p in (tmp_path / "folder").iterdir()] == ["talk.josie"]
    assert sorted(p.name for p in (tmp_path / "both").iterdir()) == ["b.josie", "talk.josie"]
    assert "-o FOLDER" in run("encode", talk, talk, tmp_path / "b.wav", code=2)


def test_decoding_never_suggests_to_replace_media(talk, model, tmp_path):
    run("encode", talk, "--model", model)
    error = run("decode", tmp_path / "talk.josie", "--model", model, code=2)
    assert "already exists" in error
    assert "--overwrite" not in error
    assert "is no target" in run("decode", tmp_path / "talk.josie", tmp_path / "b.josie", "--model", model, code=2)


def test_folders_resume_and_dry_runs_do_nothing(talk, model, tmp_path):
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    talk.rename(folder / "a.wav")
    assert "a.wav" in run("encode", folder, out, "--model", model, "--dry-run")
    assert not out.exists()
    run("encode", folder, out, "--model", model)
    soundfile.write(folder / "b.wav", speechlike(3)[0, 0].numpy(), RATE)
    assert "--skip-existing" in run("encode", folder, out, "--model", model, code=2)
    done = run_cli("encode", folder, out, "--model", model, "--skip-existing", "--json")
    assert [Path(json.loads(line)["input"]).name for line in done.stdout.splitlines()] == ["b.wav"]
    assert "1 file skipped" in done.stderr
    assert run_cli("encode", folder, out, "--model", model, "--skip-existing", "-q").stdout == ""


def test_rates_out_of_reach_and_lost_channels_are_said(model, tmp_path):
    wave = speechlike(40)[0, 0].numpy()
    soundfile.write(tmp_path / "a.wav", [[x, x] for x in wave], RATE)
    error = run_cli("encode", tmp_path / "a.wav", "--model", model, "--kbps", 64).stderr
    assert "64 kbit/s not reached" in error
    assert "2 channels are mixed to one" in error


def test_a_model_of_another_kind_is_refused(talk, tmp_path):
    assert "is for images and video" in run("encode", talk, "--model", "jovio-16", code=2)
    assert "no model 'jodo'" in run("encode", talk, "--model", "jodo", code=2)
    assert not (tmp_path / "talk.josie").exists()


def test_damaged_files_are_named_and_nothing_is_salvaged_into_silence(talk, model, tmp_path):
    run("encode", talk, "--model", model)
    data = (tmp_path / "talk.josie").read_bytes()
    cut = tmp_path / "cut.josie"
    cut.write_bytes(data[: len(data) // 2])
    for command in (("decode", cut, tmp_path / "x.wav", "--model", model), ("info", cut)):
        error = run(*command, code=2)
        assert str(cut) in error
        assert "--salvage" in error
    error = run("decode", cut, tmp_path / "x.wav", "--model", model, "--salvage", code=2)
    assert "nothing to salvage" in error
    assert not (tmp_path / "x.wav").exists()
    cut.write_bytes(b"something else")
    assert str(cut) in run("decode", cut, tmp_path / "x.wav", code=2)


def test_models_and_errors_about_them_come_without_torch(talk, model, tmp_path):
    run("encode", talk, "--model", model)
    code = (
        "import sys; from josiecodec_cli.main import cli; args = sys.argv[1:]\n"
        "try: cli(args, standalone_mode=False)\n"
        "except Exception as error: print(error)\n"
        "assert 'torch' not in sys.modules"
    )
    for args in (
        ("models",),
        ("encode", talk, "--model", "nosuch"),
        ("decode", tmp_path / "talk.josie", tmp_path / "back.wav"),
        ("encode", tmp_path / "none.wav"),
        ("encode", talk, "--dry-run", "--overwrite"),
    ):
        subprocess.run([sys.executable, "-c", code, *map(str, args)], check=True, capture_output=True)
    assert "--model FOLDER" in run("decode", tmp_path / "talk.josie", tmp_path / "back.wav", code=2)


def test_the_list_of_models_is_that_of_their_configurations():
    listed = {entry["name"]: entry for entry in map(json.loads, run("models", "--json").splitlines())}
    assert list(listed) == available()
    for name, entry in listed.items():
        config = read_config(WEIGHTS / name)
        assert (entry["levels"], entry["default_n_q"]) == (config.n_q, config.encoding.n_q)
        if entry["kind"] == "audio":
            assert entry["frame_rate"] == config.sample_rate / config.frame_size


def test_commands_are_suggested():
    for wrong, meant in ((("encod",), "encode"), (("eval", "vison"), "vision")):
        assert f"Did you mean {meant!r}?" in run(*wrong, code=2)

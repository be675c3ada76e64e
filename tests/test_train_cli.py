"""`train audio` and `eval` through real processes, on recordings made here."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time

import pytest
import soundfile
import torch
from kit.audio import RATE, speechlike, tiny_config
from kit.processes import run

from josiecodec.config import to_dict
from josiecodec.hub.store import load
from josiecodec.training.audio.config import read_train_config
from josiecodec.training.audio.data import load_recordings
from josiecodec.training.audio.teacher import make_teacher
from josiecodec.training.audio.trainer import AudioTrainer
from josiecodec.training.core import checkpoint


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    root = tmp_path_factory.mktemp("recordings")
    for n in range(3):
        (root / f"v{n}").mkdir()
        soundfile.write(root / f"v{n}" / "a.wav", speechlike(40, seed=n)[0, 0].numpy(), RATE)
    return root


@pytest.fixture(scope="module")
def experiment(tmp_path_factory):
    """A TOML file with the tiny model; everything else as in the package's own experiments."""
    path = tmp_path_factory.mktemp("experiment") / "tiny.toml"
    lines = ["batch = 2", "seconds = 0.64", "steps = 6"]
    lines += ["[loss]", "pesq = 0.0", "[quantization]", "buffer = 100", "continuous = 0.3"]

    def table(name, values):
        lines.append(f"[{name}]")
        nested = {k: v for k, v in values.items() if isinstance(v, dict)}
        lines.extend(f"{k} = {json.dumps(v)}" for k, v in values.items() if v is not None and k not in nested)
        for k, v in nested.items():
            table(f"{name}.{k}", v)

    table("model", to_dict(tiny_config()))
    path.write_text("\n".join(lines) + "\n")
    return path


def test_a_run_from_nothing_to_figures(recordings, experiment, tmp_path):
    pytest.importorskip("swift_f0")
    out = tmp_path / "run"
    common = ("train", "audio", experiment, "--data", recordings, "--out", out)
    said = run(*common, "--steps", 4)
    assert "by 3 voices" in said
    assert (out / "pitch.safetensors").exists()
    error = run(*common, code=2)
    assert "--resume" in error
    run(*common, "--resume", "--valid", recordings)
    assert json.loads((out / "log.jsonl").read_text().splitlines()[-1])["step"] == 6
    assert load(out / "model").config.name == "tiny-spectral"
    run(
        "train",
        "audio",
        experiment,
        "--data",
        recordings,
        "--out",
        tmp_path / "b",
        "--from",
        out / "model",
        "--steps",
        1,
    )
    said = run("eval", "audio", recordings, "--model", out / "model", "--n-q", "1,4", "--json")
    lines = [json.loads(line) for line in said.splitlines()]
    assert len([line for line in lines if "file" in line]) == 6
    assert [line["codec"].split("@")[1] for line in lines if "files" in line] == ["1", "4"]
    said = run("eval", "audio", recordings, "--model", out / "model", "--max-files", 1)
    assert "pesq_wb" in said


def test_an_interrupt_finishes_the_step(recordings, experiment, tmp_path):
    """The checkpoint of an interrupted run is that of an uninterrupted one at the same step."""
    out = tmp_path / "run"
    options = ["--data", recordings, "--out", out, "--steps", 100_000, "--set", "log_every=1", "--set", "pitch=''"]
    command = [sys.executable, "-W", "ignore", "-m", "josiecodec_cli.main", "train", "audio", experiment, *options]
    process = subprocess.Popen(list(map(str, command)), stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    while not (out / "log.jsonl").exists() or len((out / "log.jsonl").read_text().splitlines()) < 3:
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate()
    assert process.returncode == 2
    (line,) = error.strip().splitlines()
    step = int(re.search(r"interrupted at step (\d+); --resume continues", line)[1])
    config = read_train_config(experiment, ("steps = 100_000", "log_every = 1", "pitch = ''"))
    found = load_recordings(recordings)
    teacher = make_teacher(found, config.teacher, config.model.frame_size, torch.device("cpu"))
    whole = AudioTrainer(config, found, tmp_path / "whole", teacher, report=lambda _: None)
    whole.run(until_step=step)
    known, saved = (checkpoint.read(folder) for folder in (tmp_path / "whole", out))
    assert saved[1]["step"] == step
    assert known[0].keys() == saved[0].keys()
    assert all(torch.equal(value, saved[0][name]) for name, value in known[0].items())
    assert "seed = 0, not 1" in run(*map(str, command[5:]), "--resume", "--set", "seed=1", code=2)
    assert "--change needs --resume" in run(*map(str, command[5:]), "--change", "seed=1", code=2)
    shorter = [str(step + 1) if part == 100_000 else part for part in command[5:]]
    assert "seed = 1 (was 0)" in run(*shorter, "--resume", "--change", "seed=1")


def test_wrong_settings_are_one_line(recordings, experiment, tmp_path):
    for changes in (("--set", "steps = 0"), ("--set", "nonsense = 1"), ("--minutes", "1", "--steps", "1")):
        error = run("train", "audio", experiment, "--data", recordings, "--out", tmp_path / "x", *changes, code=2)
        assert len(error.strip().splitlines()) == 1
    assert not (tmp_path / "x").exists()


def test_the_shipped_experiment_runs_on_a_plain_folder(recordings, tmp_path):
    """Nobody said what language these recordings are in, so there are no phones to learn from."""
    pytest.importorskip("swift_f0")
    small = ("--set", "batch=1", "--set", "precision='fp32'", "--set", "quantization.continuous=0.9")
    run("train", "audio", "jodio_24k_cpu", "--data", recordings, "--out", tmp_path / "run", "--steps", 1, *small)
    assert (tmp_path / "run" / "model" / "model.safetensors").exists()

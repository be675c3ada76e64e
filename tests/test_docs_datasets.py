"""docs/datasets.md: its commands run, and so does its Python."""

from __future__ import annotations

import re
import shlex
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner
from kit.audio import RATE, speechlike
from kit.vision import scene

from josiecodec.datasets.dataset import DatasetInfo, ShardWriter, TokenDataset
from josiecodec.media.images import save_image
from josiecodec_cli.main import cli

TEXT = (Path(__file__).parents[1] / "docs" / "datasets.md").read_text()
INFO = DatasetInfo("tiny", "ab" * 32, "audio", 8, 64, RATE, (25, 2), 1)


def blocks(kind: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", TEXT, re.S)


def test_commands_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("recordings").mkdir()
    soundfile.write("recordings/talk.flac", speechlike(13)[0, 0].numpy(), RATE)
    Path("pictures").mkdir()
    save_image(scene(40, 60)[0, :, 0], "pictures/x.png")
    for line in blocks("sh")[0].splitlines():
        words = shlex.split(line, comments=True)
        if "ray" in words:
            continue  # needs a cluster; tests/test_tokenize.py has one
        done = CliRunner().invoke(cli, words[1:])
        assert done.exit_code == 0, f"{line}\n{done.output}"
    assert len(TokenDataset("tokens")) == 1
    assert TokenDataset("vision_tokens").info.is_vision
    assert soundfile.info("x.wav").duration == pytest.approx(13 * 0.08, abs=1e-3)


def test_python_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder in ("speech_tokens", "music_tokens"):
        random = np.random.default_rng(0)
        clips = [(random.integers(0, 64, (200, 8)), {"id": str(n), "text": "hello"}) for n in range(20)]
        ShardWriter(folder, INFO).write(0, clips)
    batches: list = []
    names = {"rank": 0, "world_size": 1, "train": batches.append, "fingerprint": "cd" * 32}
    names["codes"] = np.zeros((40, 8), np.int64)
    reading, numpy, writing, remote, lhotse = blocks("python")
    exec(reading.replace("num_workers=2", "num_workers=0"), names)
    assert {tuple(batch.shape) for batch in batches[:-1]} == {(32, 64, 8)}
    assert names["state"]["position"] == 0  # the epoch is over
    names["codes"] = np.zeros((40, 8), np.int64)
    exec(writing, names)
    exec(numpy, names)
    assert names["first"].shape == (40, 8)
    compile(lhotse, "lhotse", "exec")  # tests/test_export_lhotse.py runs what it shows
    if find_spec("fsspec") is not None:
        batches.clear()
        remote = remote.replace("s3://bucket/tokens", f"file://{tmp_path}/speech_tokens").replace(
            "repeat=True", "held=1"
        )
        exec(remote.replace("num_workers=2", "num_workers=0"), names)
        assert sum(map(len, batches)) == 20 * 200 // 64

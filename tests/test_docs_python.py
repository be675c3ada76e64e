"""docs/python.md: its Python runs."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import soundfile
from kit.audio import RATE, speechlike

from josiecodec.datasets.dataset import DatasetInfo, ShardWriter

TEXT = (Path(__file__).parents[1] / "docs" / "python.md").read_text()


def test_python_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    soundfile.write("talk.wav", speechlike(25)[0, 0].numpy(), RATE)
    info = DatasetInfo("tiny", "ab" * 32, "audio", 8, 64, RATE, (25, 2), 1)
    ShardWriter("tokens", info).write(0, [(np.zeros((n, 8), np.int64), {"id": str(n)}) for n in (3, 5)])
    files, arrays, datasets = re.findall(r"```python\n(.*?)```", TEXT, re.S)
    exec(files, {})
    assert soundfile.info("small.flac").frames == 25 * 1920
    names: dict = {}
    exec(arrays, names)
    assert names["waveform"].shape == (1, 1, 25 * 1920)
    names = {}
    exec(datasets, names)
    assert names["batch"].codes.shape == (2, 8, 5)

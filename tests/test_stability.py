"""The share of codes that stay when speech stays."""

from __future__ import annotations

import json

import pytest
import soundfile
import torch
from kit.audio import RATE, speechlike, tiny_model
from kit.processes import run

from josiecodec.evaluation.stability import stability
from josiecodec.hub.store import save


class Signs:
    """A code for the sign of each sample, which no gain changes, and one for the loudest of a frame, which it does."""

    sample_rate = 1000

    def encode(self, wave, n_q=None):
        frames = wave[..., : wave.shape[-1] // 100 * 100].unflatten(-1, (-1, 100))[0, 0]
        return torch.stack([(frames[:, 50] > 0).long(), (100 * frames.abs().amax(1)).long()])[None]


def test_shares_are_by_change_and_level():
    wave = torch.sin(torch.arange(1000) * 0.7) * torch.linspace(0.2, 0.9, 1000)
    found = {line["change"]: line for line in stability(Signs(), [wave, wave[:500]])}
    assert found["again"] == {"change": "again", "codes": 15, "equal": [1.0, 1.0]}
    assert found["gain -6 dB"]["equal"] == [1.0, 0.0]
    assert 0 < found["shift 79 ms"]["equal"][0] < 1
    assert found["noise at 40 dB"]["equal"][0] == 1


def test_the_command_line(tmp_path):
    save(tiny_model(), tmp_path / "model")
    (tmp_path / "sounds").mkdir()
    soundfile.write(tmp_path / "sounds" / "a.wav", speechlike(13)[0, 0].numpy(), RATE)
    out = run("eval", "stability", tmp_path / "sounds", "--model", tmp_path / "model", "--n-q", 3, "--json")
    lines = [json.loads(line) for line in out.splitlines()]
    assert lines[0] == {"change": "again", "codes": 13, "equal": [1.0] * 3}
    assert len(lines) == 11
    assert all(len(line["equal"]) == 3 for line in lines)
    assert "not an audio codec" in run("eval", "stability", tmp_path / "sounds", "--model", "jovio-16", code=2)


@pytest.mark.parametrize("length", [0, 1])
def test_recordings_of_nothing(length):
    assert stability(Signs(), [torch.zeros(length + 1)])[0]["codes"] == 0

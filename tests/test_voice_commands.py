"""Who speaks, as the command line says it."""

from __future__ import annotations

import json

import numpy as np
import soundfile
from kit.audio import RATE, speechlike, tiny_model
from kit.processes import run

from josiecodec.hub.store import save
from josiecodec.tokenization.plan import Settings, make_plan
from josiecodec.tokenization.tokenize import tokenize


def test_voices_of_a_dataset_and_of_decoded_recordings(tmp_path):
    media = tmp_path / "media"
    media.mkdir()
    wave = speechlike(26)[0, 0].numpy()
    soundfile.write(media / "a.wav", 0.2 * wave / np.abs(wave).max(), RATE)
    soundfile.write(media / "b.wav", np.zeros(RATE), RATE)
    save(tiny_model(), tmp_path / "model")
    tokenize(tiny_model(), make_plan(media), tmp_path / "set", Settings(2))

    run("tokens", "export", tmp_path / "set", tmp_path / "out", "--to", "jsonl", "--media", media, "--voice")
    lines = [json.loads(line) for line in next((tmp_path / "out").glob("*.jsonl")).read_text().splitlines()]
    voices = {line["source"]: line["voice"] for line in lines}
    assert voices["b.wav"] is None
    assert len(voices["a.wav"]) == 256
    assert abs(np.linalg.norm(voices["a.wav"]) - 1) < 0.01
    said = run("tokens", "export", tmp_path / "set", tmp_path / "none", "--to", "jsonl", "--voice", code=2)
    assert "--voice needs --media" in said

    (media / "b.wav").unlink()
    how = ("--model", tmp_path / "model", "--n-q", "2", "--judges", "voice", "--out", tmp_path / "eval")
    run("eval", "audio", media, *how)
    assert any("voice" in path.read_text() for path in (tmp_path / "eval").glob("*.csv"))

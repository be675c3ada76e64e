"""Listening tests: loudness, anchors, a blind page, what listeners send back."""

from __future__ import annotations

import json
import math
import re

import numpy as np
import pytest
import soundfile
from kit.audio import RATE, speechlike
from kit.processes import run, run_cli

from josiecodec.errors import CodecError
from josiecodec.evaluation.items import find_audio
from josiecodec.evaluation.listening_results import evaluate, read_results, screened
from josiecodec.evaluation.listening_test import write_listening_test
from josiecodec.evaluation.loudness import anchor, loudness

CODECS = ("good@1", "bad@1")


def test_loudness_of_a_sine_is_that_of_the_standard():
    for rate in (24000, 48000):
        tone = np.sin(2 * np.pi * 997 * np.arange(5 * rate) / rate)
        assert loudness(tone, rate) == pytest.approx(-3.01, abs=0.05)
        assert loudness(0.1 * tone, rate) == pytest.approx(-23.01, abs=0.05)
        gated = np.concatenate([0.1 * tone, np.zeros(20 * rate), 0.001 * tone])  # silence and what is soft do not count
        assert loudness(gated, rate) == pytest.approx(-23.01, abs=0.3)
    assert loudness(np.zeros(24000), 24000) == -math.inf
    assert loudness(np.zeros(0), 24000) == -math.inf
    assert loudness(tone[:100], 48000) < 0


def test_anchors_have_the_bandwidth_of_the_standard():
    click = np.zeros(24000)
    click[12000] = 1
    for width in (3500, 7000):
        response = np.abs(np.fft.rfft(anchor(click, 24000, width)))  # a bin a Hz
        assert np.abs(20 * np.log10(response[:width])).max() < 0.1
        assert 20 * np.log10(response[width + 500 :].max()) < -25
        assert 20 * np.log10(response[width + 1000 :].max()) < -50
        assert anchor(click, 24000, width).argmax() == 12000


@pytest.fixture
def compared(tmp_path):
    """Two recordings, and what two codecs made of them: one the same but softer, one with noise."""
    rows = []
    (tmp_path / "sounds").mkdir()
    for n in range(2):
        wave = speechlike(20, seed=n)[0, 0].numpy()
        soundfile.write(tmp_path / "sounds" / f"{n}.wav", wave, RATE)
        noise = 0.05 * np.random.default_rng(n).standard_normal(len(wave))
        for codec, made in zip(CODECS, (0.1 * wave, wave + noise)):
            path = tmp_path / f"{codec}{n}.flac"
            soundfile.write(path, made.clip(-1, 1), RATE)
            rows.append({"codec": codec, "file": f"{n}.wav", "label": "audio", "decoded": str(path)})
    return find_audio(tmp_path / "sounds"), rows


@pytest.mark.parametrize(("kind", "trials", "sounds"), [("mushra", 2, 12), ("abx", 4, 12), ("ab", 2, 4)])
def test_a_test_is_blind_equally_loud_and_the_same_again(kind, trials, sounds, compared, tmp_path):
    key = write_listening_test(tmp_path / "a", *compared, kind, seed=5)
    assert key == write_listening_test(tmp_path / "b", *compared, kind, seed=5)
    assert key != write_listening_test(tmp_path / "c", *compared, kind, seed=6)
    assert len(key["trials"]) == trials
    page = (tmp_path / "a" / "page" / "index.html").read_text()
    assert page == (tmp_path / "b" / "page" / "index.html").read_text()
    for word in (*CODECS, "anchor", "hidden", "0.wav", "x_is"):
        assert word not in page, word
    assert not re.search(r"https?://", page)
    found = sorted((tmp_path / "a" / "page" / "sounds").glob("*.wav"))
    assert len(found) == sounds
    assert len({path.stat().st_size for path in found}) == 1
    levels = [loudness(soundfile.read(path)[0], RATE) for path in found]
    assert max(levels) - min(levels) < 0.1
    assert max(levels) == pytest.approx(-23, abs=0.1)
    if kind == "abx":  # X is A or B, now and then
        assert all(trial["x_is"] in trial["sounds"] and trial["x"] not in trial["sounds"] for trial in key["trials"])


def test_tests_that_cannot_be_are_refused(compared, tmp_path):
    items, rows = compared
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    with pytest.raises(CodecError, match="not empty"):
        write_listening_test(tmp_path / "full", items, rows)
    with pytest.raises(CodecError, match="two codecs"):
        write_listening_test(tmp_path / "a", items, rows[::2], "ab")
    with pytest.raises(CodecError, match="too many"):
        write_listening_test(tmp_path / "a", items, [{**rows[0], "codec": str(n)} for n in range(9)])
    with pytest.raises(CodecError, match="no recording"):
        write_listening_test(tmp_path / "a", items, [*rows[:1], *({**row, "error": "x"} for row in rows[1:])])
    assert not (tmp_path / "a").exists()


def answers(key, scores):
    return [
        {"trial": n, "scores": {sound: scores[name] for sound, name in list(trial["sounds"].items())[1:]}}
        for n, trial in enumerate(key["trials"])
    ]


def test_mushra_is_screened_and_evaluated(compared, tmp_path):
    key = write_listening_test(tmp_path / "test", *compared)
    usual = {"hidden reference": 98, "anchor 3.5 kHz": 20, "anchor 7 kHz": 60, "good@1": 90, "bad@1": 40}
    people = {
        "ann": usual,
        "bob": usual | {"good@1": 80},
        "deaf": usual | {"hidden reference": 50},
        "kind": usual | {"anchor 7 kHz": 95},
    }
    paths = []
    for listener, scores in people.items():
        paths.append(tmp_path / f"{listener}.json")
        paths[-1].write_text(json.dumps({"test": key["test"], "listener": listener, "answers": answers(key, scores)}))
    about, results = read_results(tmp_path / "test" / "key.json", paths)
    out = screened(about, results)
    assert list(out) == ["deaf", "kind"]
    assert "hidden reference below 90 in 2 of 2" in out["deaf"]
    lines = {line["name"]: line for line in evaluate(about, results[:2])}
    assert lines["good@1"]["mean"] == 85
    half = 3.1824 * np.std([90, 90, 80, 80], ddof=1) / 2  # Student's t of three degrees of freedom
    assert lines["good@1"]["high"] == pytest.approx(85 + half, abs=0.01)
    assert lines["bad@1"]["median"] == 40
    told = run_cli("eval", "listening", *paths, "--key", tmp_path / "test" / "key.json")
    assert "2 of 4 listeners" in told.stdout
    assert "note: deaf is left out" in told.stderr
    assert "mushra, 4 of 4" in run("eval", "listening", *paths, "--key", tmp_path / "test" / "key.json", "--all")
    wrong = json.loads(paths[0].read_text())
    for change, text in (
        ({"test": "0"}, "another test"),
        ({"answers": wrong["answers"] * 2}, "do not fit"),
        ({"answers": [{"trial": 0, "scores": {"nosuch": 5}}]}, "do not fit"),
        ({"answers": [{"trial": 0, "scores": dict(list(wrong["answers"][0]["scores"].items())[1:])}]}, "do not fit"),
        ({"answers": [{"trial": 9, "scores": {}}]}, "do not fit"),
    ):
        (tmp_path / "wrong.json").write_text(json.dumps(wrong | change))
        with pytest.raises(CodecError, match=text):
            read_results(tmp_path / "test" / "key.json", [tmp_path / "wrong.json"])
    with pytest.raises(CodecError, match="second result"):
        read_results(tmp_path / "test" / "key.json", [paths[0], paths[0]])


def test_abx_and_preferences_are_counted(compared, tmp_path):
    for kind in ("abx", "ab"):
        key = write_listening_test(tmp_path / kind, *compared, kind)
        given = []
        for n, trial in enumerate(key["trials"]):
            first, second = trial["sounds"]
            given.append({"trial": n, "choice": trial["x_is"] if kind == "abx" else (first, second)[n]})
        (line, *_) = evaluate(key, [{"test": key["test"], "listener": "ann", "answers": given}] * 5)
        assert line["answers"] == 10
        if kind == "abx":
            assert (line["right"], line["p"], line["name"]) == (1, pytest.approx(2**-10, rel=0.01), "good@1")
        else:
            assert (line["preferred"], line["p"], line["name"], line["against"]) == (0.5, 1, "bad@1", "good@1")
            assert line["low"] < 0.5 < line["high"]


def test_the_command_line_writes_a_test(compared, tmp_path):
    out = tmp_path / "test"
    run("eval", "audio", tmp_path / "sounds", "--model", "opus@12", "--listening-test", out, "--listening-kind", "abx")
    assert json.loads((out / "key.json").read_text())["kind"] == "abx"
    error = run("eval", "audio", tmp_path / "sounds", "--model", "opus@12", "--listening-test", out, code=2)
    assert "not empty" in error

"""`josielm speak` and `josielm train speak` as real processes."""

from __future__ import annotations

import io
import json
import subprocess
import sys

import numpy as np
import pytest
import soundfile
import torch
from kit.audio import RATE, speechlike

import josiecodec
from josiecodec import TokenFile
from josielm.speech.config import PRESETS
from josielm.speech.letters import LettersConfig, LettersToPhones
from josielm.speech.speak import Speaker
from josielm.speech.store import save_voice
from josielm.speech.voice import Voice


def lm(*args, code=0, said=None):
    """What josielm says, in a process of its own; it must exit with `code`, never with a traceback."""
    command = [sys.executable, "-W", "ignore", "-m", "josielm.cli.main", *map(str, args)]
    done = subprocess.run(command, capture_output=True, text=True, input=said)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    if code:
        assert len(done.stderr.strip().splitlines()) == 1
        return done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def voice(tmp_path_factory):
    """A tiny voice that has learnt nothing."""
    torch.manual_seed(0)
    letters = LettersToPhones(LettersConfig(dim=16, layers=1, heads=2, rank=8))
    return save_voice(tmp_path_factory.mktemp("voice"), Voice(PRESETS["tiny"]), letters)


def test_speak(voice, tmp_path):
    text = "Good morning. It costs $3.50, they say."
    told = json.loads(lm("speak", text, tmp_path / "a.wav", "--voice", voice, "--json"))
    wave, rate = soundfile.read(tmp_path / "a.wav", dtype="float32")
    assert (rate, told["synthetic"], told["sentences"]) == (24000, True, 2)
    assert len(wave) / rate == pytest.approx(told["seconds"], abs=1e-3)
    words = [word for word, _, _ in told["words"]]
    assert words == ["good", "morning", "it", "costs", "three", "dollars", "and", "fifty", "cents", "they", "say"]
    times = [t for _, a, b in told["words"] for t in (a, b)]
    assert times == sorted(times)
    assert times[-1] <= told["seconds"] + 1e-3

    (tmp_path / "text.txt").write_text(text)
    lm("speak", "--file", tmp_path / "text.txt", tmp_path / "a.josie", "--voice", voice)
    file = TokenFile.read(tmp_path / "a.josie")
    assert file.streams[0].info.synthetic
    info = subprocess.run(
        [sys.executable, "-m", "josiecodec_cli.main", "info", tmp_path / "a.josie"], capture_output=True, text=True
    )
    assert "synthetic" in info.stdout
    decoded = josiecodec.load().decompress((tmp_path / "a.josie").read_bytes())[0].numpy()
    np.testing.assert_allclose(decoded, wave, atol=2e-3)  # what is played is what was written

    assert "exists" in lm("speak", text, tmp_path / "a.wav", "--voice", voice, code=2)
    lm("speak", "--file", "-", "-o", tmp_path / "b.wav", "--voice", voice, "--speed", "2", "--pitch", "-3", said=text)
    assert 0.4 * len(wave) < len(soundfile.read(tmp_path / "b.wav")[0]) < 0.65 * len(wave)


def test_bad_input_is_one_line(voice, tmp_path):
    out = tmp_path / "x.wav"
    for *args, what in (
        ("", out, "nothing to say"),
        ("!?", out, "nothing to say"),
        ("\u4f60\u597d", out, "cannot be spoken"),
        ("hello", tmp_path / "x.txt", ".josie"),
        ("hello", "give an OUT"),
        ("hello", out, "--file", tmp_path / "none.txt", "either a TEXT or --file"),
        ("--file", tmp_path / "none.txt", out, "No such file"),
        ("hello", out, "--voice", tmp_path, "no voice"),
        ("hello", out, "--voice", voice, "--speed", "9", "speed 9"),
        ("hello", out, "--voice", voice, "--pitch", "nan", "pitch nan"),
    ):
        assert what in lm("speak", *args, code=2), args
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9")
    assert "UTF-8" in lm("speak", "--file", tmp_path / "latin.txt", out, code=2)
    assert not out.exists()
    assert not (tmp_path / "x.txt").exists()


def test_a_stream_is_the_whole(voice):
    speaker = Speaker(voice, cmudict=False)
    text = "One. Two, three four five six seven eight nine ten eleven twelve thirteen."
    parts = list(speaker.stream(text))
    assert len(parts) > 1
    codes = torch.cat([sentence.codes for sentence in speaker.sentences(text)], 1)
    torch.testing.assert_close(torch.cat(parts), speaker.codec.decode(codes[None])[0, 0], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(speaker.speak(text), torch.cat(parts))


def test_train_speak(voice, tmp_path):
    rng = np.random.default_rng(0)
    lines = []
    for i, wave in enumerate(speechlike(30, batch=22)[:, 0].numpy()):
        soundfile.write(tmp_path / f"{i}.wav", 0.3 * wave / np.abs(wave).max(), RATE)
        lines.append({"path": f"{i}.wav", "text": " ".join(rng.choice(["good", "day", "to", "you"], 3)) + "."})
    lines[3]["symbols"] = [["_", 0.2], ["G", 0.1], ["UH1", 0.3], ["D", 0.2], ["_", 0.3]]
    lines += [{"path": "0.wav", "text": "\u4f60", "id": "odd"}, {"path": "gone.wav", "text": "hi", "id": "gone"}]
    lines += [{"path": "1.wav", "text": "far too long a text for it " * 20, "id": "long"}]
    (tmp_path / "m.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    how = ("--data", tmp_path / "m.jsonl", "--start", voice, "--minutes", "0.03", "--align-minutes", "0.03")
    said = lm("train", "speak", *how, "--out", tmp_path / "new", "--synthetic", "--name", "mine")
    assert "22 clips" in said
    assert all(f"warning: {name}" in said for name in ("odd", "gone", "long"))
    told = json.loads(lm("speak", "good day", tmp_path / "s.wav", "--voice", tmp_path / "new", "--json"))
    assert told["voice"] == "mine"
    assert "already holds" in lm("train", "speak", *how, "--out", tmp_path / "new", code=2)
    (tmp_path / "few.jsonl").write_text(json.dumps(lines[0]) + "\n")
    few = ("--data", tmp_path / "few.jsonl", "--start", voice, "--out", tmp_path / "few")
    assert "too few" in lm("train", "speak", *few, code=2)
    assert "no such file" in lm("train", "speak", "--data", tmp_path / "none", "--out", tmp_path / "x", code=2)


def test_sound_on_standard_output_is_sound_alone(voice):
    command = [sys.executable, "-W", "ignore", "-m", "josielm.cli.main", "speak", "Good morning.", "-", "--json"]
    done = subprocess.run([*command, "--voice", voice], capture_output=True, check=True)
    told = json.loads(done.stderr)
    wave, rate = soundfile.read(io.BytesIO(done.stdout))
    assert len(wave) / rate == pytest.approx(told["seconds"], abs=1e-3)
    assert len(done.stdout) < 2 * len(wave) + 100

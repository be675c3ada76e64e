"""josielm's command line through real processes, from a folder of sound to an answer; all models tiny."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import types

import numpy as np
import pytest
import soundfile
import torch
from kit.audio import RATE, speechlike, tiny_model
from kit.lm import dataset, info, random_clips
from kit.processes import run

from josiecodec.bitstream.josie_file import TokenFile
from josiecodec.datasets.dataset import DatasetInfo, ShardWriter
from josiecodec.errors import CodecError
from josiecodec.hub.store import load as load_codec
from josiecodec.hub.store import save as save_codec
from josielm.cli.main import main

SAID = "good morning to you"


def lm(*args, code=0):
    """What josielm says, in a process of its own; it must exit with `code`, never with a traceback."""
    command = [sys.executable, "-W", "ignore", "-m", "josielm.cli.main", *map(str, args)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    if code:
        assert len(done.stderr.strip().splitlines()) == 1
        return done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    """A codec, a dataset of two speakers with words, and a model of both trained for 20 steps."""
    root = tmp_path_factory.mktemp("house")
    save_codec(tiny_model(), root / "codec")
    codec = load_codec(root / "codec")
    about = DatasetInfo("tiny-spectral", codec.fingerprint, "audio", 6, 64, RATE, (25, 2), 1)
    waves = speechlike(50, batch=4)
    words = [[w, 0.5 + n * 0.6, 1.0 + n * 0.6] for n, w in enumerate(SAID.split())]
    rows = codec.encode(waves, 6).numpy()
    writer = ShardWriter(root / "tokens", about)
    talk = [
        (row.T, {"id": str(n), "group": str(n // 2), "channel": n % 2, "start": 0.0, "words": words})
        for n, row in enumerate(rows)
    ]
    turns = [
        (rows[0].T[:9], {"id": "a", "group": "t", "role": "user", "text": "hi", "start": 0}),
        (rows[1].T[:9], {"id": "b", "group": "t", "role": "assistant", "text": "yes", "start": 1}),
    ]
    writer.write(0, [*talk, *turns])
    soundfile.write(root / "talk.wav", speechlike(20.5, seed=5)[0, 0].numpy(), RATE)
    small = ["--set", "model.context=40", "--set", "batch=4", "--set", "frames=24", "--threads", 1, "--n-q", 4]
    said = lm(
        "train",
        "tiny",
        "--data",
        root / "tokens",
        "--valid",
        root / "tokens",
        "--out",
        root / "run",
        "--steps",
        20,
        "--codec",
        root / "codec",
        "--tokenizer",
        "bytes",
        "--set",
        "model.streams=2",
        *small,
    )
    assert "M parameters" in said
    assert "level_0" in said
    return root


def test_eval_stands_beside_its_floors(house):
    said = lm("eval", house / "run" / "model", house / "tokens", "--train", house / "tokens", "--json")
    found = json.loads(said)
    assert [row["level"] for row in found["levels"]] == [0, 1, 2, 3]
    assert {"model", "unigram", "bigram", "stacked"} <= found["levels"][0].keys()
    assert found["levels"][0]["model"] == found["nll"]["level_0"]
    assert "unigram" in lm("eval", house / "run" / "model", house / "tokens", "--train", house / "tokens")


def test_generate_makes_sound_and_tokens(house):
    model, codec = house / "run" / "model", house / "codec"
    assert "1.00 s" in lm("generate", model, house / "one.wav", "--seconds", 1, "--codec", codec)
    assert soundfile.info(house / "one.wav").frames == RATE
    lm("generate", model, house / "one.josie", "--seconds", 1, "--codec", codec, "--seed", 3)
    stream = TokenFile.read(house / "one.josie").streams[0]
    assert stream.codes.shape == (4, 13)
    said = json.loads(
        lm(
            "generate",
            model,
            house / "more.josie",
            "--prompt",
            house / "one.josie",
            "--seconds",
            1,
            "--codec",
            codec,
            "--text",
            SAID,
            "--temperature",
            0.5,
            "--acoustic-top-k",
            3,
            "--json",
        )
    )
    assert said["seconds"] == pytest.approx(13 / 12.5 + 1)  # the prompt in whole frames, and what was asked for
    assert said["text"].split()[0] == "good"
    longer = TokenFile.read(house / "more.josie").streams[0].codes
    assert np.array_equal(longer[:, :13], stream.codes)
    lm("generate", model, house / "after.wav", "--prompt", house / "talk.wav", "--seconds", 1, "--codec", codec)
    assert soundfile.info(house / "after.wav").frames == 21 * 1920 + RATE


def test_talk_answers_as_long_as_it_listens(house):
    for quiet in (0, 1):
        out = house / f"answer{quiet}.flac"
        said = json.loads(
            lm(
                "talk",
                house / "run" / "model",
                house / "talk.wav",
                out,
                "--codec",
                house / "codec",
                "--json",
                "--quiet-after",
                quiet,
                "--threads",
                1,
            )
        )
        assert soundfile.info(out).frames == round(20.5 * 1920)
        assert said["frames"] == 21
        assert 0 < said["median_ms"] <= said["p99_ms"]
        assert said["budget_ms"] == 140
        assert said["sustained_ms"] == 80
        sound, _ = soundfile.read(out)
        silent = sum(not block.any() for block in sound[: 20 * 1920].reshape(20, 1920))
        assert silent >= said["silent_frames"] - 2
    assert "of computation each" in lm(
        "talk",
        house / "run" / "model",
        house / "talk.wav",
        house / "a.wav",
        "--codec",
        house / "codec",
        "--seconds",
        0.5,
    )
    assert soundfile.info(house / "a.wav").frames == 12000


def test_turns_are_trained_and_answered(house):
    out = house / "turns"
    lm(
        "train",
        "tiny",
        "--data",
        house / "tokens",
        "--out",
        out,
        "--steps",
        3,
        "--codec",
        house / "codec",
        "--tokenizer",
        "bytes",
        "--n-q",
        2,
        "--set",
        'mode="turns"',
        "--set",
        "batch=2",
        "--set",
        "frames=80",
    )
    said = json.loads(lm("generate", out / "model", "--chat", "hello", "--seconds", 2, "--json"))
    assert isinstance(said["text"], str)
    assert said["output"] is None
    of_turns = json.loads(lm("eval", out / "model", house / "tokens", "--json"))["nll"]
    values = json.loads((out / "model" / "config.json").read_text())
    (out / "model" / "config.json").write_text(json.dumps({**values, "mode": "stream"}))
    assert json.loads(lm("eval", out / "model", house / "tokens", "--json"))["nll"] != of_turns
    (out / "model" / "config.json").write_text(json.dumps(values))
    lm("generate", out / "model", house / "reply.wav", "--chat", "hello", "--seconds", 1, "--codec", house / "codec")
    assert (house / "reply.wav").exists()


def test_a_run_is_resumed_and_not_begun_again(house):
    common = ("train", "tiny", "--data", house / "tokens", "--out", house / "other", "--set", "frames=8")
    said = lm(*common, "--steps", 2, "--n-q", 2)
    assert "was not found" in said
    lm(*common, "--steps", 4, "--n-q", 2, "--resume")
    lines = [json.loads(line) for line in (house / "other" / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if "loss" in line] == [2, 4]
    assert [line["changed"] for line in lines if "changed" in line] == [{"steps": [2, 4]}]


def test_an_interrupt_saves_and_says_so(house):
    out = house / "interrupted"
    common = ("tiny", "--data", house / "tokens", "--out", out, "--n-q", 2, "--set", "frames=8", "--set", "log_every=1")
    command = [sys.executable, "-W", "ignore", "-m", "josielm.cli.main", "train", *map(str, common), "--steps", "99999"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert any(line.startswith("step 3 ") for line in process.stdout)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate()
    assert process.returncode == 2
    (line,) = error.strip().splitlines()
    assert "interrupted at step" in line
    step = int(line.split("step ")[1].split(";")[0])
    lm("train", *common, "--steps", step + 2, "--resume")
    last = json.loads((out / "log.jsonl").read_text().splitlines()[-1])
    assert last["step"] == step + 2
    resumed = ("train", *common, "--steps", step + 3, "--resume")
    assert "seed = 0" in lm(*resumed, "--set", "seed=1", code=2)
    assert "seed = 1 (was 0)" in lm(*resumed, "--change", "seed=1")


def test_mistakes_are_one_line(house, monkeypatch, capsys):
    model = house / "run" / "model"
    dataset(house / "foreign", random_clips(2, levels=6, card=64), info("e" * 64, n_q=6, card=64))
    assert "josielm" in lm("generate", house / "codec", house / "x.wav", code=2)
    for args, text in (
        (("train", "huge", "--data", house / "tokens", "--out", house / "x"), "tiny"),
        (("train", "tiny", "--data", house / "codec", "--out", house / "x"), "dataset"),
        (("train", "tiny", "--data", house / "tokens", "--out", house / "x", "--n-q", 9), "9 levels"),
        (("train", "tiny", "--data", house / "tokens", "--out", house / "x", "--set", "stpes=3"), "stpes"),
        (("train", "tiny", "--data", house / "tokens", "--out", house / "x", "--set", 'mode="turns"'), "tokenizer"),
        (("train", "tiny", "--data", house / "tokens", "--out", house / "run"), "--resume"),
        (("generate", model, house / "x.wav"), "did not come with"),
        (("generate", model, house / "talk.wav", "--codec", house / "codec"), "--overwrite"),
        (("generate", model), "TARGET"),
        (
            ("generate", model, house / "x.wav", "--codec", house / "codec", "--image", "p.png"),
            "not trained with pictures",
        ),
        (("generate", model, house / "x.wav", "--seconds", "inf"), "finite number"),
        (("generate", model, house / "x.wav", "--seconds", "nan"), "finite number"),
        (("train", "tiny", "--data", house / "tokens", "--valid", house / "foreign", "--out", house / "x"), "made by"),
        (("eval", model, house / "tokens", "--train", house / "foreign"), "has learnt those of"),
        (("eval", model, house / "codec"), "dataset"),
        (("talk", model), "--live"),
    ):
        monkeypatch.setattr(sys, "argv", ["josielm", *map(str, args)])
        with pytest.raises(SystemExit) as ended:
            main()
        error = capsys.readouterr().err
        assert ended.value.code == 2
        assert len(error.strip().splitlines()) == 1
        assert text in error, args
    assert not (house / "x").exists()
    assert not (house / "x.wav").exists()


def test_another_codec_is_refused(house):
    save_codec(tiny_model("seanet"), house / "wrong")
    error = lm("talk", house / "run" / "model", house / "talk.wav", house / "x.wav", "--codec", house / "wrong", code=2)
    assert "tiny-spectral" in error
    assert "tiny-seanet" in error


def test_live_sound_goes_in_and_out(house, monkeypatch):
    """The microphone and the loudspeaker are a stand-in; everything behind them is real."""
    from josielm.inference.duplex import Talk
    from josielm.inference.live import converse
    from josielm.store import load

    played = []

    class Stream:
        def __init__(self, samplerate, blocksize, channels, dtype):
            assert (samplerate, blocksize, channels, dtype) == (RATE, 1920, 1, "float32")

        def __enter__(self):
            return self

        def __exit__(self, *_):
            return None

        def read(self, count):
            return np.zeros((count, 1), np.float32), False

        def write(self, samples):
            played.append(samples)

    device = types.SimpleNamespace(Stream=Stream, PortAudioError=RuntimeError)
    monkeypatch.setitem(sys.modules, "sounddevice", device)
    talk = Talk(load(house / "run" / "model"), load_codec(house / "codec"), quiet_after=None)
    with torch.inference_mode():
        converse(talk, seconds=0.5)
    assert [p.shape for p in played] == [(1920, 1)] * 7
    assert np.concatenate(played).any()
    assert len(talk.report.seconds) == 7


def test_without_a_sound_library_it_says_what_to_install(house, monkeypatch):
    from josielm.inference.duplex import Talk
    from josielm.inference.live import converse
    from josielm.store import load

    class Missing:
        def find_spec(self, name, *_):
            if name == "sounddevice":
                raise OSError("PortAudio library not found")

    monkeypatch.setattr(sys, "meta_path", [Missing(), *sys.meta_path])
    monkeypatch.setattr(sys, "platform", "linux")
    talk = Talk(load(house / "run" / "model"), load_codec(house / "codec"), quiet_after=None)
    with pytest.raises(CodecError, match="apt install libportaudio2"):
        converse(talk, seconds=0.5)


def test_from_a_folder_of_sound_to_speech(house):
    """The sequence of the documentation: tokenize, verify, train, generate."""
    folder = house / "recordings"
    folder.mkdir()
    for n in range(3):
        soundfile.write(folder / f"{n}.flac", speechlike(40, seed=n)[0, 0].numpy(), RATE)
    run("tokenize", folder, house / "shards", "--model", house / "codec", "--n-q", 4)
    run("tokens", "verify", house / "shards")
    small = ("--set", "batch=4", "--set", "frames=24", "--codec", house / "codec", "--threads", 1)
    lm("train", "tiny", "--data", house / "shards", "--out", house / "run200", "--steps", 200, *small)
    last = json.loads((house / "run200" / "log.jsonl").read_text().splitlines()[-1])
    assert last["step"] == 200
    assert last["nll"]["level_0"] < 0.8 * last["unigram"]["level_0"]
    lm("generate", house / "run200" / "model", house / "made.wav", "--seconds", 5, "--codec", house / "codec")
    assert soundfile.info(house / "made.wav").frames == 5 * RATE

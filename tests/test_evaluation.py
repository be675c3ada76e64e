"""Comparison of codecs: other codecs, rows, intervals, the page."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from kit.audio import RATE, speechlike, tiny_model
from kit.evaluation import OWN, Deadly, InThisProcess, recordings
from kit.processes import run, run_cli
from kit.vision import CONV, model, scene

from josiecodec.bitstream.statistics import code_usage
from josiecodec.errors import CodecError, CodesError, MediaError
from josiecodec.evaluation import round_trip, scores, table
from josiecodec.evaluation.codecs import AUDIO, VISION, build, expand
from josiecodec.evaluation.items import Item, evenly_spaced, find_audio, find_vision
from josiecodec.evaluation.judges import JUDGES, Judge
from josiecodec.evaluation.memory import peak_mb
from josiecodec.evaluation.run import compare
from josiecodec.evaluation.scores import Asked, score
from josiecodec.evaluation.word_errors import word_error_rate
from josiecodec.hub.store import save
from josiecodec.media.images import save_image
from josiecodec.media.video_writer import VideoWriter
from josiecodec.metrics.audio import MEASURES
from josiecodec.metrics.vision import psnr


def delay(decoded: torch.Tensor, original: torch.Tensor) -> int:
    """By how many samples the decoded recording is late."""
    size = 2 * len(original)
    product = torch.fft.rfft(decoded[: len(original)], size) * torch.fft.rfft(original, size).conj()
    lag = int(torch.fft.irfft(product).abs().argmax())
    return lag if lag < size // 2 else lag - size


def test_names_of_codecs(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)  # "hf:no/such" is not asked for
    assert expand("jodio-24k@1+9, opus@6,mp3", AUDIO) == [
        "jodio-24k@1",
        "jodio-24k@9",
        "opus@6",
        "mp3@8",
        "mp3@16",
        "mp3@24",
    ]
    assert expand("hf:kyutai/mimi@8,python:a.b:C", AUDIO) == ["hf:kyutai/mimi@8", "python:a.b:C"]
    for text in ("", " , ", "opus@", "@6", "opus@6+"):
        with pytest.raises(CodecError):
            expand(text, AUDIO)
    for name in ("nosuch", "opus@loud", "python:nosuch:X", "python:math:pi", "hf:no/such", "codec2@12"):
        with pytest.raises(CodecError):
            build(name, AUDIO)
    for name in ("jpeg@x", "jodio-24k", "opus@6"):
        with pytest.raises(CodecError):
            build(name, VISION)


@pytest.mark.parametrize("name", ["opus@12", "mp3@24", "codec2@1300", "codec2@3200"])
def test_other_audio_codecs_are_in_step(name):
    original = speechlike(40)[0, 0]
    codec = build(name, AUDIO)
    data = codec.encode(original, RATE)
    seconds = len(original) / RATE
    wanted = float(name.split("@")[1]) / (1000 if "codec2" in name else 1)
    assert len(data) * 8 / seconds / 1000 == pytest.approx(wanted, rel=0.25)
    decoded = codec.decode(data, RATE)
    assert abs(len(decoded) - len(original)) < 0.06 * RATE
    if "codec2" in name:  # draws its own phase: compare how loudness moves, in steps of 5 ms
        decoded, original = (x.square()[: len(x) // 120 * 120].view(-1, 120).mean(1) for x in (decoded, original))
    assert abs(delay(decoded, original)) < 4
    if hasattr(codec, "payload_bytes"):
        assert 0.5 * len(data) < codec.payload_bytes(data) < len(data)


@pytest.mark.parametrize("name", ["jpeg@40", "webp@50", "avif@60", "jpeg2000@16"])
def test_other_image_codecs(name):
    x = scene(70, 90)[0, :, 0]
    codec = build(name, VISION)
    decoded = codec.decode(codec.encode(x, Fraction(0)), Fraction(0))
    assert decoded.shape == x.shape
    assert psnr(decoded, x) > 25


@pytest.mark.parametrize("name", ["x264@24", "x265@24", "av1@30"])
def test_other_video_codecs(name):
    x = scene(71, 97, 6)[0]
    codec = build(name, VISION)
    data = codec.encode(x, Fraction(10))
    decoded = codec.decode(data, Fraction(10))
    assert decoded.shape == x.shape
    assert psnr(decoded, x) > 25
    assert 0 < codec.payload_bytes(data) < len(data)


def test_own_codecs_have_the_same_methods_for_every_kind(tmp_path, monkeypatch):
    (tmp_path / "owncodec.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    x = scene(20, 30)[0, :, 0]
    jovio = save(model(CONV), tmp_path / "model")
    for name, quality in (("python:owncodec:Quarters", 5), (f"{jovio}@n4", 15)):
        codec = build(name, VISION)
        decoded = codec.decode(codec.encode(x, Fraction(0)), Fraction(0))
        assert decoded.shape == x.shape
        assert psnr(decoded, x) > quality
    video = scene(20, 30, 3)[0]
    assert codec.decode(codec.encode(video, Fraction(10)), Fraction(10)).shape == video.shape
    with pytest.raises(CodecError, match="not a codec for image or video"):
        build("python:owncodec:Halves", VISION)  # says no kinds: audio
    with pytest.raises(CodecError, match="not a codec for audio"):
        build("python:owncodec:Quarters", AUDIO)
    folder = tmp_path / "images"
    folder.mkdir()
    save_image(x, folder / "one.png")
    with VideoWriter(folder / "clip.mkv", (20, 30), Fraction(10)) as writer:
        writer.write(x)
    rows = compare(["python:owncodec:Quarters"], VISION, find_vision(folder), tmp_path / "out")
    assert [(row["file"], row["label"]) for row in rows] == [("one.png", "image")]  # the video is left out


def test_word_errors():
    assert word_error_rate(("a", "b", "c"), ("a", "b", "c")) == 0
    assert word_error_rate(("a", "b", "c"), ("a", "x", "c", "d")) == pytest.approx(2 / 3)
    assert word_error_rate(("a", "b"), ()) == 1
    assert word_error_rate((), ("a",)) is None


def test_what_may_be_english_speech():
    assert Item("audio", "", "", label="audio").may_be_english_speech  # no manifest says what it is
    assert Item("audio", "", "", label="speech", language="en").may_be_english_speech
    assert not Item("audio", "", "", label="speech", language="de").may_be_english_speech
    assert not Item("audio", "", "", label="music").may_be_english_speech


def test_a_measure_that_fails_costs_no_other(tmp_path, monkeypatch):
    def fails(decoded, original, sample_rate):
        raise RuntimeError("no")

    monkeypatch.setitem(MEASURES, "pesq_wb", fails)
    for name in ("a.wav", "b.wav"):
        soundfile.write(tmp_path / name, speechlike(25)[0, 0].numpy(), RATE)
    row = {
        "decoded": str(tmp_path / "b.wav"),
        "seconds": 2.0,
        "bytes": 100,
        "payload_bytes": 90,
        "encode_s": 1,
        "decode_s": 1,
    }
    scored = score(Item("audio", str(tmp_path), "a.wav"), row, Asked())
    assert scored["unscored"] == ["pesq_wb"]
    assert scored["stoi"] == pytest.approx(1)


@pytest.mark.parametrize("kind", ["image", "video"])
def test_what_is_exact_has_the_highest_psnr(tmp_path, monkeypatch, kind):
    grey = torch.full((3, 3, 32, 32), 0.5)[:, 0] if kind == "image" else torch.full((3, 3, 32, 32), 0.5)
    item = Item(kind, str(tmp_path), "a")
    monkeypatch.setattr(Item, "load", lambda self: (grey, 1))
    monkeypatch.setattr(scores, "load_image", lambda path: grey)
    monkeypatch.setattr(scores, "load_video", lambda path: (grey, 1))
    sizes = {"bytes": 9, "payload_bytes": 9, "width": 32, "height": 32, "pictures": 3, "seconds": 1.0}
    row = score(item, {"decoded": "a", "encode_s": 1.0, "decode_s": 1.0, **sizes}, Asked())
    assert row["psnr"] == 100
    assert row.get("difference_psnr", 100) == 100
    assert "psnr" not in row["unscored"]


def test_files_that_are_not_compared_are_counted(sounds):
    (sounds / "notes.txt").write_text("x")
    (sounds / "no_suffix").write_bytes((sounds / "0.wav").read_bytes())
    with pytest.warns(UserWarning, match=r"1 file skipped, not recordings: \.txt \(1\)"):
        found = find_audio(sounds)
    assert [item.path for item in found] == ["0.wav", "1.wav", "2.wav", "no_suffix", "silent.wav"]


def test_even_choice():
    assert [i for i in evenly_spaced(list(range(10)), 4)] == [0, 2, 5, 7]
    assert evenly_spaced([1, 2], 5) == [1, 2]


@pytest.fixture
def sounds(tmp_path):
    (tmp_path / "owncodec.py").write_text(OWN)
    return recordings(tmp_path / "sounds")


def test_a_comparison_resumes_where_it_stopped(sounds, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    items = find_audio(sounds)
    names = ["python:owncodec:Halves@2", "opus@12", "python:owncodec:Nothing"]
    messages: list[str] = []
    done = []
    rows = compare(names, AUDIO, items, tmp_path / "out", progress=done.append, report=messages.append)
    assert len(rows) == 8
    assert sum(done) == 12
    assert len(messages) == 1
    assert "Nothing" in messages[0]
    bad = [row for row in rows if "error" in row]
    assert [(row["file"], row["error"]) for row in bad] == [("silent.wav", "nothing but silence")]
    assert "nothing but silence" in "\n".join(table.problems(rows))
    half = next(row for row in rows if row["codec"].endswith("@2") and row["file"] == "0.wav")
    assert half["bytes"] == half["payload_bytes"] == 20 * 1920
    assert half["kbps"] == pytest.approx(16 * 12)
    # Killed while it wrote the last row: that one alone is done again.
    file = tmp_path / "out" / "rows.jsonl"
    lines = file.read_text().splitlines()
    file.write_text("\n".join(lines[:-1]) + "\n" + lines[-1][:30])
    stamps = {p: p.stat().st_mtime_ns for p in (tmp_path / "out" / "files").rglob("*.bin")}
    again = compare(names[:2], AUDIO, items, tmp_path / "out")
    changed = [p for p, stamp in stamps.items() if p.stat().st_mtime_ns != stamp]
    assert len(changed) == 1
    assert {(r["codec"], r["file"]) for r in again} == {(r["codec"], r["file"]) for r in rows}
    # Another recording under the same name is another recording.
    soundfile.write(sounds / "0.wav", 0.1 * speechlike(20, seed=7)[0, 0].numpy(), RATE)
    other = compare(names[:1], AUDIO, items, tmp_path / "out")
    before = {r["file"]: r for r in again if r["codec"] == names[0]}
    assert [r["file"] for r in other if r.get("mel") != before[r["file"]].get("mel")] == ["0.wav"]
    with pytest.raises(CodecError, match="none of the codecs"):
        compare(["nosuch"], AUDIO, items, tmp_path / "other", report=messages.append)


def test_a_further_judge_needs_no_second_round_trip(tmp_path, monkeypatch):
    soundfile.write(tmp_path / "a.wav", speechlike(20)[0, 0].numpy(), RATE)
    items, out = find_audio(tmp_path), tmp_path / "out"
    (first,) = compare(["opus@12"], AUDIO, items, out)
    assert first["version"]
    assert first["model"] == ""
    assert first["encode_cpu_s"] > 0
    monkeypatch.setattr("josiecodec.evaluation.run.round_trip", None)
    monkeypatch.setattr("josiecodec.evaluation.run.ProcessPoolExecutor", InThisProcess)
    monkeypatch.setitem(JUDGES, "f0", Judge(("f0_cents",), {}, lambda *_: {"f0_cents": 7.0}))
    done: list[float] = []
    (second,) = compare(["opus@12"], AUDIO, items, out, judges=("f0",), progress=done.append)
    assert sum(done) == 1
    assert second["f0_cents"] == 7
    assert second | {"judges": []} == first | {"f0_cents": 7.0}
    Path(second["decoded"]).unlink()
    monkeypatch.setattr("josiecodec.evaluation.run.round_trip", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):  # what was decoded is gone: it is made again
        compare(["opus@12"], AUDIO, items, out, judges=("f0", "speaker"))


def test_what_a_codec_does_once_is_not_in_the_times_of_the_first_file(monkeypatch):
    calls: list[tuple[str, int]] = []

    class Noted:
        def prepare(self, media, rate):
            calls.append(("prepare", len(media)))

        def encode(self, media, rate):
            calls.append(("encode", len(media)))
            if len(media) == RATE:
                raise RuntimeError("too short for this codec")
            return b""

        def decode(self, data, rate):
            return torch.zeros(2 * RATE)

    monkeypatch.setattr(round_trip, "_codec", Noted())
    monkeypatch.setattr(round_trip, "_warm", False)
    wave = speechlike(25)[0, 0][: 2 * RATE]
    for _ in range(2):
        round_trip._warm_up("audio", wave, RATE)
    assert calls == [("encode", RATE)]


def test_files_that_take_a_process_down_are_errors_of_their_own(tmp_path):
    for name in "abc":
        soundfile.write(tmp_path / f"{name}.wav", speechlike(8)[0, 0].numpy(), RATE)
    items = [Deadly("audio", str(tmp_path), f"{name}.wav") for name in "abc"]
    said: list[str] = []
    rows = {r["file"]: r for r in compare(["opus@12"], AUDIO, items, tmp_path / "out", report=said.append)}
    assert rows["a.wav"]["error"].startswith("the process died")
    assert rows["b.wav"]["error"].startswith("the process that compares it has died")
    assert rows["c.wav"]["pesq_wb"] > 1
    assert not said


def test_means_have_intervals():
    values = np.random.default_rng(1).normal(5, 1, 200)
    rows = [{"codec": "a", "label": "x", "unscored": [], "stoi": float(v), "peak_mb": 1.0} for v in values]
    rows += [
        {"codec": "a", "label": "x", "error": "no"},
        {"codec": "b", "label": "x", "unscored": ["stoi"], "peak_mb": 1},
    ]
    first, second = table.means(rows)
    assert first["stoi"] == pytest.approx(values.mean(), abs=1e-4)
    assert first["stoi_high"] - first["stoi_low"] == pytest.approx(4 * 1 / 200**0.5, rel=0.15)
    assert (first["files"], first["errors"]) == (200, 1)
    assert "stoi" not in second
    assert second["unscored"] == 1


def test_scores_at_equal_rates():
    lines = [{"bpp": 0.4, "psnr": 32.0}, {"bpp": 0.1, "psnr": 28.0}, {"bpp": 0.2}]
    assert table.at_rate(lines, "bpp", 0.2, "psnr") == pytest.approx(30)
    assert table.at_rate(lines, "bpp", 0.1, "psnr") == 28
    assert table.at_rate(lines, "bpp", 0.5, "psnr") is None


def test_codes_are_counted(tmp_path):
    jodio = tiny_model()
    codes = jodio.encode(speechlike(30), 4)
    (tmp_path / "a.josie").write_bytes(jodio.compress(speechlike(30)[0], 4))
    counts = code_usage([tmp_path / "a.josie"] * 2).counts
    for level in range(4):
        assert np.array_equal(counts[level], 2 * np.bincount(codes[0, level].numpy(), minlength=64))
    jovio = model(CONV)
    (tmp_path / "b.josie").write_bytes(jovio.compress(scene(64, 64)[0, :, 0]))
    assert code_usage([tmp_path / "b.josie"]).counts[0].sum() <= 16
    with pytest.raises(CodesError, match="another model"):
        code_usage([tmp_path / "a.josie", tmp_path / "b.josie"])


def test_memory_is_that_of_the_process_itself():
    large = torch.zeros(1 << 26)  # 256 MB, touched
    large += 1
    line = "from josiecodec.evaluation.memory import peak_mb; print(peak_mb())"
    child = float(subprocess.run([sys.executable, "-c", line], capture_output=True, text=True).stdout)
    assert peak_mb() > 256 > child > 1


def test_a_manifest_that_cannot_be_read(sounds):
    (sounds / "manifest.tsv").write_text("path\toffset_s\n0.wav\tearly\n")
    with pytest.raises(MediaError, match="line 2"):
        find_audio(sounds)


def test_the_command_line_writes_tables_and_a_page(sounds, tmp_path):
    save(tiny_model(), tmp_path / "model")
    common = ("eval", "audio", sounds, "--model", tmp_path / "model", "--n-q", "1,4", "--codecs", "opus@12")
    done = run_cli(*common, "--out", tmp_path / "out", "--html", tmp_path / "page", "--workers", 2, "--json")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(lines) == 3 * 4 + 3
    assert lines[-1]["codec"] == "opus@12"
    assert "silent.wav: no" in done.stderr
    result = json.loads((tmp_path / "out" / "results.json").read_text())
    assert len(result["rows"]) == 12
    with open(tmp_path / "out" / "means.csv", newline="") as f:
        assert [row["codec"] for row in csv.DictReader(f)] == [line["codec"] for line in lines[-3:]]
    assert (tmp_path / "page" / "index.html").exists()
    assert "'x'" in run("eval", "audio", sounds, "--n-q", "x", code=2)
    assert "1..6" in run("eval", "audio", sounds, "--model", tmp_path / "model", "--n-q", 99, code=2)
    ours, opus = sorted((tmp_path / "out" / "files").rglob("0.wav.bin"))[::2]
    used = [json.loads(line) for line in run("eval", "codes", ours, "--json").splitlines()]
    assert used[0]["codes"] == 20
    assert 0 < used[0]["entropy_bits"] < 6
    assert "not a .josie file" in run("eval", "codes", opus, code=2)

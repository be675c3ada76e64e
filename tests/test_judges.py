"""Judges with models of packages: what they say of copies, of noise and of silence; those that are not installed."""

from __future__ import annotations

import math
import sys
import types

import numpy as np
import pytest
import soundfile
import torch
from kit.audio import RATE, speechlike
from kit.processes import run

from josiecodec.errors import CodecError
from josiecodec.evaluation import judges, whisper_words
from josiecodec.evaluation.items import Item, find_audio
from josiecodec.evaluation.judges import JUDGES, Judge, chosen, left_out
from josiecodec.evaluation.scores import Asked, score
from josiecodec.evaluation.table import LOWER_IS_BETTER, SCORES, means


@pytest.fixture(scope="module")
def speech():
    return speechlike(30)[0, 0]


@pytest.mark.parametrize("name", list(JUDGES))
def test_noise_is_worse_than_a_copy_and_silence_is_the_worst(name, speech):
    judge = JUDGES[name]
    if judge.missing():
        pytest.skip(f"needs {judge.missing()}")
    noise = torch.randn(speech.shape, generator=torch.Generator().manual_seed(0))
    copy, noisy, nothing = (judge.score(x, speech) for x in (speech, speech + 0.1 * noise, torch.zeros_like(speech)))
    unsaid = judge.score(speech, torch.zeros_like(speech))
    for column in judge.columns:
        sign = -1 if column in judge.lower else 1
        assert sign * copy[column] > sign * noisy[column]
        assert not sign * nothing[column] > sign * noisy[column]  # or nan
        assert math.isnan(unsaid[column])


def test_pitch_in_cents():
    pytest.importorskip("swift_f0")
    time = torch.arange(2 * RATE) / RATE
    first, second = (sum(torch.sin(k * 6.2832 * f * time) / k for k in range(1, 9)) * 0.2 for f in (150, 200))
    assert judges.f0(second, first)["f0_cents"] == pytest.approx(1200 * math.log2(200 / 150), abs=15)
    assert judges.f0(second, first)["voicing_error"] < 0.05


def test_columns_are_those_of_the_table():
    for judge in JUDGES.values():
        assert set(judge.columns) <= set(SCORES)
        assert set(judge.lower) <= LOWER_IS_BETTER


def test_judges_are_refused_or_left_out_by_name(monkeypatch):
    monkeypatch.setitem(JUDGES, "here", Judge(("x",), {"json": "json"}, lambda *_: {"x": 1.0}))
    monkeypatch.setitem(JUDGES, "gone", Judge(("y",), {"no_such_module": "no-such"}, lambda *_: {"y": 1.0}))
    assert chosen("here,here") == ["here"]
    assert "here" in chosen("all")
    assert "gone" not in chosen("all")
    assert "judge gone is left out: it needs no-such" in left_out("all")
    assert not left_out("here")
    with pytest.raises(CodecError, match="pip install no-such"):
        chosen("here,gone")
    with pytest.raises(CodecError, match="no judge 'magic'; there are visqol"):
        chosen("magic")
    with pytest.raises(CodecError, match="with libvmaf"):
        chosen("vmaf")


def row_of(path):
    return {"decoded": str(path), "seconds": 1.0, "bytes": 9, "payload_bytes": 9, "encode_s": 1.0, "decode_s": 1.0}


def test_a_judge_that_fails_costs_its_own_columns(tmp_path, monkeypatch):
    soundfile.write(tmp_path / "a.wav", speechlike(25)[0, 0].numpy(), RATE)
    monkeypatch.setitem(JUDGES, "f0", Judge(("f0_cents", "voicing_error"), {}, lambda *_: 1 / 0))
    row = score(Item("audio", str(tmp_path), "a.wav"), row_of(tmp_path / "a.wav"), Asked(judges=("f0",)))
    assert row["unscored"] == ["f0_cents", "voicing_error"]
    assert row["stoi"] == pytest.approx(1)


def test_rows_are_done_when_they_have_what_is_asked():
    asked = Asked(judges=("f0", "speaker"))
    assert asked.done(asked.about())
    assert Asked().done(asked.about())
    assert not asked.done(Asked(judges=("f0",)).about())
    assert not Asked(whisper="base").done(Asked(wer=True).about())
    assert not Asked(wer=True).done(Asked().about())
    assert not Asked(wer=True).done(Asked(whisper="base").about())
    assert Asked().done(Asked(whisper="base").about())
    assert Asked().done({"words": False})  # of a version before


class FakeWhisper:
    """Hears the first words of a text, as many as there are seconds."""

    def __init__(self, model, **settings):
        if model == "nosuch":
            raise ValueError("Invalid model size 'nosuch'\nmore")
        self.model = types.SimpleNamespace(is_multilingual=not model.endswith(".en"))

    def transcribe(self, samples, language, **settings):
        count = round(len(samples) / 16000 * (2 if np.abs(samples).max() > 0.1 else 1))
        heard = [
            types.SimpleNamespace(text=word, no_speech_prob=0.1) for word in ["One,", "two,", "three", "four"][:count]
        ]
        noise = types.SimpleNamespace(text="thanks for watching", no_speech_prob=0.9)
        return iter([*heard, noise]), types.SimpleNamespace(language=language or "en")


@pytest.fixture
def whisper(monkeypatch):
    def normaliser(name):
        return types.SimpleNamespace(**{name: lambda: lambda text: text.lower().replace(",", "")})

    modules = {
        "faster_whisper": types.SimpleNamespace(WhisperModel=FakeWhisper),
        "whisper_normalizer": types.ModuleType("whisper_normalizer"),
        "whisper_normalizer.basic": normaliser("BasicTextNormalizer"),
        "whisper_normalizer.english": normaliser("EnglishTextNormalizer"),
    }
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(whisper_words.importlib.util, "find_spec", lambda name: name)
    for cached in (whisper_words._load, whisper_words._normaliser):
        cached.cache_clear()
    yield
    for cached in (whisper_words._load, whisper_words._normaliser):
        cached.cache_clear()


def test_words_by_whisper_against_the_text_or_the_original(tmp_path, whisper):
    loud = speechlike(25)[0, 0]
    soundfile.write(tmp_path / "a.wav", loud.numpy(), RATE)
    soundfile.write(tmp_path / "quiet.wav", 0.01 * loud.numpy(), RATE)
    (tmp_path / "manifest.tsv").write_text("path\tlanguage\ttext\na.wav\ten\t\na.wav\ten\tOne two\na.wav\tde\tx\n")
    rates = []
    for item in find_audio(tmp_path):
        rates.append(score(item, row_of(tmp_path / "quiet.wav"), Asked(whisper="base"))["wer"])
    assert rates == [0.5, 0.0, 2.0]  # "one two" of "one two three four", of "one two" and of "x"
    with pytest.raises(CodecError, match=r"--whisper nosuch: .* Invalid model size 'nosuch'$"):
        whisper_words.check("nosuch")
    music = Item("audio", str(tmp_path), "a.wav", label="music")
    assert "wer" not in score(music, row_of(tmp_path / "a.wav"), Asked(whisper="base"))


def test_a_model_of_english_alone_says_nothing_of_other_languages(tmp_path, whisper):
    soundfile.write(tmp_path / "a.wav", speechlike(25)[0, 0].numpy(), RATE)
    (tmp_path / "manifest.tsv").write_text("path\tlanguage\ta.wav\na.wav\tgd\t\na.wav\ten\t\na.wav\t\t\n")
    scored = [score(item, row_of(tmp_path / "a.wav"), Asked(whisper="tiny.en")) for item in find_audio(tmp_path)]
    assert "wer" not in scored[0]
    assert scored[0]["unscored"] == []
    assert [(row["wer"], row["wer_errors"], row["wer_words"]) for row in scored[1:]] == [(0, 0, 4), (0, 0, 4)]


def test_word_error_rates_of_many_files_are_all_errors_by_all_words():
    files = [(1, 2), (0, 10), (2, 8)]  # errors, words
    about = {"codec": "a", "label": "speech", "unscored": [], "peak_mb": 1.0}
    rows = [about | {"wer": e / w, "wer_errors": e, "wer_words": w} for e, w in files]
    (line,) = means(rows)
    assert line["wer"] == pytest.approx(3 / 20)
    assert 0 <= line["wer_low"] < 3 / 20 < line["wer_high"] <= 0.5
    assert means([{k: v for k, v in row.items() if k != "wer_words"} for row in rows])[0]["wer"] == pytest.approx(0.25)


def test_the_normaliser_of_whisper():
    pytest.importorskip("whisper_normalizer")
    assert whisper_words.words("Mr. Brown isn't of that colour, um, twenty percent?", "en") == whisper_words.words(
        "mister brown is not of that color 20%", "en"
    )


def test_the_command_line_refuses_what_is_not_here(tmp_path):
    soundfile.write(tmp_path / "a.wav", speechlike(13)[0, 0].numpy(), RATE)
    assert "there are visqol" in run("eval", "audio", tmp_path, "--judges", "magic", code=2)
    assert "utmos" in run("eval", "audio", tmp_path, "--judges", "utmos", code=2)

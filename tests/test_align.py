"""Voices and times of words as users get them: from Python, and from the command line as a process."""

from __future__ import annotations

import gzip
import importlib.util
import json
import math

import numpy as np
import pytest
import soundfile
import torch
from kit.audio import RATE, speechlike
from kit.processes import run, run_cli

import josiecodec
from josiecodec.errors import CodecError
from josiecodec.hearing.conformer import Conformer, ConformerConfig
from josiecodec.hearing.store import save
from josiecodec.hearing.words import align_words
from josiecodec.tokenization.align import align_manifest
from josiecodec.tokenization.manifest import find_items


@pytest.fixture(scope="module")
def aligner(tmp_path_factory):
    """A conformer that has learned nothing."""
    torch.manual_seed(0)
    config = ConformerConfig(dim=32, layers=1, rank=8, kernel=7, context=9, delay=3)
    return str(save(Conformer(config), tmp_path_factory.mktemp("aligner")))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A recording of 4 s, one of 0.1 s, silence, and a manifest of them."""
    place = tmp_path_factory.mktemp("recordings")
    wave = speechlike(50)[0, 0].numpy()
    soundfile.write(place / "a.wav", wave, RATE)
    soundfile.write(place / "short.wav", wave[:2400], RATE)
    soundfile.write(place / "silent.wav", np.zeros(RATE), RATE)
    return place


def manifest(folder, *lines, name="m.jsonl"):
    (folder / name).write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder / name


def test_a_voice_is_256_numbers_whatever_level_and_rate():
    wave = speechlike(30)[0, 0]
    voice = josiecodec.speaker_embedding(wave)
    assert voice.shape == (256,)
    assert float(voice.norm()) == pytest.approx(1, abs=1e-5)
    assert float(voice @ josiecodec.speaker_embedding(0.3 * wave)) > 0.9
    assert float(voice @ josiecodec.speaker_embedding(wave[None, None])) == pytest.approx(1, abs=1e-5)
    arrays = josiecodec.speaker_embedding(wave.flip(0).numpy()[::-1], RATE)
    assert isinstance(arrays, np.ndarray)
    assert arrays @ voice.numpy() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(
    ("wave", "rate", "message"),
    [
        (torch.zeros(48000), 24000, "silent"),
        (torch.ones(2400), 24000, "0.5 s at least, not 0.10 s"),
        (torch.ones(2, 48000), 24000, "mono"),
        (torch.ones(48000, dtype=torch.int16), 24000, "floating-point"),
        (torch.full((48000,), math.nan), 24000, "not finite"),
        (torch.ones(48000), 10, "sample rate"),
        (torch.tensor(1.0), 24000, "mono"),
    ],
)
def test_where_no_voice_can_be(wave, rate, message):
    with pytest.raises(CodecError, match=message):
        josiecodec.speaker_embedding(wave, rate)


def test_words_get_times_in_a_manifest(folder, aligner):
    lines = [
        {"path": "a.wav", "text": "Good morning, it's 7!", "language": "en-GB", "mine": 3},
        {"path": "a.wav", "start": 1.0, "duration": 2.0, "text": "so", "language": "en"},
        {"path": "a.wav", "id": "x", "words": [["old", 0.0, 0.1]], "text": "old"},
        {"path": "a.wav", "id": "y"},
        {"path": "short.wav", "text": "far too many letters for this", "language": "en"},
        {"path": "silent.wav", "text": "nothing", "language": "en"},
        {"path": "gone.wav", "text": "nothing", "language": "en"},
        {"path": "a.wav", "id": "z", "text": "...", "language": "en"},
    ]
    source = manifest(folder, *lines)
    out = folder / "out.jsonl.gz"
    done = run_cli("align", source, out, "--json", "--aligner", aligner)
    assert json.loads(done.stdout)["aligned"] == 2
    assert json.loads(done.stdout)["failed"] == 4
    for message in ("do not fit", "nothing is to be heard", "gone.wav", "no word"):
        assert message in done.stderr
    found = [json.loads(line) for line in gzip.decompress(out.read_bytes()).decode().splitlines()]
    assert [word for word, _, _ in found[0]["words"]] == ["Good", "morning,", "it's", "7!"]
    times = [time for _, *pair in found[0]["words"] for time in pair]
    assert times == sorted(times)
    assert 0 <= times[0] < times[-1] <= 4.0
    assert found[0]["mine"] == 3
    assert 0 <= found[1]["words"][0][1] < found[1]["words"][0][2] <= 2.0
    assert found[2:] == lines[2:]
    items = {item.source: item for item in find_items(out)[1]}
    assert items["a.wav"].known


def test_a_manifest_is_replaced_in_place_and_read_by_tokenize(folder, aligner):
    cut = {"type": "MonoCut", "id": "c", "start": 0, "duration": 4.0, "channel": 0, "custom": None}
    cut |= {
        "recording": {"id": "r", "sources": [{"type": "file", "source": "a.wav", "channels": [0]}], "duration": 4.0}
    }
    cut["supervisions"] = [{"text": "good morning", "language": "en"}]
    source = manifest(folder, cut, {"path": "a.wav", "text": "hello"}, name="cuts.jsonl")
    result = align_manifest(source, source, aligner, language="en")
    assert (result.done, result.failed) == (2, [])
    words = [item.known["words"] for item in find_items(source)[1]]
    assert [len(w) for w in words] in ([1, 2], [2, 1])
    assert align_manifest(source, source, aligner).kept == 2


def test_a_manifest_in_another_folder_finds_its_recordings(folder, aligner, tmp_path):
    cut = {"type": "MonoCut", "id": "c", "start": 0, "duration": 4.0, "channel": 0, "recording": {}}
    cut["recording"] = {"duration": 4.0, "sources": [{"type": "file", "channels": [0], "source": "a.wav"}]}
    lines = ({"path": "a.wav"}, {"audio_filepath": "./a.wav", "id": "b"}, {"path": str(folder / "a.wav")}, cut)
    align_manifest(manifest(folder, *lines, name="there.jsonl"), tmp_path / "here.jsonl", aligner)
    _, found = find_items(tmp_path / "here.jsonl")
    assert len(found) == 4
    assert {soundfile.info(item.path).frames for item in found} == {soundfile.info(folder / "a.wav").frames}


def test_what_align_refuses(folder, aligner):
    def said(*args: object) -> str:
        text = run("align", *args, code=2)
        assert len(text.strip().splitlines()) == 1
        return text

    french = manifest(folder, {"path": "a.wav", "text": "bonjour", "language": "fr"}, name="fr.jsonl")
    assert "no aligner for 'fr'" in said(french, "-q", "--aligner", aligner)
    unsaid = manifest(folder, {"path": "a.wav", "text": "hello"}, name="unsaid.jsonl")
    assert "says no language" in said(unsaid, "-q")
    assert "no network" in said(unsaid, "--language", "en", "--aligner", "elsewhere", "-q")
    assert "no such file" in run("align", folder / "none.jsonl", code=2)
    assert "not a JSON object" in said(manifest(folder, [], name="list.jsonl"), "-q")
    assert "nothing in this manifest" in said(manifest(folder, name="empty.jsonl"), "-q")
    if importlib.util.find_spec("faster_whisper") is None:
        assert "pip install faster-whisper" in said(french, "-q")
    assert "words" not in french.read_text()


def test_what_cannot_be_aligned_is_said(aligner):
    wave = speechlike(20, rate=16000)[0, 0].numpy()
    for text, sound, message in (("", wave, "no word"), ("?!", wave, "no word"), ("a", wave[:0], "heard")):
        with pytest.raises(ValueError, match=message):
            align_words(sound, text, "en", aligner)
    with pytest.raises(ValueError, match="heard"):
        align_words(np.full(16000, np.nan, np.float32), "a", "en", aligner)

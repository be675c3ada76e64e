"""Speaking: words of texts, phones of words, alignment, the voice and its training; all networks tiny."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
import torch

from josiecodec.errors import ConfigError, ModelError
from josielm.speech.adaptor import Variance, spread
from josielm.speech.config import PRESETS, VoiceConfig
from josielm.speech.letters import LettersConfig, LettersToPhones
from josielm.speech.lexicon import DICTIONARY, Lexicon, dictionary
from josielm.speech.phones import IDS, SYMBOLS
from josielm.speech.roman import roman
from josielm.speech.store import load_voice, save_voice
from josielm.speech.voice import Voice
from josielm.speech.words import TextError, sentences
from josielm.training.alignment import Clip, align_clips, best_alignment
from josielm.training.letters import distance, split_words, train_letters
from josielm.training.voice import Spoken, VoiceTraining, batches, fit_statistics, losses, train_voice

KNOWN = {"good": ["G", "UH1", "D"], "morning": ["M", "AO1", "R", "N", "IH0", "NG"], "cat": ["K", "AE1", "T"]}
SMALL = LettersConfig(dim=16, layers=1, heads=2, rank=8)


def said(text: str) -> str:
    return " | ".join(" ".join(piece.text for piece in sentence) for sentence in sentences(text))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Good morning.", "good morning ."),
        ("It's 9:30 pm", "it's nine thirty P M ."),
        ("At 7:05 a.m., 10:00 and 5pm!", "at seven oh five A M , ten o'clock and five P M !"),
        ("$3.50, £1, $0.99 and $3.2 billion?", "three dollars and fifty cents , one pound , ninety nine cents and "
         "three point two billion dollars ?"),
        ("1984; 2005; 1,250,000; 3.14; 007", "nineteen eighty four , two thousand five , one million two hundred fifty "
         "thousand , three point one four , zero zero seven ."),
        ("the 21st of 2019-10-12", "the twenty first of october twelfth twenty nineteen ."),
        ("1/2, 3/4 and 2 1/2", "one half , three quarters and two and one half ."),
        ("5km, 1 kg, 20%, -4.5°C", "five kilometers , one kilogram , twenty percent , minus four point five degrees "
         "celsius ."),
        ("in the 1990s, 2-3 days", "in the nineteen nineties , two to three days ."),
        ("Mr. Smith met Dr. J. K. Jones. He left.", "mister smith met doctor J K jones . | he left ."),
        ("No. 5 is it. No. It is not.", "number five is it . | no . | it is not ."),
        ("NASA, the FBI and U.S.A.", "NASA , the FBI and U S A ."),
        ("WE ARE FIRED UP!", "we are fired up !"),
        ("e.g. café — naïve (really) …", "for example cafe , naive , really ."),
        ("see example.com & more @ home", "see example dot com and more at home ."),
        ("on 12/25/2023, 3 March 2024 or May 5, 2021", "on december twenty fifth twenty twenty three , the third of "
         "march twenty twenty four or may fifth , twenty twenty one ."),
        ("In May 20 people came", "in may twenty people came ."),
        ("call +1 (212) 555-0199", "call plus one , two one two , five five five , zero one nine nine ."),
        ("ann.lee@mail.org, https://a.org/b?c=1.", "ann dot lee at mail dot org , a dot org slash b question mark c "
         "equals one ."),
        ("Henry VIII, World War II, Chapter IV. Act I", "henry the eighth , world war two , chapter four . | "
         "act one ."),
        ("MIX, I, an IV and XL", "MIX , i , an IV and XL ."),
        ("Baker St. near St. Paul, i.e. 2 h, p. 5", "baker street near saint paul , that is two hours , page five ."),
        ("2½ of v1.2.3, 24/7, x ≠ y", "two and one half of v one point two point three , twenty four seven , x is not "
         "equal to y ."),
        ("PCs, DVD's, 3 GHz at 5 km/h", "PC's , DVD's , three gigahertz at five kilometers per hour ."),
        ("well-known -- so to say", "well known , so to say ."),
    ],
)  # fmt: skip
def test_words(text, words):
    assert said(text) == words


def test_words_know_where_they_come_from():
    text = "Café: $3.50 now"
    [pieces] = sentences(text)
    assert [text[p.start : p.end] for p in pieces[:1]] == ["Café"]
    assert {text[p.start : p.end] for p in pieces if p.text in ("three", "dollars", "cents")} == {"$3.50"}
    assert text[pieces[-2].start : pieces[-2].end] == "now"


@pytest.mark.parametrize("text", ["", "  \n", "...", "\"' -", "\u4f60\u597d", "hi \U0001f600", "a\x00b"])
def test_what_cannot_be_spoken_is_an_error(text):
    with pytest.raises(TextError):
        sentences(text)


def test_any_text_of_known_characters_has_words_or_is_an_error():
    rng = np.random.default_rng(0)
    alphabet = list("ab Z09.,:;-/$%°'\"()£st&\n")
    for _ in range(2000):
        text = "".join(rng.choice(alphabet, rng.integers(1, 25)))
        try:
            found = sentences(text)
        except TextError:
            assert not any(c.isalnum() for c in text) or not any(c.isalpha() for c in text)
            continue
        for pieces in found:
            assert any(not p.is_pause for p in pieces)
            assert all(p.is_pause or all(c.isalpha() or c == "'" for c in p.text) for p in pieces), text
            assert all(0 <= p.start < p.end <= len(text) for p in pieces), text


def test_long_sentences_are_divided():
    parts = sentences("word, " * 200)
    assert len(parts) > 4
    assert sum(p.text == "word" for part in parts for p in part) == 200


def test_no_word_is_dropped():
    lexicon = Lexicon(lambda word: ["Z"] * len(word), KNOWN)
    [pieces] = sentences("Good cat's morning, the apple and xyzzy BBC!")
    symbols, owners = lexicon.sentence(pieces)
    assert {i for i, p in enumerate(pieces) if not p.is_pause} <= set(owners)
    assert set(symbols) <= set(SYMBOLS)
    assert symbols[:4] == ["_", "G", "UH1", "D"]
    assert lexicon.word("cat's") == ["K", "AE1", "T", "S"]
    assert lexicon.word("BBC's") == ["B", "IY1", "B", "IY1", "S", "IY1", "Z"]
    assert lexicon.word("BBC") == ["B", "IY1", "B", "IY1", "S", "IY1"]
    the = sentences("the apple, the morning")[0]
    read = Lexicon(lambda word: ["AE1", "P"], KNOWN).sentence(the)[0]
    assert read[1:3] == ["DH", "IY0"]
    assert [s for i, s in enumerate(read) if read[i - 1] == "DH"] == ["IY0", "AH0"]


def test_the_dictionary_is_in_the_package():
    known = dictionary()
    assert len(known) > 126_000
    assert known["good"] == KNOWN["good"]
    assert all(set(phones) <= set(SYMBOLS) and phones for phones in known.values())
    assert "Carnegie Mellon" in (DICTIONARY.parent / "LICENSE").read_text()


def test_roman_numbers():
    assert [roman(x) for x in ("I", "IV", "IX", "XIV", "XXXIX", "", "IIX", "VX", "L")] == [1, 4, 9, 14, 39, 0, 0, 0, 0]


def test_letters_always_answer():
    torch.manual_seed(0)
    network = LettersToPhones(SMALL).eval()
    for word in ("a", "it's", "q" * 130):
        assert network.read(word)
    with torch.no_grad():
        network.head.bias[::70] += 100  # all blanks
    assert len(network.read("hello")) >= 1


def test_training_letters_lowers_the_error():
    torch.manual_seed(0)
    sound = {"b": "B", "d": "D", "k": "K", "a": "AE1", "o": "OW1", "i": "IH1"}
    words = ["".join(w) for n in (2, 3, 4) for w in itertools.product("bdk", "aoi", "bdk", "aoi")][:81]
    known = {w: [sound[c] for c in w] for w in words}
    network = LettersToPhones(SMALL)
    before = np.mean([distance(known[w], network.eval().read(w)) for w in words])
    train_letters(network, known, 0.06, lr=5e-3)
    assert np.mean([distance(known[w], network.read(w)) for w in words]) < 0.5 * before
    learnt, measured = split_words(network, {"abcdefg" + c: ["B"] * 3 for c in "abcdef"} | {"zzz": ["Z"]})
    assert not set(learnt) & set(measured)


def brute_force(scores: np.ndarray) -> tuple[float, list[int]]:
    """The best division of the frames of [L, T] into L parts of at least one."""
    length, steps = scores.shape
    best = (-np.inf, [0])
    for cuts in itertools.combinations(range(1, steps), length - 1):
        ends = [0, *cuts, steps]
        total = sum(scores[i, ends[i] : ends[i + 1]].sum() for i in range(length))
        best = max(best, (total, list(np.diff(ends))))
    return best


def test_alignment_is_the_best_there_is():
    rng = np.random.default_rng(1)
    sizes = [(1, 5), (4, 4), (3, 9), (5, 8), (2, 2), (6, 9)]
    tables = [rng.normal(size=size).astype(np.float32) for size in sizes]
    padded = torch.full((len(sizes), 6, 9), 50.0)  # what is beyond an item must not count
    for i, table in enumerate(tables):
        padded[i, : table.shape[0], : table.shape[1]] = torch.from_numpy(table)
    symbols, frames = (torch.tensor(x) for x in zip(*sizes, strict=True))
    found = best_alignment(padded, symbols, frames)
    for i, table in enumerate(tables):
        assert found[i, : len(table)].tolist() == brute_force(table)[1]
        assert not found[i, len(table) :].any()
    with pytest.raises(ValueError):
        best_alignment(padded[:1], torch.tensor([6]), torch.tensor([5]))


def test_clips_are_aligned():
    rng = np.random.default_rng(2)
    sound = rng.normal(size=(8, 80)).astype(np.float32) * 3
    clips, truth = [], []
    for _ in range(24):
        ids = rng.permutation(8)[:5]
        counts = rng.integers(2, 9, 5)
        bands = np.repeat(sound[ids], counts, 0) + rng.normal(size=(counts.sum(), 80)).astype(np.float32)
        clips.append(Clip(torch.from_numpy(ids), torch.from_numpy(bands)))
        truth.append(counts)
    found = align_clips(clips, 8, 0.1)
    off = np.concatenate([np.abs(np.cumsum(a.numpy()) - np.cumsum(b)) for a, b in zip(found, truth, strict=True)])
    assert np.mean(off <= 1) > 0.9


def test_symbols_are_spread_over_time():
    seconds = torch.tensor([[0.03, 0.005, 0.085, 0.0]])
    shares, where = spread(seconds, 8)
    torch.testing.assert_close(shares.sum(2)[0, :6], torch.ones(6))
    torch.testing.assert_close(shares.sum(1)[0] * 0.02, seconds[0])
    assert not shares[0, 6:].any()
    assert bool((where[0, 2:6, 0].diff() > 0).all())


def item(rng: np.random.Generator) -> Spoken:
    ids = torch.from_numpy(rng.integers(0, len(SYMBOLS), rng.integers(4, 9)))
    seconds = torch.from_numpy(rng.uniform(0.05, 0.2, len(ids)).astype(np.float32))
    frames = int(np.ceil(float(seconds.sum()) / 0.08))
    pitch, energy = torch.full((len(ids),), 0.8) + 0.1 * seconds, -3.0 + seconds
    middle = (torch.arange(frames) + 0.5) * 0.08
    which = torch.searchsorted(seconds.cumsum(0), middle).clamp(max=len(ids) - 1)
    latents = torch.zeros(frames, 144)
    latents[torch.arange(frames), ids[which]] = 3.0
    latents[:, 100:] = pitch[which, None]
    return Spoken(ids, seconds, pitch, torch.ones(len(ids)), energy, latents.half(), torch.stack([seconds, pitch]))


def test_training_lowers_the_loss_and_padding_does_not_matter():
    rng = np.random.default_rng(3)
    items = [item(rng) for _ in range(30)]
    torch.manual_seed(0)
    voice = Voice(PRESETS["tiny"])
    fit_statistics(voice, items)
    lines: list[str] = []
    curve = train_voice(voice, items, VoiceTraining(minutes=0.15, frames=60, lr=4e-3, bf16=False), None, lines.append)
    assert np.mean(curve[-20:]) < 0.7 * np.mean(curve[:5])
    assert lines
    assert next(batches(items, 60, 0))[0] is next(batches(items, 60, 0))[0]
    with torch.no_grad():
        both = losses(voice, items[:2])
        alone = [losses(voice, [i]) for i in items[:2]]
    counts = np.array([len(i.latents) for i in items[:2]])
    mean = float(np.dot(counts, [float(a["acoustic"]) for a in alone]) / counts.sum())
    assert float(both["acoustic"]) == pytest.approx(mean, rel=1e-3)


def test_speed_and_pitch_change_what_is_said():
    torch.manual_seed(0)
    voice = Voice(PRESETS["tiny"]).eval()
    ids = torch.tensor([IDS[s] for s in ("_", "G", "UH1", "D", ".", "_")])
    plain, variance = voice.speak(ids)
    fast, hasty = voice.speak(ids, speed=2.0)
    torch.testing.assert_close(hasty.seconds * 2, variance.seconds)
    assert len(fast) <= -(-len(plain) // 2) + 1
    high, raised = voice.speak(ids, pitch=3.0)
    torch.testing.assert_close(raised.pitch - 0.25, variance.pitch)
    assert not torch.equal(high, plain)
    assert isinstance(variance, Variance)


def test_voices_are_kept_in_folders(tmp_path):
    torch.manual_seed(0)
    voice, letters = Voice(PRESETS["tiny"]), LettersToPhones(SMALL)
    save_voice(tmp_path / "v", voice, letters)
    again = load_voice(tmp_path / "v")
    for name, value in again.voice.state_dict().items():
        torch.testing.assert_close(value, voice.state_dict()[name].half().float())
    with pytest.raises(ModelError, match="no voice"):
        load_voice(tmp_path / "none")
    values = json.loads((tmp_path / "v" / "config.json").read_text())
    wrong = [{**values, "format": 2}, {**values, "voice": {**values["voice"], "dim": 64}}, {**values, "voice": None}]
    wrong += [{**values, "voice": {**values["voice"], "dim": 4096, "text_layers": 64}}, []]
    for bad in wrong:
        (tmp_path / "v" / "config.json").write_text(json.dumps(bad))
        with pytest.raises(ModelError):
            load_voice(tmp_path / "v")
    for bad in ({"kernel": 4}, {"dim": 30}, {"dropout": 1.0}, {"symbols": ("a", "a")}, {"text_layers": -1}):
        with pytest.raises(ConfigError):
            VoiceConfig(**bad)

"""Trainings of networks that hear: short ones that must get better, and what their material goes through."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from josiecodec.errors import CodecError
from josiecodec.hearing.alignment import ANY, SILENCE
from josiecodec.hearing.conformer import Conformer, ConformerConfig
from josiecodec.hearing.speaker import SpeakerConfig, SpeakerEncoder
from josiecodec.training.audio.data import Recordings, Segment
from josiecodec.training.hearing.features import Bands, Disturbance, bands_of, disturbed, played
from josiecodec.training.hearing.letters import UNKNOWN, LetterTraining, Utterance, aligned, spread, train_letters
from josiecodec.training.hearing.speaker import (
    SpeakerTraining,
    discriminants,
    equal_error_rate,
    fit_speakers,
    k_means,
    pieces_of,
)

QUIET = dataclasses.replace(Disturbance(), noise=0.0, hiss=0.0, tilt=0.0, limit=0.0, room=0.0)


def shapes(kind: int, frames: int, seed: int) -> torch.Tensor:
    """Bands [T, 80] with a peak that says which kind of sound it is."""
    random = torch.Generator().manual_seed(seed)
    peak = -0.5 * ((torch.arange(80) - 10 - 15 * kind) / 4.0) ** 2
    return peak.clamp_min(-8) + 0.3 * torch.randn(frames, 80, generator=random)


def bands(parts: list[torch.Tensor]) -> Bands:
    edges = np.cumsum([0, *map(len, parts)])
    return Bands(torch.cat(parts).half(), torch.tensor(edges))


def test_bands_of_recordings():
    samples = (torch.arange(32000) % 200 * 100).short()
    segments = [Segment(0, 16000, "a", "", "speech", 8000, "x"), Segment(16000, 100, "a", "", "speech", 8000, "x")]
    found = bands_of(Recordings(samples, segments, {"x": 0}, 16000))
    assert found.edges.tolist() == [0, 100, 101]
    assert torch.equal(found.piece(0, 90, 20)[10:], found.piece(0, 0, 10))  # begins again


def test_tapes_are_shorter_and_higher_when_they_are_faster():
    mel = shapes(2, 100, 0)
    fast = played(mel, 1.1, 90)
    assert fast.shape == (90, 80)
    assert fast.mean(0).argmax() > mel.mean(0).argmax()
    assert torch.equal(played(mel, 1.0, 50), mel[:50])


def test_nothing_is_done_to_a_sound_but_its_level():
    mel = shapes(1, 50, 0)[None]
    out = disturbed(mel, mel, QUIET, torch.Generator().manual_seed(0))
    assert (out - mel).std() < 0.06  # the floor that is added
    noisy = disturbed(mel, mel.flip(2), dataclasses.replace(QUIET, noise=1.0), torch.Generator().manual_seed(0))
    assert (noisy - mel).std() > 0.1


def test_voices_that_were_not_learned_from_are_told_apart():
    def voice(number: int, seed: int) -> torch.Tensor:
        sounds = torch.randint(4, (8,), generator=torch.Generator().manual_seed(seed)).tolist()
        random = torch.Generator().manual_seed(1000 + number)
        own = 0.4 * torch.nn.functional.interpolate(torch.randn(1, 1, 12, generator=random), 80, mode="linear")[0]
        return torch.cat([shapes(sound, 8, seed) for sound in sounds]) + own

    material = bands([voice(number, 10 * number + n) for number in range(30) for n in range(3)])
    labels = [number for number in range(30) for _ in range(3)]
    config = SpeakerTraining(frames=32, speeds=(1.0,), ridge=1.0)
    encoder, said = SpeakerEncoder(SpeakerConfig(cepstra=12, centres=4, size=16)), []
    fit_speakers(encoder, pieces_of([(material, labels)], config), config, report=said.append)
    with torch.no_grad():
        new = torch.stack([voice(number, 5000 + 10 * number + n).t() for number in range(40, 60) for n in range(3)])
        found = encoder(new)
    number = torch.arange(20).repeat_interleave(3)
    scores, same = found @ found.t(), number[:, None] == number
    off = ~torch.eye(60, dtype=torch.bool)
    assert equal_error_rate(scores[same & off], scores[~same]) < 0.1
    assert "180 pieces of 30 voices" in said[0]


def test_tapes_make_other_voices():
    config = SpeakerTraining(frames=20, most=2, speeds=(1.0, 0.9, 1.1))
    pieces = pieces_of([(bands([shapes(0, 70, 0), shapes(1, 25, 1)]), [0, 1])], config)
    assert pieces.voices.tolist() == [0, 1, 2, 0, 1, 2, 3, 4, 5]
    assert pieces.mel.shape == (9, 80, 20)


def test_what_makes_no_speaker_encoder():
    config = SpeakerTraining(frames=20)
    with pytest.raises(CodecError, match="two voices or more"):
        pieces_of([(bands([shapes(0, 30, 0), shapes(0, 10, 0)]), [0, 1])], config)
    with pytest.raises(CodecError, match="two pieces"):
        discriminants(torch.randn(3, 4), torch.arange(3), 2, config)
    with pytest.raises(CodecError, match="too few"):
        k_means(torch.randn(3, 2), 4, 1, torch.Generator())


def test_errors_are_equal_where_they_are_counted_one_by_one():
    random = torch.Generator().manual_seed(0)
    same, other = torch.randn(40, generator=random) + 1, torch.randn(70, generator=random)
    gaps = []
    for threshold in torch.cat([same, other]):
        missed, taken = float((same <= threshold).float().mean()), float((other > threshold).float().mean())
        gaps.append((abs(missed - taken), (missed + taken) / 2))
    assert equal_error_rate(same, other) == pytest.approx(min(gaps)[1])
    assert equal_error_rate(torch.ones(3), torch.zeros(5)) == 0
    assert equal_error_rate(torch.zeros(3), torch.ones(5)) == 1


def test_letters_are_spread_over_their_words():
    labels = spread([[1, 2], [ANY]], [(1.0, 5.0), (7.0, 9.0)], 10)
    assert labels.tolist() == [0, 1, 1, 2, 2, 0, 0, UNKNOWN, UNKNOWN, 0]


def test_alignments_keep_to_the_times_of_words():
    frames = np.log(np.full((20, 3), 1 / 3))
    item = Utterance(bands([shapes(0, 40, 0)]), 0, 0, [[1, 2]], [(8.0, 14.0)], torch.zeros(20))
    found = aligned(frames, item, slack=1)
    assert (found[:7] == SILENCE).all()
    assert (found[15:] == SILENCE).all()
    assert (found[9:13] != SILENCE).all()
    assert aligned(frames[:1], item, slack=1) is None


def test_letters_are_heard_after_a_short_training():
    config = ConformerConfig(letters=" abc", languages=("xx",), dim=16, layers=1, heads=2, rank=8, kernel=3, delay=1)
    random, items = np.random.default_rng(0), []
    for n in range(12):
        said = random.integers(1, 4, 4).tolist()
        parts = [shapes(0, 10, n)] + [shapes(letter, 12, 100 * n + k) for k, letter in enumerate(said)]
        words, times = [said[:2], said[2:]], [(5.0, 17.0), (17.0, 29.0)]
        known = n % 2 == 0
        labels = spread(words, times, 29) if known else torch.full((29,), UNKNOWN)
        items.append(Utterance(bands([torch.cat(parts)]), 0, 0, words, times if known else None, labels))
    settings = LetterTraining(minutes=0.1, seconds=3, lr=5e-3, warmup=5, align=(0.6,), bf16=False, disturbance=QUIET)
    torch.manual_seed(0)
    network, said_of_it = Conformer(config), []
    train_letters(network, items, (items[0].bands, [0]), settings, report=said_of_it.append)
    first, last = (float(line.split("frames ")[1].split()[0]) for line in (said_of_it[0], said_of_it[-1]))
    assert last < 0.5 * first
    assert all(not (item.labels == UNKNOWN).any() for item in items)

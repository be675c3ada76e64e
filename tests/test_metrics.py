"""Metrics: known values, and what cannot be scored."""

from __future__ import annotations

import math

import pytest
import torch
from conftest import RATE, speechlike, tiny_model

from josiecodec.metrics.audio import mel_distance, pesq, score, si_sdr, stoi
from josiecodec.metrics.report import means, score_segment


@pytest.fixture(scope="module")
def speech():
    return speechlike(40)[0, 0]


def test_a_perfect_copy(speech):
    found = score(speech, speech, RATE)
    assert found["pesq_wb"] == pytest.approx(4.64, abs=0.02)
    assert found["stoi"] == pytest.approx(1, abs=1e-3)
    assert found["si_sdr"] > 100
    assert found["mel"] == 0


def test_more_noise_is_worse(speech):
    found = [score(speech + n * torch.randn_like(speech), speech, RATE) for n in (0.003, 0.03, 0.3)]
    for name, down in (("pesq_wb", True), ("stoi", True), ("si_sdr", True), ("mel", False)):
        values = [f[name] for f in found]
        assert values == sorted(values, reverse=down), name


def test_si_sdr_is_what_its_definition_says():
    x = torch.tensor([1.0, -1, 1, -1])
    y = x + torch.tensor([0.1, 0.1, -0.1, -0.1])
    assert si_sdr(y, x) == pytest.approx(20, abs=1e-3)
    assert si_sdr(3 * y, x) == pytest.approx(20, abs=1e-3)


def test_silence_cannot_be_scored(speech):
    silence = torch.zeros(RATE)
    assert math.isnan(pesq(silence, silence, RATE))
    assert math.isnan(stoi(silence, silence, RATE))
    assert math.isnan(si_sdr(silence, silence))
    assert math.isnan(stoi(speech[:100], speech[:100], RATE))
    assert mel_distance(silence, silence, RATE) == 0


def test_means_keep_count_of_what_was_left_out():
    model = tiny_model()
    rows = []
    for wave in (speechlike(20)[0, 0], torch.zeros(20000)):
        rows += score_segment(model, wave, (1, 4), kind="speech")
    lines = means(rows, model.codebook_size)
    assert [line["n_q"] for line in lines[:2]] == [1, 4]
    assert lines[0]["clips"] == 2
    assert lines[0]["unscored"] >= 3
    assert not math.isnan(lines[0]["pesq_wb"])
    assert [line["level"] for line in lines[2:]] == [0, 1, 2, 3]

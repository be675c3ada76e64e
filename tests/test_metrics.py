"""Metrics: known values, and what cannot be scored."""

from __future__ import annotations

import math

import pytest
import torch
from kit.audio import RATE, speechlike

from josiecodec.metrics.audio import mel_distance, pesq, score, si_sdr, stoi


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

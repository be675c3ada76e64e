"""Decoding from the middle: what a decoder counts from the beginning on, and what it does until it knows that."""

from __future__ import annotations

import math

import pytest
import torch
from kit.audio import RATE, tiny_model, tiny_waveform

from josiecodec.audio import resume
from josiecodec.audio.resume import WARM_UP, ResumedStream
from josiecodec.hub.store import load
from josiecodec.nn.streaming import State

FIRST, FRAMES = 19, WARM_UP + 22


@pytest.fixture(scope="module")
def voice():
    """A model, and the codes of a gliding voice with 30 levels."""
    model = load("jodio-24k-v3")
    time = torch.arange((FIRST + FRAMES) * 1920) / RATE
    pitch = 120 + 25 * torch.sin(2 * math.pi * 0.6 * time) + 10 * torch.sin(2 * math.pi * 1.7 * time)
    phase = 2 * math.pi * torch.cumsum(pitch.double(), 0) / RATE
    x = sum(torch.sin(k * phase + k) / k for k in range(1, 14)).float() * 0.05
    x = x * (1 + 0.6 * torch.sin(2 * math.pi * 2.3 * time)) + 0.0005 * torch.randn(
        len(time), generator=torch.Generator().manual_seed(0)
    )
    return model, model.encode(x, 30)


def error(y, reference):
    """Share of the energy that differs, in dB."""
    return 10 * math.log10(float((y - reference).square().sum() / reference.square().sum()))


def test_layers_are_valid_again_behind_a_gap(voice, monkeypatch):
    monkeypatch.setattr(resume, "GRID", 32)
    monkeypatch.setattr(resume, "FINER", (8, 8))
    model, codes = voice
    whole = model.decode(codes)[..., FIRST * 1920 :]
    begun = (WARM_UP + 4) * 1920
    assert error(model.decode(codes[..., FIRST:])[..., begun:], whole[..., begun:]) > -8, "as if it were the beginning"
    stream = ResumedStream(model, FIRST)
    parts = [
        stream.decode(codes[..., FIRST : FIRST + WARM_UP + 2]),
        stream.decode(codes[..., FIRST + WARM_UP + 2 :]),
        stream.finish(),
    ]
    y = torch.cat(parts, -1)
    assert stream.found
    assert y.shape == whole.shape
    assert error(y[..., begun:], whole[..., begun:]) < -15
    assert error(y, whole) < 0


def test_without_a_phase_the_base_is_used(voice, monkeypatch):
    monkeypatch.setattr(resume, "NEEDED", FRAMES)
    model, codes = voice
    stream, base = ResumedStream(model, FIRST), ResumedStream(model, FIRST)
    y = torch.cat([stream.decode(codes[..., FIRST:]), stream.finish()], -1)
    expected = base.decode(codes[:, : model.base_levels, FIRST:])
    assert not stream.found
    assert y.shape == expected.shape
    spectrum, difference = (torch.fft.rfft(s)[0, 0].abs() for s in (expected, y - expected))
    low = round(1000 * y.shape[-1] / RATE)
    assert difference[:low].square().sum() < 1e-4 * spectrum[:low].square().sum(), "envelopes alone are added"


def test_the_place_in_the_noise_follows_from_the_frame():
    model = tiny_model(waveform=tiny_waveform())
    codes = torch.randint(0, 64, (1, model.base_levels, 60), generator=torch.Generator().manual_seed(0))
    source = model.decoder.source
    stream = ResumedStream(model, 45)
    state = State()
    model.decode_frames(codes[..., :45], state)
    assert torch.equal(stream.state[source][1], state[source][1])

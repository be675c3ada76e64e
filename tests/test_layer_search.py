"""Levels after the base at a bitrate: one search for all trials, frames that are alike or silent, and what is full."""

from __future__ import annotations

import io
from functools import partial

import numpy as np
import pytest
import soundfile
import torch
from kit.audio import BASE, RATE, coded_model, speechlike

from josiecodec.bitstream.bitpacking import code_bits
from josiecodec.coding import layer_search
from josiecodec.coding.audio import encode_file
from josiecodec.coding.layer_rate import LayerAnalysis, counts, fit_layers, thresholds
from josiecodec.coding.layer_search import LayerSearch
from josiecodec.hub.store import load
from josiecodec.quantization.shaped_rvq import ShapedResidualQuantizer
from josiecodec.settings import EncoderSettings, Rate


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return coded_model(tmp_path_factory.mktemp("layered"))


def test_one_search_gives_the_codes_of_any_count():
    torch.manual_seed(0)
    quantizer = ShapedResidualQuantizer(24, 6, 64)
    x, shapes = torch.randn(150, 24), torch.rand(6, 150, 24)
    most = torch.randint(0, 7, (150,))
    for beams in (1, 3):
        paths = quantizer.paths(x, shapes, beams, None, most)
        for n in range(1, 7):
            rows = most >= n
            found = quantizer.encode(x, shapes, beams, None, torch.full((150,), n))
            assert torch.equal(paths[rows, n - 1], found[rows])
            assert not paths[~rows, n - 1].any()


@pytest.mark.parametrize("kept", [0, 1000])
def test_a_search_is_what_encoding_with_thresholds_gives(model, kept, monkeypatch):
    monkeypatch.setattr(layer_search, "KEPT_FRAMES", kept)
    x = speechlike(60, seed=2)
    calls = []

    def pieces():
        calls.append(1)
        return model.layer_inputs(x.split(25 * 1920, -1))

    search = LayerSearch(model, pieces, model.settings.beams)
    raw = LayerAnalysis(
        *(model.analyse_frames(model.prepared(x)).__dict__[k][0].numpy() for k in ("codes", "waveform", "envelope")), 2
    )
    search.analysis = raw = LayerAnalysis(raw.base.T, raw.waveform, raw.envelope, 2)
    few = counts(raw, 1.5)
    for levels in (1.5, 3.0, 4.2):
        water, envelope = thresholds(raw, levels)
        settings = EncoderSettings(beams=model.settings.beams, water_level=water, envelope_threshold=envelope)
        expected = model.encode(x, model.n_q, settings)[0].t().numpy()
        assert np.array_equal(search.codes(*counts(raw, levels), few), expected)
    assert len(calls) == (1 if kept else 4), "the vectors are kept, or the audio is read again"


def test_frames_that_are_alike_can_differ_in_levels():
    alike = np.zeros((1, 300)) - np.arange(23)[:, None] * 0.4
    analysis = LayerAnalysis(np.zeros((300, 9), int), alike, alike[:6], 4)
    for levels in (3.3, 8.5, 20.0):
        assert sum(n.mean() for n in counts(analysis.evened(), levels)) == pytest.approx(levels, abs=0.35)
    assert abs(sum(n.mean() for n in counts(analysis, 8.5)) - 8.5) > 0.35, "else they jump all together"


def test_frames_without_sound_have_no_levels(model):
    x = speechlike(40, seed=3)
    x[..., 20 * 1920 :] *= 1e-6
    codes = model.encode(x, model.n_q)[0, BASE:]
    assert codes[:, :20].any(0).sum() > 15
    assert codes[:, 20].any(), "its windows reach into the frame before"
    assert not codes[:, 21:].any()
    stream = model.streaming(n_q=model.n_q)
    parts = [stream.encode(part) for part in x.split(1777, -1)] + [stream.flush()]
    assert torch.equal(torch.cat(parts, -1)[0, BASE:], codes)


def test_levels_are_those_of_frames_with_sound():
    random = np.random.default_rng(0)
    waveform = random.normal(size=(1, 400)) * 3 - 0.4 * np.arange(23)[:, None]
    envelope = random.normal(size=(1, 400)) * 3 - np.arange(6)[:, None]
    silent = np.where(np.arange(400) < 100, -np.inf, 0.0)
    whole = LayerAnalysis(np.zeros((400, 9), int), waveform + silent, envelope + silent, 4)
    assert whole.levels == pytest.approx(29 * 0.75)
    for levels in (3.0, 9.0, whole.levels):
        found = counts(whole, levels)
        assert not found[0][:100].any()
        assert not found[1][:100].any()
        assert sum(n.mean() for n in found) == pytest.approx(levels, abs=0.1)


@pytest.mark.parametrize("kbps", [0.5, 2.0, 50.0])
def test_silence_is_its_base_alone(model, tmp_path, kbps):
    soundfile.write(tmp_path / "x.wav", np.zeros(60 * 1920), RATE)
    out = io.BytesIO()
    done = encode_file(model, tmp_path / "x.wav", out, rate=Rate(kbps=kbps))
    base = model.compress(torch.zeros(1, 60 * 1920), BASE)
    assert done.size <= len(base)
    assert not done.full, "no more bits would be of use, so that nothing is missed"


def test_full_is_said_of_files_that_have_everything(model, tmp_path):
    soundfile.write(tmp_path / "x.wav", speechlike(60, seed=1)[0, 0].numpy(), RATE)
    done = [encode_file(model, tmp_path / "x.wav", io.BytesIO(), rate=Rate(kbps=kbps)) for kbps in (0.55, 50)]
    assert [d.full for d in done] == [False, True]
    assert done[0].n_q <= BASE < done[1].n_q == model.n_q


def test_an_envelope_of_hardly_any_levels_is_left_out(model):
    x = speechlike(100, seed=8)
    base = len(model.compress(x, BASE))
    search = LayerSearch(model, partial(model.layer_inputs, [x]), model.settings.beams)
    assert search.analysis.fewest == pytest.approx(0.5)
    asked: list[float] = []

    def codes(waveform, envelope, room):
        asked.append(float((waveform + envelope).mean()))
        return search.codes(waveform, envelope, room)

    def write(codes):
        return bytes(base + round(asked[-1] * 100 * code_bits(model.codebook_size) / 8)), 8.0

    for more, fits in ((5, False), (20, False), (120, True), (200, True)):
        sizes = model.codebook_size, model.frame_rate, model.tables
        fitted = fit_layers(codes, write, search.analysis, 8 * (base + more) / 8000, *sizes)
        assert (fitted is not None) == fits
        assert not fitted or len(fitted.data) <= base + more
    assert min(asked) > 0.9 * search.analysis.fewest


def test_noise_that_breaks_off_is_not_boosted():
    """Codes of a frame that is silent but for its first samples say so, rather than making these louder."""
    model = load("jodio-24k-v3")
    for rest in (20, 685):
        samples = 12 * 1920 + rest
        x = torch.rand(1, 1, samples, generator=torch.Generator().manual_seed(1)) * 2 - 1
        y = model.decode(model.encode(x, 11), samples)
        assert float(y[..., -2400:].abs().max()) < 2.0  # 5.3 and 4.7 otherwise

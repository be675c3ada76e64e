"""Training of a waveform layer on a few made recordings."""

from __future__ import annotations

import dataclasses

import pytest
import soundfile
import torch
from kit.audio import RATE, speechlike, tiny_model, tiny_waveform
from kit.processes import run

from josiecodec.audio.low_band_filter import LowBandFilterConfig
from josiecodec.audio.waveform_layer import WaveformLayerConfig
from josiecodec.errors import ConfigError, ModelError
from josiecodec.hub.store import load, save
from josiecodec.training.audio.data import load_recordings
from josiecodec.training.audio.low_band_filter import FilterTraining, band_codes, train_filter
from josiecodec.training.audio.waveform_layer import (
    LayerTraining,
    LowBands,
    LowBandSampler,
    add_waveform_layer,
    judge,
    learn_codebooks,
    low_bands,
    train_covariances,
)

QUICK = LayerTraining(batch=4, frames=8, lr=5e-3, warmup=5, memory=5.0)
MINUTES = 2 / 60


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("recordings")
    for n in range(3):
        soundfile.write(root / f"{n}.wav", speechlike(40 if n else 3, seed=n)[0, 0].numpy(), RATE)
    return root


@pytest.fixture(scope="module")
def model():
    return tiny_model(waveform=tiny_waveform())


@pytest.fixture(scope="module")
def bands(model, folder):
    return low_bands(model, load_recordings(folder), QUICK.frames, report=lambda _: None)


def test_low_bands_are_those_of_use(model, bands, folder):
    assert [len(x) for x in bands.original] == [40 * 384] * 2, "what is too short is left out"
    x = load_recordings(folder).waveform(load_recordings(folder).segments[1])[None, None]
    base = model.decode(model.encode(x, model.base_levels))
    assert torch.equal(bands.original[0], model.waveform_layer.decimate(x)[0].half())
    assert torch.equal(bands.base[0], model.waveform_layer.decimate(base)[0].half())
    with pytest.raises(ModelError, match="no recording"):
        low_bands(model, load_recordings(folder), 100)
    with pytest.raises(ModelError, match="no waveform layer"):
        low_bands(tiny_model(), load_recordings(folder), 8)


def test_crops_keep_original_and_base_together(model, bands):
    sampler = LowBandSampler(LowBands([x.clone() for x in bands.original], bands.original), model.waveform_layer, QUICK)
    x, y = sampler.batch()
    assert x.shape == (4, 8 * 384)
    assert torch.equal(x, y)
    silent = LowBandSampler(LowBands([torch.zeros(9000)], [torch.zeros(9000)]), model.waveform_layer, QUICK)
    assert not silent.batch()[0].any()


@pytest.mark.parametrize("variances", [0.0, 0.5, 1.0])
def test_covariances_are_learned(model, bands, variances):
    model = tiny_model(waveform=tiny_waveform())
    before = {k: v.clone() for k, v in model.state_dict().items() if "covariance" not in k}
    first = judge(model.waveform_layer, bands)
    said = []
    steady = dataclasses.replace(QUICK, variances=variances)
    assert train_covariances(model, bands, 2 * MINUTES, steady, report=said.append) < first - 0.02
    assert "held out" in said[-1]
    assert all(torch.equal(v, model.state_dict()[k]) for k, v in before.items())


def test_codebooks_are_learned(model, bands):
    with pytest.raises(ModelError, match="random"):
        learn_codebooks(model, bands, MINUTES, QUICK)
    config = dataclasses.replace(tiny_waveform(), codebooks="learned", books=3)
    model = tiny_model(waveform=config).requires_grad_(False)
    layer, x = model.waveform_layer, speechlike(100, 4, seed=1)
    low = layer.decimate(x)
    low_base = 0.8 * low + 0.2 * layer.decimate(speechlike(100, 4, seed=2))

    def left():
        transform = layer.transform(low_base)
        plan = layer.plan(transform, 3)
        vectors, shapes = transform.forward(layer.mdct(low)), plan.shapes()
        codes = layer.quantizer.encode(vectors, shapes, 1, plan.weights)
        rest = vectors - layer.quantizer.decode(codes, shapes)
        return float((rest.square().sum(1) / vectors.square().sum(1)).mean())

    steady = dataclasses.replace(QUICK, frames=20, memory=30.0, prior=0.5)
    before = left()
    learn_codebooks(model, LowBands(list(low), list(low_base)), MINUTES, steady, report=lambda _: None)
    assert left() < 0.95 * before
    assert not layer.quantizer.codes[:, 0].any()


def test_a_filter_is_learned(bands):
    small = LowBandFilterConfig(width=32, blocks=1, expansion=1)
    model = tiny_model(waveform=dataclasses.replace(tiny_waveform(), filter=small))
    layer = model.waveform_layer
    before = {k: v.clone() for k, v in model.state_dict().items() if "layer.filter" not in k}
    low = layer.decimate(speechlike(100, 4, seed=1))
    bands = LowBands(list(low), list(0.5 * low + 0.1 * layer.decimate(speechlike(100, 4, seed=2))))
    codes = band_codes(layer, bands)
    assert [c.shape for c in codes] == [(3, 100)] * 4
    assert torch.equal(codes[0].long(), layer.encode_low(low[:1], bands.base[0][None], 3, 2)[0])
    quick = FilterTraining(batch=4, frames=8, warmup=5, pesq=0.0, average=10)
    first = train_filter(model, bands, codes, 0.2 / 60, dataclasses.replace(quick, lr=0.0), report=lambda _: None)
    assert train_filter(model, bands, codes, 6 / 60, quick, report=lambda _: None) < 0.9 * first
    assert all(torch.equal(v, model.state_dict()[k]) for k, v in before.items())
    with pytest.raises(ModelError, match="no filter"):
        train_filter(tiny_model(), bands, codes, MINUTES)
    with pytest.raises(ModelError, match="no recording"):
        train_filter(model, bands, codes, MINUTES, dataclasses.replace(quick, frames=100))


@pytest.mark.parametrize("levels", [3, 5, 6])
def test_a_layer_is_put_on_the_first_levels(levels):
    plain = tiny_model()
    made = add_waveform_layer(plain, tiny_waveform(), levels).eval()
    assert (made.base_levels, made.n_q) == (levels, levels + 3)
    x = speechlike(6)
    codes = made.encode(x, levels)
    assert torch.equal(codes, plain.encode(x, levels))
    assert torch.equal(made.decode(codes), plain.decode(codes))
    made.decode(made.encode(x, levels + 3))


def test_a_layer_has_to_fit():
    with pytest.raises(ModelError, match="levels"):
        add_waveform_layer(tiny_model(), tiny_waveform(), 7)
    with pytest.raises(ConfigError, match="waveform"):
        add_waveform_layer(tiny_model(), WaveformLayerConfig(hops=7), 4)


def test_command(folder, tmp_path):
    save(tiny_model(), tmp_path / "m", torch.float32)
    settings = ("levels=2", "cutoff=200.0", "taper=50.0", "segment=4", "width=32", "blocks=1")
    changes = [word for line in settings for word in ("--set", line)]
    common = ("train", "waveform", tmp_path / "m", tmp_path / "out", "--data", folder, "--minutes", 0.01)
    said = run(*common, "--base-levels", 4, *changes)
    assert "held out" in said
    model = load(tmp_path / "out")
    assert (model.base_levels, model.n_q) == (4, 6)
    x = speechlike(4)
    assert model.decode(model.encode(x, 6)).shape == x.shape
    again = ("train", "waveform", tmp_path / "out", tmp_path / "out2", "--data", folder, "--minutes", 0.01)
    run(*again)
    assert load(tmp_path / "out2").config == model.config
    assert "already" in run(*again, "--set", "levels=3", code=2)
    said = run(*again[:3], tmp_path / "out3", *again[4:], "--envelope-minutes", 0.01)
    assert "envelope loss" in said
    enveloped = load(tmp_path / "out3")
    assert (enveloped.base_levels, enveloped.n_q) == (4, 8)
    assert enveloped.config.waveform.by_frame
    assert torch.equal(enveloped.encode(x, 4), load(tmp_path / "out2").encode(x, 4))
    assert enveloped.decode(enveloped.encode(x, 8)).shape == x.shape

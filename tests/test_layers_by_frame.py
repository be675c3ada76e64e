"""Levels after the base in frames that deserve them: the envelope layer, counts by frame, and files of a bitrate."""

from __future__ import annotations

import dataclasses
import io

import numpy as np
import pytest
import soundfile
import torch
from kit.audio import (
    BASE,
    POSITIONS,
    RATE,
    coded_model,
    layered_model,
    speechlike,
    tiny_config,
    tiny_model,
    tiny_waveform,
)

from josiecodec.audio.envelope_layer import EnvelopeLayer, EnvelopeLayerConfig
from josiecodec.bitstream.josie_file import TokenFile
from josiecodec.coding.audio import decode_file, encode_file
from josiecodec.coding.jodio import Jodio
from josiecodec.coding.layer_rate import LayerAnalysis, thresholds
from josiecodec.config import from_dict, to_dict
from josiecodec.entropy.code_tables import frame_bits
from josiecodec.errors import CodecError, ConfigError
from josiecodec.media.audio_reader import load_audio
from josiecodec.nn.streaming import State
from josiecodec.quantization.shaped_rvq import ShapedResidualQuantizer
from josiecodec.settings import EncoderSettings, Rate
from josiecodec.training.audio.data import load_recordings
from josiecodec.training.audio.envelope_layer import (
    Envelopes,
    EnvelopeTraining,
    add_envelope_layer,
    fit_axes,
    train_envelope,
)

WAVEFORM, ENVELOPE = 3, 2
ALL = BASE + WAVEFORM + ENVELOPE


@pytest.fixture(scope="module")
def model() -> Jodio:
    return layered_model()


@pytest.fixture(scope="module")
def coded(model, tmp_path_factory) -> Jodio:
    """The same with tables, as a file."""
    return coded_model(tmp_path_factory.mktemp("layered"))


def by_frame(water: float, envelope: float) -> EncoderSettings:
    return EncoderSettings(n_q=ALL, beams=3, water_level=water, envelope_threshold=envelope)


def some_settings(model: Jodio, x) -> EncoderSettings:
    """Settings that give some frames few levels, and others many."""
    found = model.analyse_frames(x[:1, :, : x.shape[-1] // 1920 * 1920])
    return by_frame(float(found.waveform[0, -1].quantile(0.6)), float(found.envelope.median()))


# Search --------------------------------------------------------------------------------------------


def test_counts_end_the_search_of_a_vector():
    torch.manual_seed(0)
    quantizer = ShapedResidualQuantizer(24, 6, 64)
    x, shapes = torch.randn(150, 24), torch.rand(6, 150, 24)
    counts = torch.randint(0, 7, (150,))
    for beams in (1, 3):
        found = quantizer.encode(x, shapes, beams, None, counts)
        assert not found[torch.arange(6) >= counts[:, None]].any()
        for n in range(1, 7):
            rows = counts == n
            # The best of the hypotheses at that level, as if no more had been asked for.
            assert torch.equal(found[rows, :n], quantizer.encode(x[rows], shapes[:n, rows], beams))


# Envelope ------------------------------------------------------------------------------------------


def test_envelope_codes_bring_bands_nearer_in_time():
    """Bursts that the base draws too long are cut to where they were."""
    torch.manual_seed(0)
    layer = EnvelopeLayer(EnvelopeLayerConfig(positions=(0, 1, 2, 3), width=32), RATE, 1920, 2048).eval()
    time = torch.arange(100 * 1920)
    length = 480 + 240 * torch.randint(0, 6, (100,)).repeat_interleave(1920)
    noise = torch.randn(1, 1, len(time)) * 0.05
    x, base = noise * ((time % 1920 < length) + 0.02), noise
    fit_axes(layer, Envelopes([layer.log_energies(x)[0]], [layer.log_energies(base)[0]]))
    codes = layer.encode(x, base, 4, 4)
    state = State()
    y = torch.cat([layer.decode(codes, base, state), layer.finish(state)], -1)[..., layer.late :]
    assert y.shape == x.shape

    def distance(z):
        return float((layer.log_energies(z) - layer.log_energies(x))[0, :, 8:].abs().mean())

    assert distance(y) < 0.4 * distance(base)
    spectrum = torch.fft.rfft(y - base)[0, 0].abs()
    low = spectrum[: round(900 * len(time) / RATE)].square().mean()
    assert low < 1e-3 * spectrum.square().mean(), "what lies below the first band stays as it is"


def test_envelope_configs_are_checked():
    for bad in (
        {"positions": ()},
        {"positions": (1, 1)},
        {"positions": (-1,)},
        {"coded": (2000.0, 1000.0)},
        {"hop": 12},
        {"efficiency": 0.0},
        {"width": 20},
    ):
        with pytest.raises(ConfigError):
            EnvelopeLayerConfig(**bad)
    with pytest.raises(ConfigError, match="with a waveform layer"):
        tiny_config(envelope=EnvelopeLayerConfig())
    with pytest.raises(ConfigError, match="positions"):
        tiny_config(waveform=tiny_waveform(), envelope=EnvelopeLayerConfig(positions=(0, 5)))
    with pytest.raises(ConfigError, match="narrower"):
        EnvelopeLayer(EnvelopeLayerConfig(heard=(0.0, 20.0, 40.0)), RATE, 1920, 64)
    config = tiny_config(waveform=tiny_waveform(), envelope=EnvelopeLayerConfig(positions=POSITIONS))
    assert config.n_q == ALL
    assert from_dict(type(config), to_dict(config)) == config


# Codec ---------------------------------------------------------------------------------------------


def test_rows_of_both_layers(model):
    assert (model.n_q, model.base_levels) == (ALL, BASE)
    assert model.layer_rows(ALL) == ([0, 2], [1, 3, 4])
    assert model.layer_rows(BASE + 2) == ([0], [1])
    assert model.layer_rows(BASE) == ([], [])
    assert model.streams["layers"] == slice(BASE, ALL)


@pytest.mark.parametrize("n_q", range(BASE, ALL + 1))
def test_any_number_of_levels(model, n_q):
    x = speechlike(9.3)
    codes = model.encode(x, n_q)
    assert codes.shape == (1, n_q, 10)
    y = model.decode(codes)
    assert y.shape == (1, 1, 19200)
    assert torch.isfinite(y).all()


def test_frames_have_the_levels_that_they_deserve(model):
    x = speechlike(40, seed=3)
    settings = some_settings(model, x)
    codes = model.encode(x, ALL, settings)
    waveform = codes[0, [BASE + k for k in model.layer_rows(ALL)[1]]]
    counts = model.waveform_layer.level_counts(waveform[None])[0]
    assert set(counts.tolist()) > {0, WAVEFORM}
    assert 1 not in counts.tolist(), "a single level sounds worse than none"
    loud = model.analyse_frames(x).waveform[0].amax(0).numpy()
    assert loud[counts.numpy() == WAVEFORM].mean() > loud[counts.numpy() == 0].mean()
    assert torch.equal(codes[:, :BASE], model.encode(x, BASE))


def test_zeros_at_the_end_are_levels_that_are_not_there(model):
    """Frames of a file by frame decode as those of a file whose frames all have so few levels."""
    x = speechlike(12, seed=1)
    codes = model.encode(x, ALL)
    cut = codes.clone()
    rows = [BASE + k for k in model.layer_rows(ALL)[1]]
    cut[:, rows[-1]] = 0
    fewer = model.decode(codes[:, : rows[-1]])
    assert rows[-1] == ALL - 1
    assert torch.equal(model.decode(cut), fewer)
    assert not torch.equal(model.decode(codes), fewer)
    none = codes.clone()
    none[:, rows] = 0
    few = none.clone()
    few[:, rows[0]] = codes[:, rows[0]]
    assert torch.equal(model.decode(few), model.decode(none)), "too few levels are none"


@pytest.mark.parametrize("seed", range(2))
def test_streams_are_exact(model, seed, monkeypatch):
    monkeypatch.setattr("josiecodec.audio.network.CHUNK_FRAMES", 7)
    random = np.random.default_rng(seed)
    x = speechlike(16.4, 2, seed=seed)
    settings = some_settings(model, x)
    codes = model.encode(x, ALL, settings)
    whole = model.decode(codes)
    stream = model.streaming(2, ALL, settings)
    found, at = [], 0
    while at < x.shape[-1]:
        size = int(random.integers(0, 6000))
        found.append(stream.encode(x[..., at : at + size]))
        at += size
    found.append(stream.flush())
    assert torch.equal(torch.cat(found, -1), codes)
    pieces, at = [], 0
    while at < codes.shape[-1]:
        size = int(random.integers(0, 4))
        pieces.append(stream.decode(codes[..., at : at + size]))
        at += size
    pieces.append(stream.finish())
    assert torch.equal(torch.cat(pieces, -1), whole)
    for i in range(2):
        assert torch.equal(model.decode(codes[i : i + 1]), whole[i : i + 1])


def test_a_stream_goes_on_without_layers(model):
    x = speechlike(8)
    codes = model.encode(x, ALL)
    stream = model.streaming(n_q=ALL)
    parts = [stream.decode(codes[..., :4]), stream.decode(codes[:, :BASE, 4:]), stream.finish()]
    y = torch.cat(parts, -1)
    assert y.shape == (1, 1, 8 * 1920)
    lag = model.waveform_layer.lag
    assert torch.equal(y[..., : (4 - lag) * 1920], model.decode(codes)[..., : (4 - lag) * 1920])


# Files ---------------------------------------------------------------------------------------------


def test_thresholds_follow_from_the_mean():
    random = np.random.default_rng(0)
    levels = np.arange(23)[:, None]
    analysis = LayerAnalysis(
        np.zeros((400, 9), int),
        random.normal(size=(1, 400)) * 3 - 0.4 * levels,
        random.normal(size=(1, 400)) * 3 - np.arange(6)[:, None],
        4,
    )
    last = 0.0
    for mean in (0.5, 2.0, 5.9, 6.1, 12.0, 20.0, 29.0):
        water, envelope = thresholds(analysis, mean)
        counts = (analysis.waveform > water).sum(0)
        waveform = float((counts * (counts >= 4)).mean())
        both = waveform + float((analysis.envelope > envelope).sum(0).mean())
        assert both == pytest.approx(mean, abs=0.1)
        assert waveform >= last
        last = waveform
    assert last == 23


def test_tables_know_zeros_at_the_end(coded):
    x = speechlike(60, seed=5)
    settings = some_settings(coded, x)
    codes = coded.encode(x, ALL, settings)[0].t().numpy()
    bits = frame_bits(codes, coded.tables)[BASE:]
    used = int((codes[:, BASE:] != 0).sum())
    assert 0 < used < 60 * (ALL - BASE)
    assert bits.sum() < 6 * used + 12 * 60, "zeros at the end cost a few bits a frame"


@pytest.mark.parametrize("kbps", [0.8, 0.7, 0.5])
def test_files_keep_to_a_bitrate(coded, tmp_path, kbps):
    x = speechlike(150, seed=7)
    soundfile.write(tmp_path / "x.wav", x[0, 0].numpy(), RATE, "FLOAT")
    data = coded.compress(x, rate=Rate(kbps=kbps))
    assert 0.85 * kbps < 8 * len(data) / 12 / 1000 <= kbps
    out = io.BytesIO()
    told: list[float] = []
    result = encode_file(coded, tmp_path / "x.wav", out, rate=Rate(kbps=kbps), progress=told.append)
    assert out.getvalue() == data
    assert told == sorted(told)
    assert told.count(1.0) == 1, "all is done only at the end"
    assert result.seconds == pytest.approx(12)
    (tmp_path / "x.josie").write_bytes(data)
    decode_file(coded, tmp_path / "x.josie", tmp_path / "y.wav")
    y = coded.decompress(data)
    assert np.abs(load_audio(tmp_path / "y.wav").samples - y.numpy()).max() < 1 / 32000 + (y.abs() > 1).any()


def test_more_bits_are_more_levels(coded):
    x = speechlike(100, seed=8)
    used = []
    for kbps in (0.5, 0.55, 0.6, 0.65, 2.0):
        stream = TokenFile.from_bytes(coded.compress(x, rate=Rate(kbps=kbps)), tables=coded.known_tables).streams[0]
        used.append(int((stream.codes[BASE:] != 0).sum()))
    assert used == sorted(used)
    assert used[0] < used[-1]
    for nothing in (x, x[..., :1], x[..., :0]):
        with pytest.raises(CodecError, match="cannot be met"):
            coded.compress(nothing, rate=Rate(kbps=0.05))


# Training ------------------------------------------------------------------------------------------


def test_an_envelope_layer_is_trained(tmp_path):
    for n in range(3):
        soundfile.write(tmp_path / f"{n}.wav", speechlike(150, seed=n)[0, 0].numpy(), RATE)
    plain = tiny_model(waveform=dataclasses.replace(tiny_waveform(), by_frame=True, min_levels=2))
    model = add_envelope_layer(plain, EnvelopeLayerConfig(positions=(0,), width=32, blocks=1, expansion=1))
    x = speechlike(8)
    assert torch.equal(model.encode(x, BASE), plain.encode(x, BASE))
    lines: list[str] = []
    config = EnvelopeTraining(batch=4, frames=12)
    first = train_envelope(model, load_recordings(tmp_path), 0.0, config, report=lines.append)
    assert model.envelope_layer.log_variance.abs().max() > 0
    last = train_envelope(model, load_recordings(tmp_path), 0.05, config, report=lines.append)
    assert last < first, "likelier than by the axes' variances alone"
    assert not any(p.requires_grad for p in model.envelope_layer.parameters())

"""A waveform layer whose difference is one to what the envelope layer made of the base."""

from __future__ import annotations

import dataclasses
import math

import pytest
import soundfile
import torch
from kit.audio import layered_model, speechlike, tiny_waveform
from torch import Tensor

from josiecodec.audio.bit_plan import BandStep
from josiecodec.audio.low_band_filter import LowBandFilterConfig
from josiecodec.audio.waveform_layer import WaveformLayer
from josiecodec.coding.jodio import Jodio
from josiecodec.config import from_dict, to_dict
from josiecodec.errors import ConfigError
from josiecodec.nn.streaming import State
from josiecodec.runtime.choose import _usual_layers
from josiecodec.training.audio.data import load_recordings
from josiecodec.training.audio.low_band_filter import FilterTraining, band_codes, train_filter
from josiecodec.training.audio.waveform_layer import low_bands

FRAME = 1920
LATE = 240
FILTER = LowBandFilterConfig(width=32, blocks=1, expansion=1)


def made(after: bool, **changes) -> WaveformLayer:
    torch.manual_seed(0)
    config = dataclasses.replace(tiny_waveform(), after_envelope=after, **changes)
    return WaveformLayer(config, 24000, FRAME, 64).eval()


def decoded(layer: WaveformLayer, codes: Tensor, base: Tensor, heard: Tensor, late: int, chunk: int = 50) -> Tensor:
    """Of what was heard in time, given to the layer so many samples late."""
    state, parts, at = State(), [], 0
    for c, b in zip(codes.split(chunk, -1), base.split(chunk * FRAME, -1), strict=True):
        end = at + b.shape[-1]
        parts.append(layer.decode(c, b, state, heard[..., max(0, at - late) : end - late], late))
        at = end
    return torch.cat([*parts, layer.finish(state, heard[..., at - late :])], -1)


@pytest.mark.parametrize("late", [0, LATE])
def test_without_an_envelope_the_order_does_not_matter(late):
    x = speechlike(12)
    base = 0.8 * x + 0.4 * speechlike(12, seed=2)
    codes = made(True, filter=FILTER).encode(x, base, 3)
    assert torch.equal(codes, made(False, filter=FILTER).encode(x, base, 3)), "what is coded is the same"
    before, after = (decoded(made(order, filter=FILTER), codes, base, base, late) for order in (False, True))
    assert before.shape == after.shape == x.shape
    assert float((before - base).abs().max()) > 0.01
    assert torch.allclose(before[..., :-FRAME], after[..., :-FRAME], atol=1e-4)


def test_what_the_envelope_layer_made_of_the_band_is_replaced():
    x = speechlike(20)
    base = 0.8 * x + 0.4 * speechlike(20, seed=2)
    tone = 0.05 * torch.sin(2 * math.pi * 70 * torch.arange(x.shape[-1]) / 24000)
    left = []
    for after in (False, True):
        layer = made(after, levels=24, fill=0.0, schedule=(BandStep(24, 200.0, 0.0),))
        codes = layer.encode(x, base, 24)
        with_tone, without = (decoded(layer, codes, base, heard, LATE) for heard in (base + tone, base))
        left.append(float((with_tone - without)[..., : -2 * FRAME].square().mean() / tone.square().mean()))
    assert left[0] == pytest.approx(1.0, abs=0.02), "a difference to the base leaves what was added to it"
    assert left[1] < 0.1


@pytest.mark.parametrize("chunk", [1, 3, 7])
def test_streams_are_exact(chunk):
    x = speechlike(11, 2)
    base, heard = 0.8 * x + 0.4 * speechlike(11, 2, seed=2), 0.9 * x
    layer = made(True, filter=FILTER, by_frame=True, min_levels=2)
    torch.nn.init.normal_(layer.filter.output_proj.weight, std=0.02)
    codes = layer.encode(x, base, 3)
    codes[..., 4:6] = 0
    whole = decoded(layer, codes, base, heard, LATE)
    assert torch.equal(decoded(layer, codes, base, heard, LATE, chunk), whole)


def test_a_whole_model():
    plain = layered_model()
    waveform = dataclasses.replace(plain.config.waveform, after_envelope=True)
    config = dataclasses.replace(plain.config, waveform=waveform)
    assert from_dict(type(config), to_dict(config)) == config
    assert not _usual_layers(config), "without torch these are not decoded"
    model = Jodio(config).eval()
    model.load_state_dict(plain.state_dict())
    x = speechlike(9.5)
    codes = model.encode(x, model.n_q)
    assert torch.equal(codes, plain.encode(x, model.n_q))
    whole, state = model.decode(codes, x.shape[-1]), State()
    parts = [model.decode_frames(part, state) for part in codes.split(2, -1)]
    stream = torch.cat([*parts, model.finish_frames(state, 1)], -1)
    assert torch.equal(stream[..., : x.shape[-1]], whole)


def test_the_filter_learns_from_what_the_envelope_layer_made(tmp_path):
    soundfile.write(tmp_path / "a.wav", speechlike(60)[0, 0].numpy(), 24000)
    plain = layered_model()
    model = Jodio(
        dataclasses.replace(
            plain.config,
            waveform=dataclasses.replace(plain.config.waveform, cutoff=1600.0, segment=64, after_envelope=True),
        )
    ).eval()
    torch.nn.init.normal_(model.envelope_layer.output_proj.weight, std=0.05)
    bands = low_bands(model, load_recordings(tmp_path), 8, report=lambda _: None)
    base, heard = bands.base[0].float(), bands.heard[0].float()
    assert base.shape == heard.shape
    assert float((base - heard).abs().max()) > 1e-3, "the envelope layer changes what is above 1.2 kHz"
    codes = band_codes(model.waveform_layer, bands, 1, report=lambda _: None)
    before = {k: v.clone() for k, v in model.waveform_layer.filter.state_dict().items()}
    settings = FilterTraining(batch=2, frames=8, pesq=0.0, warmup=1)
    train_filter(model, bands, codes, 0.005, settings, report=lambda _: None)
    assert any(not torch.equal(v, before[k]) for k, v in model.waveform_layer.filter.state_dict().items())


def test_what_does_not_fit_is_said():
    with pytest.raises(ConfigError, match="hops of"):
        made(True, filter=LowBandFilterConfig(width=32, window=512, hop=128))
    layer, x = made(True), speechlike(2)
    with pytest.raises(ConfigError, match="241 samples late"):
        layer.decode(layer.encode(x, x, 1), x, State(), x[..., 241:], 241)

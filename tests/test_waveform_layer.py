"""The waveform layer by itself: filters, transform, shaped codes, and the whole of it on streams."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from kit.audio import speechlike, tiny_waveform

from josiecodec.audio.band import Decimator, Interpolator
from josiecodec.audio.bit_plan import BandStep, plan_bits
from josiecodec.audio.low_band_filter import LowBandFilterConfig
from josiecodec.audio.mdct import InverseMdct, Mdct
from josiecodec.audio.waveform_layer import WaveformLayer, WaveformLayerConfig
from josiecodec.config import from_dict, to_dict
from josiecodec.errors import ConfigError
from josiecodec.nn.streaming import State
from josiecodec.quantization.shaped_rvq import (
    ShapedResidualQuantizer,
    gaussian_codes,
    shapes_of,
    water_levels,
)

FRAME = 1920
SIZE = 64


def made(**changes) -> WaveformLayer:
    torch.manual_seed(0)
    layer = WaveformLayer(dataclasses.replace(tiny_waveform(), **changes), 24000, FRAME, SIZE).eval()
    torch.nn.init.normal_(layer.covariance.parts.weight, std=0.02)
    if layer.filter is not None:
        torch.nn.init.normal_(layer.filter.output_proj.weight, std=0.02)
    return layer


FILTER = LowBandFilterConfig(width=32, blocks=1, expansion=1)


def sounds(frames: int, batch: int = 1):
    """Something like speech, and something like its decoded base."""
    x = speechlike(frames, batch, seed=1)
    return x, 0.8 * x + 0.4 * speechlike(frames, batch, seed=2)


def decoded(layer: WaveformLayer, codes, base, chunk: int | None = None):
    state, chunk = State(), chunk or codes.shape[-1]
    parts = [layer.decode(c, b, state) for c, b in zip(codes.split(chunk, -1), base.split(chunk * FRAME, -1))]
    return torch.cat([*parts, layer.finish(state)], -1)


# Filters and transform -------------------------------------------------------------------------------


@pytest.mark.parametrize("factor", [2, 5])
def test_low_band_comes_back_in_time(factor):
    down = Decimator(factor)
    up = Interpolator(factor, 640 - down.delay)
    time = torch.arange(12800) / 24000
    x = (torch.sin(2 * torch.pi * 300 * time) + 0.3 * torch.cos(2 * torch.pi * 1150 * time))[None, None]
    y = up(down(x))
    assert y.shape == x.shape
    assert torch.allclose(y[..., 1600:], x[..., 1600 - 640 : -640], atol=2e-3)
    above = torch.sin(2 * torch.pi * (0.6 * 24000 / factor) * time)[None, None]
    assert float(down(above)[:, 400:].abs().max()) < 3e-3, "what does not fit into the band must not fold into it"


@pytest.mark.parametrize("chunk", [1, 2, 7])
def test_filters_on_a_stream(chunk):
    x = torch.randn(2, 1, 20 * 160)
    down = Decimator(5)
    for part, y in ((down, x), (Interpolator(5, 104), down(x)), (Interpolator(5, 664), down(x))):
        state, whole = State(), part(y)
        size = chunk * (160 if part is down else 32)
        assert torch.equal(torch.cat([part(piece, state) for piece in y.split(size, -1)], -1), whole)


def test_interpolation_needs_some_delay():
    Interpolator(5, Interpolator.least_delay(5))
    with pytest.raises(ConfigError, match="at least"):
        Interpolator(5, Interpolator.least_delay(5) - 1)


def test_transform_is_its_own_inverse():
    x = torch.randn(2, 24 * 20)
    back = InverseMdct(24, 24)(Mdct(24, 24)(x))
    assert torch.allclose(back[:, 24:], x[:, :-24], atol=1e-5)
    assert torch.allclose(Mdct(24, 24)(x).square().sum(), x.square().sum(), rtol=0.1), "orthonormal but for the end"


# Shaped codes ----------------------------------------------------------------------------------------


def test_random_codes_are_gaussian_and_always_the_same():
    codes = gaussian_codes(1, 2048, 192)
    assert codes[0, 1, :8].tolist() == [27, -18, 7, 59, 43, -71, -22, 28]
    assert int(codes[0, 2047, 191]) == 45
    values = codes[0, 1:].double() / 32
    assert abs(float(values.mean())) < 0.01
    assert abs(float(values.var()) - 1) < 0.01
    assert 2.8 < float(values.pow(4).mean()) < 3.05
    assert not codes[:, 0].any()
    assert not torch.equal(gaussian_codes(1, 8, 8, seed=1), gaussian_codes(1, 8, 8))
    assert torch.equal(gaussian_codes(2, 4, 8).flatten()[40:], gaussian_codes(1, 8, 8).flatten()[40:])


def test_water_levels_take_so_many_bits():
    ls = torch.randn(5, 32).mul(3)
    water = water_levels(ls, 6, 9.0)
    assert water.shape == (6, 5, 1)
    for k in range(6):
        bits = 0.5 * (ls - torch.minimum(ls, water[k])).sum(1) / math.log(2)
        assert torch.allclose(bits, torch.full((5,), 9.0 * (k + 1)), atol=1e-2)


def test_plans_are_embedded_and_follow_the_schedule():
    torch.manual_seed(0)
    frequency = torch.linspace(10, 1000, 48)
    schedule = (BandStep(3, 300.0, 20.0), BandStep(6, 1000.0, 0.0))
    v = torch.randn(7, 48) - frequency / 1000
    tilt = -0.5 * v
    whole = plan_bits(v, 6, schedule, frequency, tilt, 9.0)
    for levels in range(7):
        part = plan_bits(v, levels, schedule, frequency, tilt, 9.0)
        assert torch.equal(part.left, whole.left[: levels + 1])
        assert torch.equal(part.shapes(), whole.shapes()[:levels])
        assert len(part.weights) == levels
        alone = plan_bits(v[2:3], levels, schedule, frequency.expand(1, -1), tilt[2:3], 9.0)
        assert torch.equal(alone.left, part.left[:, 2:3])
    taken = 0.5 * (whole.left[:-1] / whole.left[1:]).log2()
    assert torch.allclose(taken.sum(2), torch.full((6, 7), 9.0), atol=1e-2)
    low = taken[:, :, frequency < 400].sum(2) / 9.0
    assert float(low[:3].mean()) > 0.9
    assert float(low[3:].mean()) < 0.6
    still = plan_bits(torch.full((1, 48), float("nan")), 6, schedule, frequency, frequency * 0, 9.0)
    assert bool(still.left.isfinite().all())
    assert bool(still.shapes().isfinite().all())


def left_of(log_variance, levels: int, bits: float):
    water = water_levels(log_variance, levels, bits)
    return torch.cat([log_variance.unsqueeze(0), torch.minimum(log_variance, water)]).exp()


@pytest.mark.parametrize(("books", "beams"), [(1, 1), (1, 4), (2, 3), (5, 1)])
def test_every_level_takes_its_share(books, beams):
    torch.manual_seed(0)
    rvq = ShapedResidualQuantizer(24, 5, 256, books)
    ls = torch.linspace(2, -6, 24).expand(300, -1)
    left = left_of(ls, 5, 0.85 * 8)
    x = torch.randn(300, 24) * (0.5 * ls).exp()
    shapes = shapes_of(left)
    codes = rvq.encode(x, shapes, beams)
    assert codes.shape == (300, 5)
    errors = torch.stack([(x - rvq.decode(codes[:, :n], shapes)).square().sum(1).mean() for n in range(6)])
    assert bool((errors[1:] < errors[:-1]).all())
    assert float(errors[5]) < 1.8 * float(left[5, 0].sum()), "about what theory says is left"
    alone = torch.cat([rvq.encode(x[i : i + 1], shapes[:, i : i + 1], beams) for i in range(20)])
    assert torch.equal(alone, codes[:20])


def test_beams_find_better_codes_and_no_level_harms():
    torch.manual_seed(0)
    rvq = ShapedResidualQuantizer(24, 5, 128)
    x, shapes = torch.randn(200, 24), torch.rand(5, 200, 24)
    found = {m: (x - rvq.decode(rvq.encode(x, shapes, m), shapes)).square().sum() for m in (1, 4, 16)}
    assert found[16] < found[4] < found[1]
    codes = rvq.encode(0.01 * x, shapes)
    assert int((codes == 0).sum()) > 900, "nothing fits, so nothing is done"
    assert not rvq.encode(torch.zeros(3, 24), shapes[:, :3], 4).any()


def test_weights_say_what_counts():
    torch.manual_seed(0)
    rvq = ShapedResidualQuantizer(24, 5, 128)
    x, shapes = torch.randn(200, 24), 0.5 * torch.ones(5, 200, 24)
    weights = torch.ones(200, 24)
    weights[:, :6] = 100.0

    def errors(weights):
        rest = x - rvq.decode(rvq.encode(x, shapes, 2, [weights] * 5), shapes)
        return rest[:, :6].square().sum(), rest[:, 6:].square().sum()

    even, uneven = errors(torch.ones(200, 24)), errors(weights)
    assert uneven[0] < 0.7 * even[0]
    assert uneven[1] > even[1]
    assert torch.equal(rvq.encode(x, shapes, 2), rvq.encode(x, shapes, 2, [torch.ones(200, 24)] * 5))


def test_learned_codebooks_are_stored():
    rvq = ShapedResidualQuantizer(16, 4, 32, books=4, learned=True)
    assert set(rvq.state_dict()) == {"codes", "scale"}
    assert rvq.state_dict()["codes"].dtype == torch.int8
    assert not ShapedResidualQuantizer(16, 4, 32).state_dict()
    books = torch.randn(4, 32, 16)
    rvq.tables()
    rvq.set_codebooks(books)
    assert float((rvq.tables()[0] - books).abs().max()) < 0.02
    with pytest.raises(ConfigError, match="too many"):
        ShapedResidualQuantizer(4, 5, 32)


def test_covariances_are_positive_whatever_comes():
    layer = made()
    _, base = sounds(6)
    for given in (base, 0 * base, 1e4 * base, base * float("nan")):
        covariance = layer.covariance(layer.decimate(given))
        assert bool(covariance.isfinite().all())
        assert bool((torch.linalg.eigvalsh(covariance.double()) >= -1e-6 * covariance.abs().amax()).all())
        layer.transform(layer.decimate(given))


# The whole layer -------------------------------------------------------------------------------------


def test_codes_bring_the_low_band_nearer():
    layer = made()
    x, base = sounds(30)
    codes = layer.encode(x, base, 3, beams=4)
    assert codes.shape == (1, 3, 30)
    assert codes.dtype == torch.int64

    def error(y):
        return float(layer.decimate.eval()(y - x)[:, : 28 * 384].square().sum())

    errors = [error(base)] + [error(decoded(layer, codes[:, :n], base)) for n in (1, 2, 3)]
    assert errors[3] < errors[2] < errors[1]
    assert errors[3] < 0.75 * errors[0]


def test_the_base_is_kept_above_the_band_and_at_the_end():
    layer = made()
    x, base = sounds(20)
    y = decoded(layer, layer.encode(x, base, 3), base)
    assert y.shape == base.shape
    assert float(Decimator(2)(y - base).square().sum()) > 0
    spectrum = torch.fft.rfft((y - base)[0, 0, :30720] * torch.hann_window(30720)).abs()
    assert float(spectrum[int(1000 * 30720 / 24000) :].max()) < 1e-3 * float(spectrum.max())
    assert float((y - base)[..., -200:].abs().max()) < 0.02 * float((y - base).abs().max())


@pytest.mark.parametrize("chunk", [1, 2, 5])
@pytest.mark.parametrize("filtered", [False, True])
def test_streams_are_exact(chunk, filtered):
    layer = made(filter=FILTER if filtered else None)
    x, base = sounds(17, 3)
    codes = layer.encode(x, base, 3, 4)
    state = State()
    pieces = zip(x.split(chunk * FRAME, -1), base.split(chunk * FRAME, -1))
    assert torch.equal(torch.cat([layer.encode(p, b, 3, 4, state) for p, b in pieces], -1), codes)
    whole = decoded(layer, codes, base)
    assert torch.equal(decoded(layer, codes, base, chunk), whole)
    for i in range(3):
        assert torch.equal(layer.encode(x[i : i + 1], base[i : i + 1], 3, 4), codes[i : i + 1])
        assert torch.equal(decoded(layer, codes[i : i + 1], base[i : i + 1]), whole[i : i + 1])


def test_a_stream_is_late_by_its_lag():
    layer = made()
    x, base = sounds(3)
    codes, state = layer.encode(x, base, 2), State()
    assert layer.lag == 1
    assert layer.finish(state) is None
    lengths = [
        layer.decode(c, b, state).shape[-1] for c, b in zip(codes.split(1, -1), base.split(FRAME, -1), strict=True)
    ]
    assert lengths == [0, FRAME, FRAME]
    before = state.copy()
    assert layer.finish(state).shape == (1, 1, FRAME)
    assert layer.finish(before).shape == (1, 1, FRAME)
    assert decoded(layer, codes[..., :1], base[..., :FRAME]).shape == (1, 1, FRAME)
    assert made(hops=1, cutoff=150.0).lag == 2
    assert made(filter=FILTER).lag == 2


def test_codes_need_nothing_after_their_frame():
    layer = made()
    x, base = sounds(12)
    codes = layer.encode(x, base, 3)
    x[..., 8 * FRAME :] = torch.randn(4 * FRAME)
    base[..., 8 * FRAME :] = 0
    assert torch.equal(layer.encode(x, base, 3)[..., :8], codes[..., :8])


@pytest.mark.parametrize("gain", [0.0, 1e-6, 1.0, 1e4])
def test_silence_and_noise_of_any_level(gain):
    layer = made()
    x, base = sounds(6)
    for original, given in ((x * gain, base * gain), (x * gain, base), (x * gain + 0.5, base), (x, base * gain)):
        codes = layer.encode(original, given, 3, 4)
        assert bool(decoded(layer, codes, given).isfinite().all())


def test_silence_stays_silent():
    layer = made()
    silence, noise = torch.zeros(1, 1, 10 * FRAME), 1e-4 * torch.randn(1, 1, 10 * FRAME)
    assert float(decoded(layer, layer.encode(silence, silence, 3, 4), silence).abs().max()) < 1e-6
    low = layer.decimate
    y = decoded(layer, layer.encode(silence, noise, 3, 4), noise)
    assert float(low(y).square().mean()) < 1.01 * float(low(noise).square().mean())


def test_what_is_not_coded_is_the_base():
    layer = made(fill=0.4)
    uncoded = torch.tensor([0.0, 0.25, 0.8, 0.95, 1.0])
    assert torch.allclose(layer.filling(uncoded), torch.tensor([0.0, 0.2, 0.4 * 0.8**0.5, 0.95**0.5, 1.0]))
    x, base = sounds(20)
    codes = layer.encode(x, base, 1)
    assert torch.equal(made(fill=1.0).encode(x, base, 1), codes), "an encoder need not know"
    distances = [float((decoded(made(fill=f), codes, base) - base).square().sum()) for f in (0.0, 0.5, 1.0)]
    assert len({round(d, 3) for d in distances}) == 3


def test_configs_are_checked():
    config = WaveformLayerConfig()
    assert from_dict(WaveformLayerConfig, to_dict(config)) == config
    for bad in (
        {"levels": 0},
        {"taper": 2000.0},
        {"weighting": 2.0},
        {"efficiency": 0.0},
        {"fill": 2.0},
        {"seed": -1},
        {"levels": 24},
        {"width": 40},
        {"schedule": (BandStep(23, -1.0, 0.0),)},
        {"segment": 0},
        {"schedule": (BandStep(8, 500.0, 0.0), BandStep(8, 500.0, 0.0), BandStep(23, 500.0, 0.0))},
    ):
        with pytest.raises(ConfigError, match="waveform"):
            WaveformLayerConfig(**bad)
    for bad in (
        {"decimation": 7},
        {"hops": 5},
        {"cutoff": 20.0, "taper": 5.0},
        {"cutoff": 2300.0},
        {"segment": 7},
        {"filter": LowBandFilterConfig(window=320, hop=80)},
    ):
        with pytest.raises(ConfigError, match="waveform"):
            WaveformLayer(WaveformLayerConfig(**bad), 24000, FRAME, SIZE)
    with pytest.raises(ConfigError, match="unknown key"):
        from_dict(WaveformLayerConfig, {"levles": 3})

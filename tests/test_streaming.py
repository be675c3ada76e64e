"""Causal layers: nothing depends on what comes later, and chunks give what the whole gives."""

from __future__ import annotations

import pytest
import torch

from josiecodec.audio.source import HarmonicNoiseSource
from josiecodec.audio.spectral import InverseSpectrum, Spectrum
from josiecodec.nn.conv import CausalConvTranspose1d, CausalPad1d
from josiecodec.nn.convnext import ConvNeXtBlock
from josiecodec.nn.linear import RowStableLinear
from josiecodec.nn.matrixconv import CausalConv, CausalUpsampling, DepthwiseUpsampling
from josiecodec.nn.streaming import State
from josiecodec.nn.transformer import Attention, Transformer, TransformerConfig

CONTEXT = TransformerConfig(dim=16, layers=2, heads=2, hidden=32, dropout=0.0, context=5)


class Inverse(InverseSpectrum):
    """Takes real and imaginary parts side by side."""

    def __init__(self):
        super().__init__(240, 960)

    def forward(self, x, state=None):
        return super().forward(torch.complex(*x.chunk(2, -1)), state)


class Source(HarmonicNoiseSource):
    """Gives real and imaginary parts side by side."""

    def __init__(self):
        super().__init__(32, 240, 960, 24000)

    def forward(self, x, state=None):
        return torch.cat(super().forward(x, state)[:2], -1)


# layer, shape of an input of `t` steps, time axis in and out, steps that must come together, exact
LAYERS = {
    "convnext": (lambda: ConvNeXtBlock(32), lambda t: (2, t, 32), 1, 1, 1, True),
    "pad": (lambda: CausalPad1d(3), lambda t: (2, 4, t), 2, None, 1, True),
    "transpose": (lambda: CausalConvTranspose1d(4, 6, 5), lambda t: (2, 4, t), 2, 2, 1, False),
    "conv": (lambda: CausalConv(40, 6, 3, dilation=2), lambda t: (2, t, 40), 1, 1, 1, True),
    "thin conv": (lambda: CausalConv(2, 6, 3, dilation=2), lambda t: (2, t, 2), 1, 1, 1, False),
    "strided conv": (lambda: CausalConv(16, 24, 8, 4), lambda t: (2, t, 16), 1, 1, 4, True),
    "replicating conv": (lambda: CausalConv(16, 8, 4, 2, replicate=True), lambda t: (2, t, 16), 1, 1, 2, True),
    "upsampling": (lambda: CausalUpsampling(32, 6, 5), lambda t: (2, t, 32), 1, 1, 1, True),
    "depthwise": (lambda: DepthwiseUpsampling(8, 3), lambda t: (2, t, 8), 1, 1, 1, True),
    "attention": (lambda: Attention(CONTEXT), lambda t: (2, t, 16), 1, 1, 1, False),
    "transformer": (lambda: Transformer(CONTEXT), lambda t: (2, t, 16), 1, 1, 1, False),
    "spectrum": (lambda: Spectrum(480, 960), lambda t: (2, 1, t), 2, 1, 480, True),
    "inverse": (Inverse, lambda t: (2, t, 962), 1, 2, 1, True),
    "source": (Source, lambda t: (2, t, 32), 1, 1, 1, True),
}


@pytest.mark.parametrize("name", [n for n in LAYERS if n != "pad"])
@pytest.mark.parametrize("sizes", [(1,) * 17, (3, 1, 13), (16, 1), (2, 2, 5, 8)])
def test_chunks_give_what_the_whole_gives(name, sizes):
    make, shape, axis, out_axis, unit, exact = LAYERS[name]
    layer = make().eval()
    x = torch.randn(shape(sum(sizes) * unit))
    with torch.no_grad():
        whole = layer(x)
        state = State()
        parts = [layer(part, state) for part in x.split([s * unit for s in sizes], axis)]
    chunked = torch.cat(parts, out_axis)
    if exact:
        assert torch.equal(chunked, whole)
    else:
        torch.testing.assert_close(chunked, whole, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", [n for n in LAYERS if n != "pad"])
def test_the_future_does_not_matter(name):
    make, shape, axis, out_axis, unit, _ = LAYERS[name]
    layer = make().eval()
    x = torch.randn(shape(12 * unit))
    y = x.clone()
    y.narrow(axis, 7 * unit, 5 * unit).normal_()
    with torch.no_grad():
        a, b = layer(x), layer(y)
    same = a.shape[out_axis] * 7 // 12
    torch.testing.assert_close(a.narrow(out_axis, 0, same), b.narrow(out_axis, 0, same))
    assert not torch.equal(a, b)


@pytest.mark.parametrize(
    ("channels", "kernel", "stride", "dilation"),
    [
        (40, 3, 1, 1),
        (40, 3, 1, 4),
        (40, 1, 1, 1),
        (16, 8, 4, 1),
        (16, 4, 4, 1),
        (1, 7, 1, 1),
        (3, 6, 3, 1),
        (3, 5, 1, 2),
    ],
)
@pytest.mark.parametrize("training", [False, True])
def test_products_of_matrices_are_convolutions(channels, kernel, stride, dilation, training):
    layer = CausalConv(channels, 10, kernel, stride, dilation).train(training)
    x = torch.randn(3, 24, channels)
    weight = layer.linear.weight.unflatten(1, (kernel, channels)).transpose(1, 2)
    padded = torch.nn.functional.pad(x.transpose(1, 2), ((kernel - 1) * dilation + 1 - stride, 0))
    known = torch.nn.functional.conv1d(padded, weight, layer.linear.bias, stride=stride, dilation=dilation)
    torch.testing.assert_close(layer(x), known.transpose(1, 2), atol=1e-5, rtol=1e-5)
    up = CausalUpsampling(channels, 5, kernel).train(training)
    up.step_bias.data.normal_()
    before, now = up.linear.weight.unflatten(0, (kernel, 5)).permute(2, 1, 0).chunk(2)
    known = torch.nn.functional.conv_transpose1d(
        x.transpose(1, 2), torch.cat([now, before], -1), up.step_bias, stride=kernel
    )
    torch.testing.assert_close(up(x), known[..., : 24 * kernel].transpose(1, 2), atol=1e-5, rtol=1e-5)


def test_the_pad_remembers():
    pad, state = CausalPad1d(2), State()
    assert pad(torch.tensor([[[1.0, 2, 3]]]), state).tolist() == [[[0, 0, 1, 2, 3]]]
    assert pad(torch.tensor([[[4.0]]]), state).tolist() == [[[2, 3, 4]]]


def test_a_state_can_be_continued_twice():
    layer, state = ConvNeXtBlock(32).eval(), State()
    x = torch.randn(1, 8, 32)
    with torch.no_grad():
        layer(x, state)
        copy = state.copy()
        assert torch.equal(layer(x, state), layer(x, copy))


def test_attention_looks_back_no_further_than_its_context():
    layer = Attention(CONTEXT).eval()
    x = torch.randn(1, 12, 16)
    y = x.clone()
    y[:, 0] += 1
    with torch.no_grad():
        a, b = layer(x), layer(y)
    assert not torch.allclose(a[:, 4], b[:, 4])
    torch.testing.assert_close(a[:, 5:], b[:, 5:])


def test_long_streams_keep_a_bounded_cache():
    layer, state = Attention(CONTEXT).eval(), State()
    with torch.no_grad():
        for _ in range(40):
            layer(torch.randn(1, 3, 16), state)
    assert state[layer].keys.shape[2] == CONTEXT.context - 1
    assert state[layer].count == 120


@pytest.mark.parametrize("threads", [1, 2, 4])
@pytest.mark.parametrize("size", [(96, 160), (48, 384), (768, 256), (960, 320), (1152, 384), (1536, 256), (96, 2048)])
def test_rows_of_a_linear_layer_do_not_depend_on_their_neighbours(threads, size):
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        layer = RowStableLinear(*size).eval()
        x = torch.randn(300, size[0])
        with torch.no_grad():
            whole = layer(x)
            for rows in (*range(1, 20), 63, 64, 65, 131):
                assert torch.equal(layer(x[5 : 5 + rows].clone()), whole[5 : 5 + rows]), rows
    finally:
        torch.set_num_threads(before)


def test_the_source_makes_harmonics_of_the_pitch():
    source, inverse = HarmonicNoiseSource(32, 240, 960, 24000).eval(), InverseSpectrum(240, 960)
    pitch = torch.full((1, 120), 150.0)
    lobe, angle = source._harmonics(pitch, source._advance(pitch, None)[0])
    wave = inverse(torch.polar(torch.ones_like(lobe), angle) * lobe)[0, 0, 4800:28800]
    spectrum = torch.fft.rfft(wave * torch.hann_window(24000)).abs()
    assert spectrum.topk(20).indices.sort().values.tolist() == [150 * k for k in range(1, 21)] or (
        spectrum[150 : 150 * 40 : 150].min() > 1000 * spectrum[75 : 150 * 40 : 150].max()
    )


def test_analysis_then_synthesis_is_the_identity():
    x = torch.randn(1, 1, 480 * 12) * 0.1
    analysis = torch.nn.functional.pad(x, (960 - 240, 960)).unfold(2, 960, 240)[:, 0]
    window = torch.hann_window(960) * (2 / 960) ** 0.5
    spectrum = torch.fft.rfft(analysis * window)
    y = InverseSpectrum(240, 960)(spectrum)[..., 720 : 720 + x.shape[-1]]
    torch.testing.assert_close(y, x, atol=1e-4, rtol=1e-3)

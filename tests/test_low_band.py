"""What a waveform layer is made of: transforms from covariances, and the filter behind its codes."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch

from josiecodec.audio.covariance import FrameTransform, Segments, negative_log_likelihood
from josiecodec.audio.low_band_filter import LowBandFilter, LowBandFilterConfig
from josiecodec.errors import ConfigError
from josiecodec.nn.streaming import State

SMALL = LowBandFilterConfig(width=32, blocks=1, expansion=1)


# Covariances -----------------------------------------------------------------------------------------


def covariances(count: int, segments: Segments):
    torch.manual_seed(0)
    root = torch.randn(count, segments.count, segments.dim, segments.dim)
    return root @ root.mT + 0.01 * torch.eye(segments.dim)


def test_segments_go_apart_and_together():
    segments = Segments(12, 2, 4)
    x = torch.arange(5 * 6 * 12.0).view(5, 6, 12)
    parts = segments.split(x)
    assert parts.shape == (15, 3, 8)
    assert parts[0, 1].tolist() == [*x[0, 0, 4:8].tolist(), *x[0, 1, 4:8].tolist()]
    assert torch.equal(segments.join(parts).view_as(x), x)


def test_a_transform_decorrelates_and_comes_back():
    segments = Segments(12, 2, 4)
    covariance = covariances(1, segments)
    frequency = torch.linspace(10, 200, 12)
    transform = FrameTransform.of(covariance, segments, frequency, 0.0)
    draws = (torch.linalg.cholesky(covariance) @ torch.randn(20000, 3, 8, 1))[..., 0]
    x = segments.join(draws).view(1, -1, 12)
    many = FrameTransform.of(covariance.expand(20000, -1, -1, -1), segments, frequency, 0.0)
    y = many.forward(x)
    assert torch.allclose(many.inverse(y), x[0], atol=1e-3)
    assert torch.allclose(y.square().mean(0).log(), transform.log_variance[0], atol=0.1)
    assert float(torch.corrcoef(y[:, :8].t()).triu(1).abs().max()) < 0.05
    assert bool((transform.frequency >= 10).logical_and(transform.frequency <= 200).all())
    assert torch.allclose(transform.uncoded(transform.log_variance.exp()), torch.ones(2, 12), atol=1e-3)
    weighted = FrameTransform.of(covariance, segments, frequency, 0.5)
    assert torch.allclose(weighted.inverse(weighted.forward(x[:, :2])), x[0, :2], atol=1e-3)


def test_transforms_do_not_depend_on_rounding_or_neighbours():
    segments = Segments(12, 2, 4)
    covariance = covariances(40, segments)
    frequency = torch.linspace(10, 200, 12)
    transform = FrameTransform.of(covariance, segments, frequency, 0.35)
    noisy = FrameTransform.of(covariance * (1 + 1e-6 * torch.randn(40, 1, 1, 1)), segments, frequency, 0.35)
    assert float((transform.vectors * noisy.vectors).sum(-2).min()) > 0.99, "signs, too"
    for i in range(3):
        alone = FrameTransform.of(covariance[i : i + 1], segments, frequency, 0.35)
        assert torch.equal(alone.vectors, transform.vectors[i : i + 1])
        assert torch.equal(alone.log_variance, transform.log_variance[i : i + 1])


def test_likelihood_is_that_of_a_gaussian():
    segments = Segments(12, 2, 4)
    covariance, x = covariances(5, segments), torch.randn(5, 3, 8)
    exact = torch.distributions.MultivariateNormal(torch.zeros(8), covariance).log_prob(x)
    assert torch.allclose(negative_log_likelihood(covariance, x), -exact - 4 * math.log(2 * math.pi), atol=1e-3)


# The filter ----------------------------------------------------------------------------------------


def filter_of(**changes) -> LowBandFilter:
    torch.manual_seed(0)
    part = LowBandFilter(dataclasses.replace(SMALL, **changes), 4800, 1200.0).eval()
    torch.nn.init.normal_(part.output_proj.weight, std=0.05)
    return part


def test_a_filter_can_take_over_the_base():
    part = filter_of()
    x, base = torch.randn(2, 1, 3840).mul(0.1).unbind()
    torch.nn.init.zeros_(part.output_proj.weight)
    assert float(part(x, base, 0.5).abs().max()) < 1e-5, "nothing learned, nothing done"
    with torch.no_grad():  # none of the one, all of the other
        part.output_proj.bias.view(4, -1)[0], part.output_proj.bias.view(4, -1)[2] = -1.0, 1.0
    spectrum = torch.fft.rfft(
        (part(x, base, 0.5)[:, 192:] - (base - x)[:, :-192])[:, 400:3200] * torch.hann_window(2800)
    )
    wanted = torch.fft.rfft((base - x)[:, 400:3200] * torch.hann_window(2800))
    below = slice(0, int(1000 / 4800 * 2800))
    assert float(spectrum[:, below].abs().square().sum()) < 0.01 * float(wanted[:, below].abs().square().sum())


@pytest.mark.parametrize("chunk", [64, 192, 640])
def test_filters_of_the_low_band_on_a_stream(chunk):
    part = filter_of()
    x, base = torch.randn(2, 3, 3840).mul(0.1).unbind()
    whole, state = part(x, base, 0.4), State()
    pieces = zip(x.split(chunk, 1), base.split(chunk, 1))
    assert torch.equal(torch.cat([part(a, b, 0.4, state) for a, b in pieces], 1), whole)
    rest = part(torch.zeros(3, 384), torch.zeros(3, 384), 0, state)
    assert rest[:, :192].any(), "what is still to come fades out"
    assert not rest[:, 192:].any()
    assert torch.equal(part(x[1:2], base[1:2], 0.4), whole[1:2])
    each = part(x, base, torch.tensor([0.4, 0.4, 0.9]))
    assert torch.equal(each[:2], whole[:2])
    assert not torch.equal(each[2], whole[2])


def test_filters_are_checked():
    for bad in ({"window": 100}, {"window": 128}, {"width": 33}, {"kernel": 0}):
        with pytest.raises(ConfigError, match="filter"):
            LowBandFilterConfig(**bad)
